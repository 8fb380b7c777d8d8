"""Handlers that fail, block, never end, or whose callers leave."""

import signal
import time
from collections.abc import Iterator

import pytest
from served import Worker, served, until


@pytest.fixture
def worker() -> Iterator[Worker]:
    with served("kinds", MODEL_THREAD_CONCURRENCY="2") as worker:
        yield worker


@pytest.fixture(scope="module")
def shared() -> Iterator[Worker]:
    with served("kinds") as worker:
        yield worker


def test_what_a_handler_raises_is_told(shared: Worker) -> None:
    assert shared.call("/api/raises", {}).error() == (500, "api_error", "boom")
    assert shared.call("/api/raises_on_a_thread", {}).error() == (500, "api_error", "'voice'")
    assert shared.call("/api/yields_error", {}).error() == (500, "handler_error", "oh")
    assert shared.call("/api/raises", {"router": 1}).error() == (500, "router_error", "no road")
    assert "ValueError: boom" in shared.log()


def test_a_status_of_ones_own_is_honoured(shared: Worker) -> None:
    answer = shared.call("/api/raises", {"http": 418, "detail": {"code": 7}})
    assert answer.error() == (418, "http_error", {"code": 7})
    assert answer.headers["x-why"] == "because"
    # The status of a stream has long been sent.
    stream = shared.call("/sse/raises", {"http": 400, "detail": "Messages required"})
    assert (stream.status, stream.text) == (
        200,
        'data: {"message": "Messages required", "type": "http_error"}\n\n',
    )


@pytest.mark.parametrize(
    ("how", "status", "kind", "message"),
    [
        (None, 500, "api_error", "Unspeakable"),
        ("exit", 500, "api_error", "SystemExit"),
        ("router", 500, "router_error", "Roadless"),
        ("status", 400, "http_error", "Unprintable"),
        ("surrogate", 500, "api_error", "?"),
    ],
)
def test_an_error_that_cannot_say_what_it_is_ends_its_call_too(
    shared: Worker, how: str, status: int, kind: str, message: str
) -> None:
    for route in ("raises_unspeakable", "raises_unspeakable_on_a_thread"):
        answer = shared.call(f"/api/{route}", {"how": how})
        assert answer.error() == (status, kind, message)
        told = shared.call(f"/sse/{route}", {"how": how}).text
        kind_there = "http_error" if kind == "http_error" else "sse_error"
        assert told == f'data: {{"message": "{message}", "type": "{kind_there}"}}\n\n'
    text = shared.call("/sse/streams_unspeakable", {"how": how}).text
    assert text.startswith(f'data: 1\n\ndata: {{"message": "{message}"')


def test_an_error_that_is_yielded_without_words_is_told_too(shared: Worker) -> None:
    expected = (500, "handler_error", "Unspeakable")
    assert shared.call("/api/yields_unspeakable", {}).error() == expected
    told = shared.call("/sse/yields_unspeakable", {}).text
    assert told == 'data: {"message": "Unspeakable", "type": "handler_error"}\n\n'


def test_a_result_without_a_json_form_is_an_error(shared: Worker) -> None:
    status, kind, message = shared.call("/api/with_object", {}).error()
    assert (status, kind) == (500, "api_error")
    assert "object" in message


def test_a_silent_handler_is_cut_off(shared: Worker) -> None:
    assert shared.call("/api/brief", {}).error() == (
        504,
        "timeout_error",
        "Request timeout after 0.2s",
    )
    until(lambda: "waits-cancelled" in shared.noted())
    late = 'data: {"message": "SSE timeout after 0.3s", "type": "timeout_error"}\n\n'
    for route in ("silent", "silent_on_a_thread"):
        answer = shared.call(f"/sse/{route}", {})
        assert (answer.status, answer.text) == (200, late)
    until(lambda: "silent-closed" in shared.noted())


def test_a_stream_that_never_stops_is_cut_off_too(shared: Worker) -> None:
    text = shared.call("/sse/endless_brief", {}).text
    assert text.endswith('data: {"message": "SSE timeout after 0.3s", "type": "timeout_error"}\n\n')
    assert text.startswith('data: "xxx')
    until(lambda: "endless-closed" in shared.noted())


