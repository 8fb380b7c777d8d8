"""A worker with WebSocket handlers of every kind: `python socket_handlers.py PATH`."""

import asyncio
import functools
import sys
import threading
import time

from modelyard import WebSocket
from modelyard.handler import Handler, HTTPException, RouterDef, RouterKind, Server

seen: dict[str, object] = {"ended": [], "made": 0}


async def echo(query):
    return query


async def binary(query):
    body = query.get("_request_body")
    return None if body is None else bytes(reversed(body))


def shout(query):
    return {"text": str(query.get("message")).upper(), "thread": threading.current_thread().name}


async def count(query):
    for i in range(query.get("payload", 3)):
        yield {"i": i, "zh": "你好"}


def count_slowly(query):
    # Drained first, the first would come as late as the last.
    for i in range(3):
        yield {"i": i, "at": time.monotonic()}
        time.sleep(0.05)


async def raises(query):
    if query.get("message") == "status":
        raise HTTPException(418, "short and stout")
    raise ValueError("no such voice")


async def yields_an_error(query):
    yield 1
    yield ValueError("enough")
    yield 2


async def raises_midway(query):
    yield 1
    raise ValueError("lost the thread")


def yields_an_error_slowly(query):
    yield 1
    yield ValueError("enough")
    yield 2


async def not_serializable(query):
    return {1, 2}


async def mixed(query):
    yield "text"
    yield b"\x00\xff"
    yield None
    yield 1.5


async def endless(query):
    try:
        while True:
            seen["made"] += 1
            yield "x" * 1000
    finally:
        seen["ended"].append("endless")


def endless_slowly(query):
    try:
        while True:
            seen["made"] += 1
            yield "x" * 1000
    finally:
        seen["ended"].append("endless_slowly")


async def waits(query):
    try:
        yield "asleep"
        await asyncio.sleep(60)
    finally:
        seen["ended"].append("waits")


class Callable:
    async def __call__(self, query):
        return "called"


async def raw(socket: WebSocket):
    await socket.accept()
    await socket.send_json([socket.path, socket.path_params])
    async for text in socket.iter_text():
        await socket.send_text(text.upper())


async def raw_by_name(socket: "WebSocket", greeting="hello"):
    await socket.accept()
    await socket.send_text(greeting)


async def state(query):
    return seen


def ws(path, handler):
    return RouterDef(path, handler, kind=RouterKind.WS)


if __name__ == "__main__":
    routes = [
        ws(handler.__name__, handler)
        for handler in (
            *(echo, binary, shout, count, count_slowly, raises, yields_an_error, raises_midway),
            *(yields_an_error_slowly, not_serializable, mixed, endless, endless_slowly, waits),
            raw_by_name,
        )
    ]
    routes += [ws("called", Callable()), ws("raw/{name}/{n:int}", raw)]
    routes += [ws("partial", functools.partial(raw_by_name, greeting="partial"))]
    routes += [ws("both", echo), RouterDef("both", state, method="GET"), RouterDef("state", state)]
    Handler(Server({"ws": routes}, prefix="/v1", socket_path=sys.argv[1])).serve()
