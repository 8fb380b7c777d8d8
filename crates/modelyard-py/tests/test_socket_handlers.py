"""WebSocket handlers of `modelyard.handler`: a query for each message, or the socket itself."""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from conftest import _Connection, until
from socket_client import closed, connected, refused

MODELS = Path(__file__).parent / "models"


class HandlerWorker:
    """A worker process that serves handlers."""

    def __init__(self, directory: Path) -> None:
        self.path = str(directory / "s")
        self.log = (directory / "log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, MODELS / "socket_handlers.py", self.path],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "REGISTER_ENABLED": "false", "MODEL_THREAD_CONCURRENCY": "2"},
        )
        until(lambda: self.process.poll() is not None or os.path.exists(self.path), 20)

    def state(self) -> dict[str, object]:
        connection: http.client.HTTPConnection = _Connection(self.path, 20)
        connection.request("POST", "/v1/ws/state")
        try:
            return json.loads(connection.getresponse().read())
        finally:
            connection.close()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module")
def worker(tmp_path_factory) -> Iterator[HandlerWorker]:
    worker = HandlerWorker(tmp_path_factory.mktemp("w"))
    yield worker
    worker.close()


def say(worker, path, *messages, answers, **options):
    """Send messages, and read that many answers."""

    async def talk():
        async with connected(worker.path, path, **options) as client:
            for message in messages:
                await client.send(message)
            return [await client.recv() for _ in range(answers)]

    return asyncio.run(talk())


@pytest.mark.parametrize("path", ["/ws/echo", "/v1/ws/echo"])
def test_a_message_becomes_a_query_with_and_without_the_prefix(worker, path):
    messages = ['{"a": 1, "zh": "你好"}', "[1]", "7", '"text"', "plain", "", '{"trace_id": "own"}']
    answers = say(worker, path, *messages, answers=len(messages))
    queries = [json.loads(answer) for answer in answers]
    trace_id = queries[0]["trace_id"]
    assert trace_id.startswith("traceid-") and len(trace_id) == 16
    assert queries == [
        {"a": 1, "zh": "你好", "trace_id": trace_id},
        {"payload": [1], "trace_id": trace_id},
        {"payload": 7, "trace_id": trace_id},
        {"payload": "text", "trace_id": trace_id},
        {"message": "plain", "trace_id": trace_id},
        {"message": "", "trace_id": trace_id},
        {"trace_id": "own"},
    ]
    assert '"zh":"你好"' in answers[0], "compact, and as it was written"


def test_a_trace_id_of_the_client_is_kept(worker):
    headers = {"x-trace-id": "mine-7"}
    (answer,) = say(worker, "/ws/echo", "{}", answers=1, additional_headers=headers)
    assert json.loads(answer) == {"trace_id": "mine-7"}


def test_bytes_come_as_the_body_and_go_as_bytes(worker):
    assert say(worker, "/ws/binary", b"\x01\x02", "text", b"", answers=3) == [
        b"\x02\x01",
        "null",
        b"",
    ]
    assert say(worker, "/ws/mixed", "go", answers=4) == ['"text"', b"\x00\xff", "null", "1.5"]


def test_a_function_runs_on_a_thread_and_sends_one_message(worker):
    (answer,) = say(worker, "/ws/shout", "hi", answers=1)
    assert json.loads(answer)["text"] == "HI"
    assert json.loads(answer)["thread"] != "MainThread"


def test_a_generator_sends_a_message_for_each_item(worker):
    answers = say(worker, "/ws/count", "2", "1", answers=3)
    assert [json.loads(answer)["i"] for answer in answers] == [0, 1, 0]


def test_a_synchronous_generator_sends_while_it_runs(worker):
    async def talk():
        async with connected(worker.path, "/ws/count_slowly") as client:
            await client.send("go")
            items = [json.loads(await client.recv()) for _ in range(3)]
            assert [item["i"] for item in items] == [0, 1, 2]

    asyncio.run(talk())


@pytest.mark.parametrize(
    ("path", "answers"),
    [
        ("raises", [{"message": "no such voice", "type": "websocket_error"}]),
        ("yields_an_error", [1, {"message": "enough", "type": "handler_error"}]),
        ("yields_an_error_slowly", [1, {"message": "enough", "type": "handler_error"}]),
        ("raises_midway", [1, {"message": "lost the thread", "type": "websocket_error"}]),
    ],
)
def test_errors_are_told_and_the_socket_stays(worker, path, answers):
    told = say(worker, f"/ws/{path}", "go", "go", answers=2 * len(answers))
    assert [json.loads(message) for message in told] == 2 * answers


