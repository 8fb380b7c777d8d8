"""A worker that is killed: streams say so, and calls are made by its successor."""

import json
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import openai
import pytest
from harness import serving

QUESTION = [{"role": "user", "content": "What is 17 + 25?"}]
LONG = {"max_tokens": 1900, "extra_body": {"ignore_eos": True}}


# One for each test: whose worker dies again and again within a minute is failing.
@pytest.fixture
def server(tmp_path):
    env = {"XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(tmp_path, config="[models.modelyard-demo]\n", env=env) as server:
        yield server


@pytest.fixture
def client(server):
    options = {"api_key": "sk-any", "max_retries": 0, "timeout": 60}
    with openai.OpenAI(base_url=f"{server.url}/v1", **options) as client:
        yield client


def worker_of(server) -> int:
    """The process that computes."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if int(parent) == server.process.pid and words[1:3] == [b"worker", b"llm"]:
            return int(entry.name)
    raise AssertionError("no worker runs")


def kill(server) -> None:
    os.kill(worker_of(server), signal.SIGKILL)


def ask(client, **options):
    return client.chat.completions.create(model="modelyard-demo", messages=QUESTION, **options)


def test_a_stream_whose_worker_is_killed_ends_with_an_error(server, client):
    stream = ask(client, stream=True, **LONG)
    next(stream)
    kill(server)
    with pytest.raises(openai.APIError) as failed:
        for _ in stream:
            pass
    assert failed.value.code == "worker_failed"
    assert failed.value.body["type"] == "server_error"


def test_the_error_of_a_stream_is_its_last_event_and_its_end_a_proper_one(server, client):
    with client.chat.completions.with_streaming_response.create(
        model="modelyard-demo", messages=QUESTION, stream=True, **LONG
    ) as answer:
        pieces = answer.iter_text()
        text = next(pieces)
        kill(server)
        # It would raise if the connection broke off.
        text += "".join(pieces)
    *_, last, rest = text.split("\n\n")
    assert rest == ""
    error = json.loads(last.removeprefix("data: "))["error"]
    assert (error["code"], error["type"]) == ("worker_failed", "server_error")


def test_calls_around_a_kill_are_answered_by_the_successor(server, client):
    ask(client, max_tokens=1)
    with ThreadPoolExecutor(16) as pool:
        running = [pool.submit(ask, client, **LONG) for _ in range(4)]
        # To its end: one left open is closed by whichever thread collects garbage, and the client
        # of that thread may hold the very lock that closing takes.
        list(ask(client, stream=True, max_tokens=2))
        kill(server)
        after = [pool.submit(ask, client, temperature=0) for _ in range(12)]
        for call in running:
            assert call.result().usage.completion_tokens == LONG["max_tokens"]
        for call in after:
            assert "17 + 25 = 42" in call.result().choices[0].message.content
