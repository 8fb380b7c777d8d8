"""What the compatibility package has of its own: the tokenizer pool, and the wait for a model."""

from __future__ import annotations

import asyncio
import os
import threading

import pytest

from gmi_ieops.handler import (
    SyncStatus,
    TokenizerBase,
    TokenizerPool,
    check_model_sync_status,
    wait_for_model_sync,
)
from modelyard.config import env


class Letters(TokenizerBase):
    """Tokens are letters; made in the process that asks."""

    def init_tokenizer(self) -> None:
        self.tokenizer = ord

    def encode(self, msg, tokenize=True):
        if msg == "fail":
            raise ValueError("no such letter")
        return [self.tokenizer(letter) for letter in msg] if tokenize else msg

    def decode(self, token_ids):
        return "".join(map(chr, token_ids)) if token_ids else f"process {os.getpid()}"


@pytest.fixture
def pool():
    pool = TokenizerPool(Letters(), max_workers=1)
    yield pool
    pool.shutdown()


def test_texts_are_encoded_in_another_process(pool):
    async def talk():
        assert await pool.encode("ab") == [97, 98]
        assert await pool.encode("ab", tokenize=False) == "ab"
        assert await pool.decode([97, 98]) == "ab"
        assert await pool.decode([]) != f"process {os.getpid()}"
        with pytest.raises(ValueError, match="no such letter"):
            await pool.encode("fail")

    asyncio.run(talk())


def test_there_is_one_pool_until_it_is_shut_down(pool):
    assert TokenizerPool() is pool
    pool.shutdown()
    pool.shutdown()
    with pytest.raises(RuntimeError, match="shut down"):
        asyncio.run(pool.encode("ab"))
    with pytest.raises(ValueError, match="must be provided"):
        TokenizerPool()


@pytest.fixture
def model(tmp_path, monkeypatch):
    """The folder of a model that is copied from somewhere."""
    monkeypatch.setenv("MODEL_FROM", "hf://some/model")
    monkeypatch.setenv("MODEL_PATH", str(tmp_path))
    env.model_sync.reload()
    yield tmp_path
    monkeypatch.undo()
    env.model_sync.reload()


@pytest.mark.parametrize(
    ("word", "status", "ready", "failed"),
    [
        (None, SyncStatus.NOT_FOUND, False, False),
        ("running\n", SyncStatus.RUNNING, False, False),
        ("something", SyncStatus.RUNNING, False, False),
        ("DONE\n", SyncStatus.DONE, True, False),
        ("failed", SyncStatus.FAILED, False, True),
    ],
)
def test_a_file_says_how_far_the_copy_is(model, word, status, ready, failed):
    if word is not None:
        (model / ".model_sync_status").write_text(word)
    seen = check_model_sync_status()
    assert (seen.status, seen.is_ready, seen.is_failed) == (status, ready, failed)
    assert (seen.model_from, seen.model_path) == ("hf://some/model", str(model))


def test_without_a_source_there_is_nothing_to_wait_for(tmp_path, monkeypatch):
    monkeypatch.delenv("MODEL_FROM", raising=False)
    env.model_sync.reload()
    assert check_model_sync_status(str(tmp_path)).status is SyncStatus.NO_SYNC_NEEDED
    assert wait_for_model_sync(str(tmp_path))


def test_waiting_ends_with_the_copy(model):
    seen = []
    timer = threading.Timer(0.2, (model / ".model_sync_status").write_text, ["done"])
    timer.start()
    assert wait_for_model_sync(on_status_change=lambda now: seen.append(now.status))
    assert seen[-1] is SyncStatus.DONE
    timer.join()


def test_waiting_ends_when_the_copy_fails_or_never_comes(model):
    assert not wait_for_model_sync(timeout=1)
    (model / ".model_sync_status").write_text("failed")
    assert not wait_for_model_sync()


def test_a_model_that_is_not_waited_for_must_be_there(model, monkeypatch):
    monkeypatch.setenv("MODEL_SYNC_WAIT_ENABLED", "false")
    env.model_sync.reload()
    with pytest.raises(RuntimeError, match="is not waited for"):
        wait_for_model_sync()
    (model / ".model_sync_status").write_text("done")
    assert wait_for_model_sync()
