"""examples/stream: generators, plain and async, arrive piece by piece as server-sent events."""

import http.client
import json
import time

import pytest
from harness import EXAMPLES, serving


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, f"{EXAMPLES}/stream/stream.py:Teller") as server:
        yield server


def events(text: str) -> list[str]:
    """The data of server-sent events."""
    return [block.removeprefix("data: ") for block in text.split("\n\n") if "data: " in block]


def test_a_plain_generator_counts_down(server):
    answer = server.post("/invoke/teller", {"start": 3, "pause_seconds": 0})
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = [json.loads(event) for event in events(answer.text())]
    assert told == [{"number": 3}, {"number": 2}, {"number": 1}, {"liftoff": True}]


def test_an_async_generator_tells_word_by_word(server):
    answer = server.post("/invoke/teller/tell", {"text": "one two three", "pause_seconds": 0})
    assert events(answer.text()) == ["one", "two", "three"]


def test_a_piece_arrives_before_the_next_is_made(server):
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    body = json.dumps({"text": "now later", "pause_seconds": 1.5})
    begun = time.monotonic()
    connection.request("POST", "/invoke/teller/tell", body, {"content-type": "application/json"})
    answer = connection.getresponse()
    first = answer.readline()
    first_after = time.monotonic() - begun
    answer.read()
    assert b"now" in first
    # The end came a pause later than the first piece, so the first was not held back.
    assert time.monotonic() - begun - first_after > 1
    connection.close()
