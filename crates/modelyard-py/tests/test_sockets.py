"""WebSockets of model classes, with a client that others wrote."""

from __future__ import annotations

import asyncio
import json
import signal

import pytest

from conftest import until
from socket_client import closed, connected, refused


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("sockets:Sockets")


def state(worker):
    return worker.call("/predict").json()


def test_text_and_bytes_go_both_ways_in_order(worker):
    async def talk():
        async with connected(worker.path, "/echo") as client:
            sent = [*map(str, range(200)), b"", b"\x00\xff", "", "你好", "x" * 1_000_000]
            for message in sent:
                await client.send(message)
            assert [await client.recv() for _ in sent] == sent

    asyncio.run(talk())


def test_a_method_knows_the_request_and_chooses_the_protocol(worker):
    async def talk():
        options = {
            "subprotocols": ["v1", "v2"],
            "additional_headers": {"cookie": "a=1; b=2", "x-trace-id": "mine"},
            "user_agent_header": "tester",
        }
        async with connected(worker.path, "/rooms/blue%20one/7?a=1&b=", **options) as client:
            assert client.subprotocol == "v2"
            assert client.response.headers["x-room"] == "7"
            assert json.loads(await client.recv()) == {
                "params": {"room": "blue one", "n": 7},
                "query": {"a": "1", "b": ""},
                "agent": "tester",
                "cookies": {"a": "1", "b": "2"},
                "trace": "mine",
                "states": ["CONNECTED", "CONNECTED"],
            }
            assert await closed(client) == (1000, "")

    asyncio.run(talk())


def test_text_bytes_and_json_are_told_apart_and_a_close_has_a_code(worker):
    async def talk():
        async with connected(worker.path, "/kinds") as client:
            for message in ("one", b"\x02", '{"n": 3}', b"[4]", "not bytes"):
                await client.send(message)
            assert json.loads(await client.recv()) == ["one", [2], {"n": 3}, [4]]
            assert await client.recv() == b'{"binary":true}'
            assert await client.recv() == "the peer sent text, not bytes"
            assert await closed(client) == (4001, "enough")

    asyncio.run(talk())


def test_whoever_is_not_accepted_is_refused(worker):
    async def talk():
        assert await refused(worker.path, "/refuses") == (403, b"")
        assert await refused(worker.path, "/refuses?how=close") == (403, b"")
        assert await refused(worker.path, "/refuses?how=body") == (402, b'{"message":"pay first"}')
        assert (await refused(worker.path, "/raises?early=1"))[0] == 500
        assert (await refused(worker.path, "/nothing"))[0] == 404

    asyncio.run(talk())


def test_a_method_that_raises_closes_with_1011_and_says_why(worker):
    async def talk():
        async with connected(worker.path, "/raises") as client:
            assert await closed(client) == (1011, "lost the thread")

    asyncio.run(talk())


def test_a_method_that_sends_before_it_accepts_is_told(worker):
    async def talk():
        async with connected(worker.path, "/careless") as client:
            assert "accept the WebSocket first" in await client.recv()

    asyncio.run(talk())


def test_a_method_that_listens_learns_how_its_peer_left_and_may_tidy_up(worker):
    async def leave(end):
        async with connected(worker.path, "/listens") as client:
            await client.send("hello")
            await end(client)

    before = len(state(worker)["ends"])
    asyncio.run(leave(lambda client: client.close(4000, "bye")))
    until(lambda: state(worker)["ends"][before:] == [[4000, "bye"], "tidy"])

    async def vanish(client):
        client.transport.abort()

    asyncio.run(leave(vanish))
    until(lambda: state(worker)["ends"][before + 2 :] == [[1006, ""], "tidy"])


def test_a_method_that_does_something_else_is_cancelled_when_its_peer_vanishes(worker):
    async def vanish():
        async with connected(worker.path, "/sleeps") as client:
            client.transport.abort()

    before = state(worker)["ends"].count("woken")
    asyncio.run(vanish())
    until(lambda: state(worker)["ends"].count("woken") == before + 1)


def test_a_peer_that_does_not_read_stops_the_method_and_nobody_else(worker):
    async def talk():
        async with connected(worker.path, "/floods", max_queue=1) as client:
            await client.recv()
            made = -1
            while made != (now := (await asyncio.to_thread(state, worker))["made"]):
                made = now
                await asyncio.sleep(0.1)
            for _ in range(1000):
                await client.recv()
            while (await asyncio.to_thread(state, worker))["made"] <= made:
                await asyncio.sleep(0.01)
            client.transport.abort()

    asyncio.run(talk())
    until(lambda: any(isinstance(e, list) and e[0] == "flood" for e in state(worker)["ends"]))


def test_a_method_that_does_not_listen_stops_its_peer(worker):
    async def talk():
        async with connected(worker.path, "/idles", write_limit=1024) as client:
            sent = 0
            try:
                while sent < 2_000:
                    async with asyncio.timeout(1):
                        await client.send(b"x" * 100_000)
                    sent += 1
            except TimeoutError:
                pass
            # What fits into the buffers on the way, and no more.
            assert sent < 200
            client.transport.abort()

    asyncio.run(talk())
    assert worker.call("/busy").json() == "served"


def test_a_socket_holds_a_place_and_gives_it_back(start):
    worker = start("sockets:Sockets", launch={})

    async def talk():
        async with asyncio.timeout(20):
            open_ones = [connected(worker.path, "/echo") for _ in range(8)]
            for one in open_ones:
                await one.__aenter__()
            assert (await refused(worker.path, "/echo"))[0] == 503
            for one in open_ones:
                await one.__aexit__(None, None, None)

    asyncio.run(talk())
    until(lambda: worker.call("/busy").status == 200)


def test_a_worker_that_stops_tells_its_peers(start):
    worker = start("sockets:Sockets")

    async def talk():
        async with connected(worker.path, "/listens") as client:
            await client.send("hello")
            pong = await client.ping()
            await pong
            worker.process.send_signal(signal.SIGTERM)
            assert await closed(client) == (1012, "the worker stops")

    asyncio.run(talk())
    assert worker.process.wait(20) == 0


@pytest.mark.parametrize(
    ("code", "complaint"),
    [
        ("@websocket\n    def f(self, s): ...", "async def"),
        ("@websocket\n    async def f(self): ...", "one parameter"),
        ("@websocket\n    @batch\n    async def f(self, s): ...", "no batch"),
    ],
)
def test_what_cannot_be_a_socket_is_named(tmp_path, code, complaint):
    from modelyard._load import load
    from modelyard._routes import routes_of
    from modelyard._shapes import Unreadable

    file = tmp_path / "wrong.py"
    file.write_text(f"from modelyard import batch, websocket\nclass M:\n    {code}\n")
    with pytest.raises(Unreadable, match=complaint):
        routes_of(load(f"{file}:M")())