def test_a_stream_whose_reader_does_not_read_is_cut_off_too(shared: Worker) -> None:
    ended = shared.noted().count("endless-closed")
    response = shared.begin("/sse/endless_brief", {})
    until(lambda: shared.noted().count("endless-closed") == ended + 1)
    # What had been sent, and why there is no more.
    assert response.read().endswith(b'"type": "timeout_error"}\n\n')


def test_a_blocked_thread_is_answered_for_in_time(worker: Worker) -> None:
    answer = worker.call("/api/brief_on_a_thread", {"s": 1})
    assert answer.error() == (504, "timeout_error", "Request timeout after 0.2s")
    # The thread is still busy; the other one serves.
    assert worker.call("/api/add", {"a": 1, "b": 2}).json() == 3


def test_a_caller_that_leaves_ends_the_work(worker: Worker) -> None:
    connection = worker.send("/api/waits", {})
    until(lambda: "waits-begun" in worker.noted())
    connection.close()
    until(lambda: "waits-cancelled" in worker.noted())
    for route, closed in (("endless", "endless-closed"), ("endless_on_a_thread", "thread-closed")):
        connection = worker.send(f"/sse/{route}", {})
        assert connection.getresponse().read(1_000)
        connection.close()
        until(lambda closed=closed: closed in worker.noted())


def test_a_caller_that_does_not_read_stops_the_code(worker: Worker) -> None:
    """Two endless streams fill every buffer on their way and wait; both threads serve others."""
    idle = [worker.begin("/sse/endless_on_a_thread", {}) for _ in range(3)]
    idle.append(worker.begin("/sse/endless", {}))
    time.sleep(0.3)
    before = memory_kib(worker)
    for _ in range(20):
        assert worker.call("/api/add", {"a": 1, "b": 2}).json() == 3
        time.sleep(0.02)
    assert memory_kib(worker) - before < 4_096
    for answer in idle:
        answer.close()


def memory_kib(worker: Worker) -> int:
    with open(f"/proc/{worker.process.pid}/status") as status:
        line = next(line for line in status if line.startswith("VmRSS"))
    return int(line.split()[1])


def test_threads_are_as_many_as_was_said(worker: Worker) -> None:
    connections = [worker.send("/api/blocks", {"s": 0.5}) for _ in range(4)]
    until(lambda: worker.noted().count("blocks-begun") == 2)
    time.sleep(0.1)
    assert worker.noted().count("blocks-begun") == 2
    for connection in connections:
        assert connection.getresponse().read() == b'"blocked"'
    assert worker.noted().count("blocks-begun") == 4


def test_a_server_that_is_full_says_so_at_once() -> None:
    with served("kinds", CAPACITY="2") as worker:
        held = [worker.send("/api/sleeps", {"s": 1}) for _ in range(2)]
        until(lambda: worker.noted().count("sleeps-begun") == 2)
        answer = worker.call("/api/echo", {})
        status, kind, message = answer.error()
        assert (status, kind) == (503, "http_error")
        assert "as many calls as it can" in message
        assert answer.headers["retry-after"] == "1"
        assert worker.get("/health").status == 200
        for connection in held:
            assert connection.getresponse().read() == b'"slept"'


def test_what_runs_is_finished_before_the_end(worker: Worker) -> None:
    connection = worker.send("/api/sleeps", {"s": 0.5})
    until(lambda: "sleeps-begun" in worker.noted())
    worker.process.send_signal(signal.SIGTERM)
    assert connection.getresponse().read() == b'"slept"'
    assert worker.process.wait(20) == 0
    assert not worker.socket.exists()


def test_what_takes_too_long_at_the_end_is_left() -> None:
    with served("kinds", GRACEFUL_SHUTDOWN_TIME="0") as worker:
        connection = worker.send("/api/waits", {})
        until(lambda: "waits-begun" in worker.noted())
        assert worker.stop() == 0
        connection.close()