def test_an_answer_that_cannot_be_sent_is_told(worker):
    (answer,) = say(worker, "/ws/not_serializable", "go", answers=1)
    assert json.loads(answer)["type"] == "websocket_error"


def test_objects_that_can_be_called_are_handlers(worker):
    assert say(worker, "/ws/called", "go", answers=1) == ['"called"']


def test_a_raw_handler_gets_the_socket_itself(worker):
    answers = say(worker, "/v1/ws/raw/blue/7", "hi", answers=2)
    assert json.loads(answers[0]) == ["/v1/ws/raw/blue/7", {"name": "blue", "n": 7}]
    assert answers[1] == "HI"
    assert say(worker, "/ws/raw_by_name", answers=1) == ["hello"]
    assert say(worker, "/ws/partial", answers=1) == ["partial"]


def test_a_path_may_have_a_socket_and_an_answer(worker):
    connection = _Connection(worker.path, 20)
    connection.request("GET", "/v1/ws/both")
    assert connection.getresponse().status == 200
    connection.close()
    assert json.loads(say(worker, "/v1/ws/both", "1", answers=1)[0])["payload"] == 1


@pytest.mark.parametrize("path", ["/nothing", "/v1/ws/state", "/ws"])
def test_a_path_without_a_socket_refuses_one(worker, path):
    assert asyncio.run(refused(worker.path, path))[0] == 403


@pytest.mark.parametrize("name", ["endless", "endless_slowly", "waits"])
def test_a_handler_stops_when_its_peer_leaves(worker, name):
    async def talk(leave):
        async with connected(worker.path, f"/ws/{name}", max_queue=2) as client:
            await client.send("go")
            await client.recv()
            await leave(client)

    async def vanish(client):
        client.transport.abort()

    for leave in (vanish, lambda client: client.close()):
        before = worker.state()["ended"].count(name)
        asyncio.run(talk(leave))
        until(lambda before=before: worker.state()["ended"].count(name) == before + 1)


@pytest.mark.parametrize("name", ["endless", "endless_slowly"])
def test_a_peer_that_does_not_read_stops_its_handler(worker, name):
    async def talk():
        async with connected(worker.path, f"/ws/{name}", max_queue=1) as client:
            await client.send("go")
            await client.recv()
            made = -1
            while made != (now := (await asyncio.to_thread(worker.state))["made"]):
                made = now
                await asyncio.sleep(0.1)
            for _ in range(2000):
                await client.recv()
            while (await asyncio.to_thread(worker.state))["made"] <= made:
                await asyncio.sleep(0.01)
            client.transport.abort()

    asyncio.run(talk())


def _is_query(value):
    return value if isinstance(value, dict) else {"payload": value}


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(values=st.lists(_JSON, min_size=1, max_size=8), ascii_only=st.booleans())
def test_every_json_value_comes_back_as_its_query(worker, values, ascii_only):
    texts = [json.dumps(value, ensure_ascii=ascii_only) for value in values]
    answers = say(worker, "/ws/echo", *texts, answers=len(texts))
    for value, answer in zip(values, answers, strict=True):
        query, told = _is_query(value), json.loads(answer)
        if not (isinstance(query.get("trace_id"), str) and query["trace_id"]):
            told.pop("trace_id")
            query = {name: member for name, member in query.items() if name != "trace_id"}
        assert told == query


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(messages=st.lists(st.text() | st.binary(), min_size=1, max_size=8))
def test_every_message_gets_one_answer_in_its_turn(worker, messages):
    answers = say(worker, "/ws/binary", *messages, answers=len(messages))
    wanted = [m[::-1] if isinstance(m, bytes) else "null" for m in messages]
    # A text that happens to be JSON may bring a body of its own, which is no bytes.
    texts = [not (isinstance(m, str) and "_request_body" in m) for m in messages]
    assert [a for a, ok in zip(answers, texts, strict=True) if ok] == [
        w for w, ok in zip(wanted, texts, strict=True) if ok
    ]


def test_a_worker_that_stops_finishes_what_runs_and_tells_its_peers(tmp_path):
    worker = HandlerWorker(tmp_path)

    async def talk():
        async with (
            connected(worker.path, "/ws/count_slowly") as busy,
            connected(worker.path, "/ws/echo") as idle,
        ):
            await busy.send("go")
            assert json.loads(await busy.recv())["i"] == 0
            worker.process.send_signal(signal.SIGTERM)
            assert [json.loads(await busy.recv())["i"] for _ in range(2)] == [1, 2]
            assert await closed(busy) == (1012, "the worker stops")
            assert await closed(idle) == (1012, "the worker stops")

    try:
        asyncio.run(talk())
        assert worker.process.wait(20) == 0
    finally:
        worker.close()
