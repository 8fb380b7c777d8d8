"""The FastAPI application of a server, and middleware around all that it serves."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import Answer, _Connection, until
from socket_client import connected, refused

WORKER = Path(__file__).parent / "models" / "bridge.py"


class BridgeWorker:
    """A worker process with an application."""

    def __init__(self, directory: Path, *arguments: str) -> None:
        self.path = str(directory / "s")
        self.wrapped = "middleware" in arguments
        self.log = (directory / "log").open("w+b")
        self.process = subprocess.Popen(
            [sys.executable, WORKER, self.path, *arguments],
            stdout=self.log,
            stderr=self.log,
            env={**os.environ, "REGISTER_ENABLED": "false"},
        )
        until(lambda: self.process.poll() is not None or os.path.exists(self.path), 30)

    def send(self, method: str, path: str, body: Any = None, **headers: str) -> _Connection:
        connection = _Connection(self.path, 20)
        data = None if body is None else json.dumps(body)
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, data, {"content-type": "application/json", **names})
        return connection

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Answer:
        connection = self.send(method, path, body, **headers)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def seen(self) -> list[str]:
        return self.call("GET", "/seen").json()

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.log.close()


@pytest.fixture(scope="module", params=["plain", "middleware"])
def worker(request, tmp_path_factory) -> Iterator[BridgeWorker]:
    worker = BridgeWorker(tmp_path_factory.mktemp("b"), request.param)
    yield worker
    worker.close()


def test_our_routes_answer_as_ever(worker):
    answer = worker.call("POST", "/ours/echo?u=1", {"a": [1.5, "你好"]}, x_trace_id="mine")
    assert answer.json() == {"u": "1", "a": [1.5, "你好"], "trace_id": "mine"}
    assert answer.headers["x-trace-id"] == "mine"
    assert worker.call("POST", "/ours/shout", {"text": "hi"}).body == b'"HI"'
    assert worker.call("POST", "/ours/both").json() == {"results": [1, 2]}


def test_our_errors_look_as_ever(worker):
    answer = worker.call("POST", "/ours/refuses")
    assert (answer.status, answer.json()) == (402, {"message": "pay first", "type": "http_error"})
    answer = worker.call("POST", "/ours/fails")
    assert (answer.status, answer.json()["type"]) == (500, "api_error")
    answer = worker.call("POST", "/ours/silent")
    assert (answer.status, answer.json()["type"]) == (504, "timeout_error")


def test_our_streams_come_as_ever(worker):
    answer = worker.call("POST", "/ours/count")
    assert answer.type == "text/event-stream; charset=utf-8"
    assert answer.headers["x-accel-buffering"] == "no"
    items = [f'data: {{"i": {i}, "zh": "你好"}}\n\n' for i in range(3)]
    assert answer.text == "".join(items) + "data: [DONE]\n\n"
    slowly = worker.call("POST", "/ours/count_slowly").text
    assert slowly == "data: 0\n\ndata: 1\n\ndata: 2\n\ndata: [DONE]\n\n"
    failed = worker.call("POST", "/ours/streams_and_fails").text
    error = '{"message": "lost the thread", "type": "sse_error"}'
    assert failed == f"data: 1\n\ndata: {error}\n\n"


@pytest.mark.parametrize(("path", "name"), [("/ours/endless", "endless"), ("/pieces", "pieces")])
def test_code_stops_when_its_reader_leaves(worker, path, name):
    before = worker.seen().count(name)
    connection = worker.send("POST" if name == "endless" else "GET", path)
    response = connection.getresponse()
    response.read(100_000)
    response.close()
    connection.close()
    if worker.wrapped and name == "pieces":
        # Starlette's middleware leaves it to the collector of garbage when the generator ends.
        assert worker.call("POST", "/ours/echo").status == 200
    else:
        until(lambda: worker.seen().count(name) == before + 1)


def test_routes_of_the_application_are_served(worker):
    answer = worker.call("POST", "/orders/oslo?x=1", {"name": "tea"})
    assert answer.json() == {"place": "oslo", "order": {"name": "tea", "n": 1}}
    assert "begun" in worker.seen()


def test_what_does_not_fit_is_told_field_by_field(worker):
    answer = worker.call("POST", "/orders/oslo", {"n": "many"})
    assert answer.status == 422
    told = answer.json()
    assert (told["message"], told["type"]) == ("Request validation failed", "validation_error")
    assert [(d["field"], d["type"]) for d in told["details"]] == [
        ("body.name", "missing"),
        ("body.n", "int_parsing"),
    ]


@pytest.mark.parametrize(
    ("method", "path", "status", "told"),
    [
        ("GET", "/nothing", 404, {"message": "Not Found", "type": "http_error"}),
        ("PUT", "/ours/echo", 405, {"message": "Method Not Allowed", "type": "http_error"}),
        ("PUT", "/seen", 405, {"message": "Method Not Allowed", "type": "http_error"}),
        ("GET", "/teapot", 418, {"message": "short and stout", "type": "http_error"}),
        ("GET", "/bug", 500, {"message": "Internal server error", "type": "internal_error"}),
    ],
)
def test_errors_of_the_application_have_our_shape(worker, method, path, status, told):
    answer = worker.call(method, path)
    assert (answer.status, answer.json()) == (status, told)


def test_the_pages_are_there_and_tell_of_both(worker):
    assert worker.call("GET", "/health").json() == {"status": "ok"}
    paths = worker.call("GET", "/openapi.json").json()["paths"]
    assert {"/ours/echo", "/orders/{place}"} <= set(paths)


def test_middleware_sees_every_answer(worker):
    for method, path in [
        ("POST", "/ours/echo"),
        ("POST", "/ours/shout"),
        ("POST", "/ours/count"),
        ("POST", "/ours/fails"),
        ("GET", "/seen"),
        ("GET", "/health"),
        ("GET", "/nothing"),
    ]:
        answer = worker.call(method, path, {"text": "x"} if method == "POST" else None)
        marks = (answer.headers.get("x-guarded"), "x-took" in answer.headers)
        assert marks == ((method, True) if worker.wrapped else (None, False)), path


def test_middleware_turns_callers_away(worker):
    status = worker.call("POST", "/ours/echo", {}, x_key="wrong").status
    assert status == (401 if worker.wrapped else 200)


def test_sockets_are_served_with_and_without_middleware(worker):
    async def talk():
        async with connected(worker.path, "/ours/socket") as client:
            await client.send("21")
            assert await client.recv() == "42"
        async with connected(worker.path, "/ours/raw") as client:
            await client.send("abc")
            assert await client.recv() == "cba"
            await client.close(4000)
        options = {"subprotocols": ["v2"]}
        async with connected(worker.path, "/theirs/blue?a=1", **options) as client:
            assert client.subprotocol == "v2"
            assert json.loads(await client.recv()) == {"name": "blue", "query": {"a": "1"}}
            await client.send(b"\x00")
            assert await client.recv() == b"\x00"
        assert (await refused(worker.path, "/theirs/nobody"))[0] == 403
        assert (await refused(worker.path, "/nothing"))[0] == 403

    asyncio.run(talk())
    until(lambda: "raw 4000" in worker.seen())


def test_without_fastapi_it_is_said_what_to_install():
    code = (
        "import sys; sys.modules['fastapi'] = None\n"
        "from modelyard.handler import Server\n"
        "try: Server({}).app\n"
        "except ImportError as error: print(error)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert "pip install 'modelyard[compat]'" in done.stdout, done.stderr


def test_code_that_wants_to_exit_only_ends_its_call(worker):
    for how in ("exited", "interrupted"):
        answer = worker.call("GET", f"/leave/{how}")
        error = {"message": "Internal server error", "type": "internal_error"}
        assert (answer.status, answer.json()) == (500, error)
    if worker.wrapped:
        assert worker.call("GET", "/teapot", x_key="leave").status == 500
    assert worker.call("GET", "/teapot").status == 418
    assert worker.process.poll() is None
    assert b"SystemExit: 3" in Path(worker.log.name).read_bytes()
