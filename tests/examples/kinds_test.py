"""crates/worker/examples/kinds.rs, a worker in Rust: alone, and behind a gateway that starts it."""

import asyncio
import http.client
import subprocess

import pytest
import websockets
from harness import ROOT, Server, free_port, serving, stop, wait_for_port

PROGRAM = ROOT / "target/debug/examples/kinds"

BEHIND = f"""
[models.kinds]
kind = "command"
command = ["{PROGRAM}"]
"""


@pytest.fixture(scope="module", params=["alone", "behind a gateway"])
def kinds(request, folder):
    """Where the worker answers, and what its paths begin with."""
    if request.param == "alone":
        port = free_port()
        process = subprocess.Popen([PROGRAM, f"tcp:127.0.0.1:{port}"])
        server = Server(port, folder / "no.log", process)
        server.log.write_text("it writes none")
        wait_for_port(port, process)
        yield server, ""
        stop(server)
    else:
        with serving(folder, config=BEHIND) as server:
            yield server, "/invoke/kinds"


def test_json_in_and_json_out(kinds):
    server, at = kinds
    assert server.post(f"{at}/square", {"n": 12}).json() == {"square": 144}
    assert server.post(f"{at}/square", {"n": 2**63}).status == 422
    assert server.post(f"{at}/square", {"m": 1}).status == 422


def test_calls_that_are_batched_each_get_their_own_answer(kinds):
    server, at = kinds

    async def ask(n):
        return await asyncio.to_thread(server.post, f"{at}/square-many", {"n": n})

    async def ask_all():
        return await asyncio.gather(*(ask(n) for n in (*range(20), 2**63)))

    *good, bad = asyncio.run(ask_all())
    assert [answer.json()["square"] for answer in good] == [n * n for n in range(20)]
    assert bad.status == 422


def test_events_come_one_by_one(kinds):
    server, at = kinds
    answer = server.post(f"{at}/count")
    assert answer.headers["content-type"].startswith("text/event-stream")
    assert answer.text() == "data: 1\n\ndata: 2\n\ndata: 3\n\n"


def test_lines_of_json(kinds):
    server, at = kinds
    assert server.get(f"{at}/squares").text() == '{"square":1}\n{"square":4}\n{"square":9}\n'


def test_bytes_of_any_kind_come_back(kinds):
    server, at = kinds
    body = bytes(range(256)) * 4096
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=30)
    connection.request("PUT", f"{at}/raw", body)
    assert connection.getresponse().read() == body
    connection.close()


def test_a_socket_shouts_back(kinds):
    server, at = kinds

    async def shout():
        url = f"ws://127.0.0.1:{server.port}{at}/shout"
        async with websockets.connect(url) as socket:
            await socket.send("hello")
            await socket.send(b"\x00\x01")
            return await socket.recv(), await socket.recv()

    assert asyncio.run(asyncio.wait_for(shout(), 30)) == ("HELLO", b"\x00\x01")


def test_the_default_route_is_the_first(kinds):
    server, at = kinds
    # Only a gateway has such a thing, and it wraps the answer.
    answer = server.post(at or "/square", {"n": 3}).json()
    assert (answer["result"] if at else answer) == {"square": 9}
