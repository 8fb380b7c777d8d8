"""A WebSocket of a Python model, reached through the gateway with a client that others wrote."""

import asyncio

import pytest
from harness import serving
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

MODEL = """
from modelyard import Model, websocket


class Parrot(Model):
    async def predict(self, payload):
        return self.heard

    @websocket
    async def chat(self, socket):
        self.heard = []
        await socket.accept(subprotocol=socket.subprotocols[0])
        async for message in socket:
            if message == "enough":
                await socket.close(4001, "as you like")
                return
            self.heard.append(len(message))
            send = socket.send_text if isinstance(message, str) else socket.send_bytes
            await send(message)
"""


@pytest.fixture(scope="module")
def server(folder):
    file = folder / "parrot.py"
    file.write_text(MODEL)
    with serving(folder, f"{file}:Parrot") as server:
        yield server


def test_messages_pass_the_gateway_both_ways_and_so_does_the_close(server):
    async def talk():
        url = server.url.replace("http://", "ws://") + "/invoke/parrot/chat"
        async with asyncio.timeout(20), connect(url, subprotocols=["v1"]) as client:
            assert client.subprotocol == "v1"
            for message in ("hi", "", "你好", b"\x00" * 100_000):
                await client.send(message)
                assert await client.recv() == message
            await client.send("enough")
            with pytest.raises(ConnectionClosed) as closed:
                await client.recv()
            return closed.value.rcvd

    close = asyncio.run(talk())
    assert (close.code, close.reason) == (4001, "as you like")
    assert server.post("/invoke/parrot", {}).json()["result"] == [2, 0, 2, 100_000]
