"""The small helpers of workers: random texts, ports, files, sampling parameters."""

from __future__ import annotations

import asyncio
import json
import socket

import pytest

from modelyard.utils import (
    APP_ID,
    arandint,
    arandstr,
    get_service_port,
    get_socket_path,
    load_json,
    randint,
    randstr,
    save,
    save_jfs,
    save_json,
)
from modelyard.utils.file import async_save_jfs
from modelyard.utils.llm_sampling_params import (
    update_sglang_sampling_params,
    update_vllm_sampling_params,
)


def test_random_texts_have_their_length_and_differ():
    assert randstr(0) == ""
    texts = {randstr(12) for _ in range(50)} | {asyncio.run(arandstr(12))}
    assert len(texts) == 51
    assert all(len(text) == 12 and text.isalnum() and text.isascii() for text in texts)


def test_random_numbers_stay_below_their_end():
    assert {randint(2, 5) for _ in range(500)} == {2, 3, 4}
    assert asyncio.run(arandint(7, 8)) == 7


def test_a_port_that_is_taken_is_not_given_out():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        other = get_service_port(port)
        assert other != port and other > 0
    assert get_service_port(other) == other
    assert get_service_port() > 0


def test_the_socket_carries_the_id_of_the_process():
    assert get_socket_path("/run") == f"/run/{APP_ID}.sock"


def test_json_files_there_and_back(tmp_path):
    path = str(tmp_path / "a.json")
    save_json(path, {"zh": "你好", "n": [1, 2.5]})
    assert load_json(path) == {"zh": "你好", "n": [1, 2.5]}


@pytest.mark.parametrize("saver", [save, save_jfs, lambda *a: asyncio.run(async_save_jfs(*a))])
def test_what_is_saved_depends_on_what_it_is(tmp_path, saver):
    path = tmp_path / "file"
    assert saver(str(path), b"\xff\x00") is None
    assert path.read_bytes() == b"\xff\x00"
    assert saver(str(path), "ü\n") is None
    assert saver(str(path), {"a": "ü"}, "a") is None
    assert path.read_text("utf-8") == 'ü\n{"a": "ü"}\n'
    assert saver(str(path), {"a": 1}) is None
    assert json.loads(path.read_text()) == {"a": 1}


def test_what_cannot_be_saved_is_returned_as_an_error(tmp_path):
    assert isinstance(save(str(tmp_path / "no/folder"), "x"), FileNotFoundError)
    assert isinstance(save_jfs(str(tmp_path / "no/folder"), "x"), FileNotFoundError)
    assert isinstance(save(str(tmp_path / "f"), 7), TypeError)
    assert isinstance(save(str(tmp_path / "f"), "x", "r"), ValueError)


VLLM = [
    (
        {"max_length": 9, "top_k": 0, "ngram_penalty": 0.1, "num_results": 2, "voice": "x"},
        {"max_tokens": 9, "top_k": -1, "presence_penalty": 0.1, "n": 2, "best_of": 2},
    ),
    ({}, {"max_tokens": 32768}),
    (
        {"max_tokens": 0, "top_p": 0, "repetition_penalty": 0},
        {"max_tokens": 32768, "top_p": 0.8, "repetition_penalty": 1.0},
    ),
    ({"max_tokens": 5, "temperature": 0}, {"max_tokens": 5, "temperature": 0}),
]


@pytest.mark.parametrize(("request_", "expected"), VLLM)
@pytest.mark.parametrize("version", ["062", "063", "0110", "0130"])
def test_parameters_for_vllm(request_, expected, version):
    config = dict(request_)
    made = update_vllm_sampling_params(config, {"eos_token_id": 2}, version)
    assert made is config
    assert made == {**expected, "stop_token_ids": [2]}


def test_what_only_some_versions_of_vllm_take():
    asked = {"type": "beam", "bad_words": ["x"], "logit_bias": {}, "max_tokens": 1}

    def left(version):
        made = update_vllm_sampling_params(dict(asked), {"eos_token_id": [1, 2]}, version)
        return {name for name in made if name not in ("max_tokens", "stop_token_ids")}

    assert left("062") == {"use_beam_search"}
    assert left("063") == {"logit_bias"}
    assert left("0130") == {"logit_bias", "bad_words"}


@pytest.mark.parametrize(
    ("request_", "tokens"),
    [({}, 1024), ({"max_length": 5}, 5), ({"max_length": 5, "max_tokens": 7}, 7)],
)
def test_parameters_for_sglang(request_, tokens):
    made = update_sglang_sampling_params(dict(request_), {"eos_token_id": [1, 2]}, "035")
    assert made == {"max_new_tokens": tokens, "stop_token_ids": [1, 2]}


@pytest.mark.parametrize("update", [update_vllm_sampling_params, update_sglang_sampling_params])
def test_an_unknown_version_is_refused(update):
    with pytest.raises(ValueError, match="version 9 not supported"):
        update({}, {"eos_token_id": 1}, "9")
