"""The worker NAME, started as a person would start it, and asked over HTTP."""

import json
import os
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest

HANDLER = Path(__file__).with_name("handler.py")


@pytest.fixture(scope="module")
def url() -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    listening = {"MODEL_SERVER_PORT": str(port), "REGISTER_ENABLED": "false"}
    process = subprocess.Popen([sys.executable, HANDLER], env={**os.environ, **listening})
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 30
        while time.monotonic() < deadline:
            try:
                urllib.request.urlopen(f"{url}/health", timeout=5).close()
                break
            except OSError:
                assert process.poll() is None, "the worker ended; its last lines say why"
                time.sleep(0.05)
        yield url
    finally:
        process.terminate()
        assert process.wait(30) == 0


def post(url: str, body: object) -> str:
    request = urllib.request.Request(url, json.dumps(body).encode(), method="POST")
    with urllib.request.urlopen(request, timeout=30) as answer:
        return str(answer.read().decode())


def test_words_are_counted(url: str) -> None:
    assert json.loads(post(f"{url}/words/count", {"text": "one two"})) == {"words": 2, "letters": 6}


def test_words_come_one_by_one(url: str) -> None:
    events = post(f"{url}/words/stream", {"text": "one two"}).split("\n\n")
    assert events == ['data: {"word": "one"}', 'data: {"word": "two"}', "data: [DONE]", ""]


def test_a_text_must_be_given(url: str) -> None:
    with pytest.raises(urllib.error.HTTPError) as refused:
        post(f"{url}/words/count", {})
    with refused.value as answer:
        assert answer.code == 400
        assert json.loads(answer.read())["message"] == "text is missing"
