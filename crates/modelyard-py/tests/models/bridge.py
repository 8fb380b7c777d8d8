"""A worker that extends its FastAPI application: `python bridge.py PATH [middleware]`."""

import asyncio
import sys
import time
from contextlib import asynccontextmanager

from fastapi import FastAPI, HTTPException, WebSocket, WebSocketDisconnect
from pydantic import BaseModel
from starlette.middleware.base import BaseHTTPMiddleware
from starlette.responses import JSONResponse, StreamingResponse

from modelyard.handler import Handler, RouterDef, RouterKind, Server

seen: list[str] = []


async def echo(query):
    query.pop("_request_body", None)
    return query


def shout(query):
    return str(query["text"]).upper()


def both(query):
    yield 1
    yield 2


async def count(query):
    for i in range(3):
        yield {"i": i, "zh": "你好"}


def count_slowly(query):
    yield from range(3)


async def refuses(query):
    raise HTTPException(402, "pay first")


async def fails(query):
    raise ValueError("no such voice")


async def streams_and_fails(query):
    yield 1
    raise ValueError("lost the thread")


async def endless(query):
    try:
        while True:
            yield "x" * 1000
    finally:
        seen.append("endless")


async def silent(query):
    await asyncio.sleep(60)


async def socket(query):
    return query["payload"] * 2


async def raw(websocket: WebSocket):
    await websocket.accept()
    try:
        while True:
            await websocket.send_text((await websocket.receive_text())[::-1])
    except WebSocketDisconnect as gone:
        seen.append(f"raw {gone.code}")


SSE, WS = RouterKind.SSE, RouterKind.WS
server = Server(
    {
        "ours": [
            *(RouterDef(f.__name__, f) for f in (echo, shout, both, refuses, fails)),
            RouterDef("silent", silent, timeout=0.3),
            *(RouterDef(f.__name__, f, kind=SSE) for f in (count, count_slowly, endless)),
            RouterDef("streams_and_fails", streams_and_fails, kind=SSE),
            *(RouterDef(f.__name__, f, kind=WS) for f in (socket, raw)),
        ]
    },
    socket_path=sys.argv[1],
)


class Order(BaseModel):
    name: str
    n: int = 1


@server.app.post("/orders/{place}")
async def order(place: str, order: Order):
    return {"place": place, "order": order.model_dump()}


@server.app.get("/seen")
async def what_was_seen():
    return seen


@server.app.get("/teapot")
def teapot():
    raise HTTPException(418, "short and stout", headers={"x-tea": "green"})


@server.app.get("/bug")
async def bug():
    raise RuntimeError("a secret")


@server.app.get("/leave/{how}")
async def leave(how: str):
    raise KeyboardInterrupt if how == "interrupted" else SystemExit(3)


@server.app.get("/pieces")
async def pieces():
    async def made():
        try:
            while True:
                yield b"x" * 1000
        finally:
            seen.append("pieces")

    return StreamingResponse(made())


@server.app.websocket("/theirs/{name}")
async def theirs(websocket: WebSocket, name: str):
    if name == "nobody":
        await websocket.close()
        return
    await websocket.accept(subprotocol=(websocket.scope["subprotocols"] or [None])[0])
    await websocket.send_json({"name": name, "query": dict(websocket.query_params)})
    await websocket.send_bytes(await websocket.receive_bytes())


@asynccontextmanager
async def lifespan(app: FastAPI):
    seen.append("begun")
    yield


server.app.router.lifespan_context = lifespan


class Timed:
    """A plain ASGI middleware: marks each answer."""

    def __init__(self, app, mark):
        self.app, self.mark = app, mark

    async def __call__(self, scope, receive, send):
        begun = time.monotonic()

        async def marked(message):
            if message["type"] == "http.response.start":
                took = f"{time.monotonic() - begun:.3f}".encode()
                message["headers"] = [*message["headers"], (self.mark, took)]
            await send(message)

        await self.app(scope, receive, marked)


class Guard(BaseHTTPMiddleware):
    """One of Starlette's: turns callers away, and changes answers."""

    async def dispatch(self, request, call_next):
        if request.headers.get("x-key") == "wrong":
            return JSONResponse({"message": "wrong key", "type": "http_error"}, 401)
        if request.headers.get("x-key") == "leave":
            sys.exit(4)
        response = await call_next(request)
        response.headers["x-guarded"] = request.method
        return response


if __name__ == "__main__":
    if "middleware" in sys.argv:
        server.add_middleware(Timed, mark=b"x-took")
        server.add_middleware(Guard)
    Handler(server).serve()
