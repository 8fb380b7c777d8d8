"""WebSockets of a model class; each writes down what happened to it."""

import asyncio

from modelyard import Model, WebSocket, WebSocketDisconnect, route, websocket

PIECE = "x" * 10_000


class Sockets(Model):
    capacity = 8

    def setup(self, ctx):
        self.ends: list[object] = []
        self.made = 0

    async def predict(self, payload):
        return {"ends": self.ends, "made": self.made}

    @websocket
    async def echo(self, socket: WebSocket):
        await socket.accept()
        async for message in socket:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)

    @websocket(path="/rooms/{room}/{n:int}", summary="A room.")
    async def room(self, socket: WebSocket):
        await socket.accept(subprotocol=socket.subprotocols[-1], headers={"x-room": "7"})
        await socket.send_json(
            {
                "params": socket.path_params,
                "query": socket.query_params,
                "agent": socket.headers["USER-AGENT"],
                "cookies": socket.cookies,
                "trace": socket.trace_id,
                "states": [socket.client_state.name, socket.application_state.name],
            }
        )

    @websocket
    async def kinds(self, socket: WebSocket):
        """Takes a text, bytes, JSON as text and JSON as bytes, and says what they were."""
        await socket.accept()
        text = await socket.receive_text()
        data = await socket.receive_bytes()
        first = await socket.receive_json()
        second = await socket.receive_json(mode="binary")
        await socket.send_json([text, list(data), first, second])
        await socket.send_json({"binary": True}, mode="binary")
        try:
            await socket.receive_bytes()
        except TypeError as error:
            await socket.send_text(str(error))
        await socket.close(4001, "enough")
        await socket.close(4002)

    @websocket
    async def refuses(self, socket: WebSocket):
        if socket.query_params.get("how") == "body":
            await socket.refuse(402, {"message": "pay first"})
        elif socket.query_params.get("how") == "close":
            await socket.close()

    @websocket
    async def raises(self, socket: WebSocket):
        if socket.query_params.get("early"):
            raise ValueError("before it was accepted")
        await socket.accept()
        raise ValueError("lost the thread")

    @websocket
    async def careless(self, socket: WebSocket):
        try:
            await socket.send_text("too early")
        except RuntimeError as error:
            await socket.accept()
            await socket.send_text(str(error))

    @websocket
    async def listens(self, socket: WebSocket):
        await socket.accept()
        try:
            while True:
                await socket.receive_text()
        except WebSocketDisconnect as gone:
            self.ends.append([gone.code, gone.reason])
            await asyncio.sleep(0.01)
            self.ends.append("tidy")

    @websocket
    async def sleeps(self, socket: WebSocket):
        await socket.accept()
        try:
            await asyncio.sleep(60)
        finally:
            self.ends.append("woken")

    @websocket
    async def floods(self, socket: WebSocket):
        await socket.accept()
        try:
            while True:
                await socket.send_text(PIECE)
                self.made += 1
        except WebSocketDisconnect as gone:
            self.ends.append(["flood", gone.code])
            raise

    @websocket
    async def idles(self, socket: WebSocket):
        """Takes nothing until it is cancelled."""
        await socket.accept()
        await asyncio.sleep(60)

    @route(timeout_s=5)
    async def busy(self, payload):
        return "served"
