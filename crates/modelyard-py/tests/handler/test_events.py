"""Server-sent events, as they go over the wire."""

from collections.abc import Iterator

import pytest
from served import Worker, served

DONE = "data: [DONE]\n\n"


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with served("kinds") as worker:
        yield worker


def frames(*events: str) -> str:
    return "".join(f"data: {event}\n\n" for event in events)


def test_every_item_is_an_event_of_json_as_python_writes_it(worker: Worker) -> None:
    answer = worker.call("/sse/items", {})
    assert answer.text == frames(
        '"plain text"',
        "1.5",
        "null",
        '[1, {"a": 1e+16, "b": 1e-07, "c": 1000000000000000000000000000000}]',
        "[DONE]",
    )
    assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.headers["x-accel-buffering"] == "no"
    assert answer.headers["x-trace-id"].startswith("traceid-")


def test_a_route_may_have_a_head_of_its_own(worker: Worker) -> None:
    answer = worker.call("/sse/own_head", {})
    assert answer.headers["x-own"] == "1"
    assert "x-accel-buffering" not in answer.headers


@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        ("acount", {"n": 2}, ('{"i": 0, "zh": "你好"}', '{"i": 1, "zh": "你好"}')),
        ("acount", {"n": 0}, ()),
        ("count", {"n": 3}, ("0", "1", "2")),
        ("count", {"n": 0}, ()),
        ("one_on_a_thread", {"a": 1, "b": 2}, ("3",)),
        ("generating", {}, ('"a"', '"b"')),
        ("returns_async_generator", {"n": 1}, ('{"i": 0, "zh": "你好"}',)),
    ],
)
def test_every_kind_of_handler_answers_with_events(
    worker: Worker, route: str, body: object, expected: tuple[str, ...]
) -> None:
    answer = worker.call(f"/sse/{route}", body)
    assert (answer.status, answer.text) == (200, frames(*expected) + DONE)


@pytest.mark.parametrize(
    ("route", "before", "message", "kind"),
    [
        ("raises", "", "boom", "sse_error"),
        ("raises_on_a_thread", "", "'voice'", "sse_error"),
        ("yields_error", "1", "oh", "handler_error"),
        ("raises_midway", "1", "boom", "sse_error"),
        ("raises_midway_on_a_thread", "1", "boom", "handler_error"),
    ],
)
def test_an_error_is_the_last_event_and_nothing_says_done(
    worker: Worker, route: str, before: str, message: str, kind: str
) -> None:
    answer = worker.call(f"/sse/{route}", {})
    error = f'{{"message": "{message}", "type": "{kind}"}}'
    assert (answer.status, answer.text) == (200, frames(*([before] if before else []), error))


def test_an_item_without_a_json_form_ends_the_stream(worker: Worker) -> None:
    text = worker.call("/sse/unsendable", {}).text
    assert '"type": "sse_error"' in text
    assert "set" in text
    assert "[DONE]" not in text


def test_a_long_stream_loses_nothing(worker: Worker) -> None:
    for route in ("count", "acount"):
        events = worker.call(f"/sse/{route}", {"n": 20_000}).text.split("\n\n")
        assert len(events) == 20_002
        assert events[-2] == "data: [DONE]"
        assert "19999" in events[-3]


def test_many_streams_share_the_threads(worker: Worker) -> None:
    connections = [worker.send("/sse/count", {"n": 500}) for _ in range(40)]
    for connection in connections:
        assert connection.getresponse().read().count(b"data: ") == 501
        connection.close()
