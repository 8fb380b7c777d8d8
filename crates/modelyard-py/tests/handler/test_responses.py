"""Handlers that answer with a response of their own."""

import http.client
from collections.abc import Iterator

import pytest
from served import Worker, served, until


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with served("foreign") as worker:
        yield worker


def test_a_response_is_sent_as_it_is(worker: Worker) -> None:
    answer = worker.call("/json", {})
    assert (answer.status, answer.json(), answer.headers["x-own"]) == (202, {"a": 1}, "1")
    assert answer.headers["x-trace-id"].startswith("traceid-")
    until(lambda: "afterwards" in worker.noted())
    answer = worker.call("/html_on_a_thread", {})
    assert (answer.text, answer.headers["content-type"]) == (
        "<p>é</p>",
        "text/html; charset=utf-8",
    )
    answer = worker.call("/redirect", {})
    assert (answer.status, answer.headers["location"]) == (307, "/elsewhere")
    answer = worker.call("/ours", {})
    assert (answer.status, answer.text, answer.headers["content-type"]) == (201, "raw", "image/png")
    answer = worker.call("/file", {})
    assert (answer.text, answer.headers["content-type"]) == (
        "in a file",
        "text/plain; charset=utf-8",
    )


def test_a_stream_is_sent_piece_by_piece(worker: Worker) -> None:
    answer = worker.call("/stream", {})
    assert answer.text == "0,1,2,"
    assert answer.headers["content-type"].startswith("text/csv")
    # Far more than waits on the way: the reader's pace is the writer's.
    assert len(worker.call("/stream_on_a_thread", {"n": 3_000}).text) == 3_000_000


def test_a_stream_that_breaks_is_seen_to_break(worker: Worker) -> None:
    response = worker.begin("/broken_stream", {})
    with pytest.raises(http.client.IncompleteRead):
        response.read()
    assert "ValueError: boom" in worker.log()


def test_a_stream_ends_when_its_reader_leaves(worker: Worker) -> None:
    before = worker.noted().count("stream-closed")
    connection = worker.send("/stream", {"n": 10_000_000})
    assert connection.getresponse().read(10)
    connection.close()
    until(lambda: worker.noted().count("stream-closed") == before + 1)


def test_the_exception_of_fastapi_is_honoured(worker: Worker) -> None:
    assert worker.call("/refuses", {}).error() == (400, "http_error", "Messages required")
