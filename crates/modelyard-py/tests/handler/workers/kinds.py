"""A handler of each kind, and each way to go wrong."""

import asyncio
import dataclasses
import datetime
import functools
import os
import time

from modelyard.handler import (
    Handler,
    HTTPException,
    HTTPMethod,
    RouterConfig,
    RouterDef,
    RouterError,
    RouterKind,
    Server,
    ServerError,
)


def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\n")


def shown(query):
    return {k: v.decode() if isinstance(v, bytes) else v for k, v in query.items()}


async def echo(query):
    return shown(query)


async def length(query):
    return len(query["_request_body"])


async def payload(query):
    yield query["payload"]


def add(query):
    return query["a"] + query["b"]


async def acount(query):
    for i in range(query.get("n", 3)):
        yield {"i": i, "zh": "你好"}


def count(query):
    yield from range(int(query.get("n", 3)))


class Asynchronous:
    async def __call__(self, query):
        return asyncio.get_running_loop() is not None


class Generating:
    async def __call__(self, query):
        yield "a"
        yield "b"


@dataclasses.dataclass
class Point:
    x: int
    when: datetime.date


async def odd(query):
    return {
        "point": Point(1, datetime.date(2026, 1, 2)),
        "set": {7},
        "bytes": "é".encode(),
        "path": RouterKind.SSE,
    }


async def with_object(query):
    return {"what": object()}


async def items(query):
    yield "plain text"
    yield 1.5
    yield None
    yield [1, {"a": 1e16, "b": 1e-7, "c": 10**30}]


async def raises(query):
    if query.get("http"):
        raise HTTPException(query["http"], query.get("detail", "why"), {"x-why": "because"})
    if query.get("router"):
        raise RouterError("no road")
    raise ValueError("boom")


def raises_on_a_thread(query):
    raise KeyError("voice")


class Unspeakable(Exception):
    def __str__(self):
        raise RuntimeError("no words")


class Unprintable:
    def __repr__(self):
        raise SystemExit("no picture")


def unspeakable(how):
    if how == "exit":
        return SystemExit(Unprintable())
    if how == "router":
        return type("Roadless", (RouterError, Unspeakable), {"__str__": Unspeakable.__str__})("x")
    if how == "status":
        return HTTPException(400, Unprintable())
    if how == "surrogate":
        return ValueError("\ud800")
    return Unspeakable()


async def raises_unspeakable(query):
    raise unspeakable(query.get("how"))


def raises_unspeakable_on_a_thread(query):
    raise unspeakable(query.get("how"))


async def yields_unspeakable(query):
    yield unspeakable(None)


def streams_unspeakable(query):
    yield 1
    raise unspeakable(query.get("how"))


async def yields_error(query):
    yield 1
    yield ServerError("oh")
    yield 2


async def raises_midway(query):
    yield 1
    raise ValueError("boom")


def raises_midway_on_a_thread(query):
    yield 1
    raise ValueError("boom")


async def unsendable(query):
    yield {1, 2}


async def silent(query):
    try:
        await asyncio.sleep(60)
        yield 1
    finally:
        note("silent-closed")


def silent_on_a_thread(query):
    time.sleep(1.5)
    yield 1


async def endless(query):
    try:
        while True:
            yield "x" * 100
    finally:
        note("endless-closed")


def endless_on_a_thread(query):
    try:
        while True:
            yield "x" * 100
    finally:
        note("thread-closed")


async def waits(query):
    note("waits-begun")
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        note("waits-cancelled")
        raise


async def sleeps(query):
    note("sleeps-begun")
    await asyncio.sleep(query["s"])
    return "slept"


def blocks(query):
    note("blocks-begun")
    time.sleep(query["s"])
    return "blocked"


def returns_coroutine(query):
    return echo(query)


def returns_generator(query):
    return count(query)


def returns_async_generator(query):
    return acount(query)


R, SSE, GET = RouterDef, RouterKind.SSE, HTTPMethod.GET
ROUTERS = {
    "api": [
        R("echo", echo),
        R("add", add),
        R("length", length),
        R("acount", acount),
        R("count", count),
        R("object", Asynchronous()),
        R("generating", Generating()),
        R("partial", functools.partial(echo)),
        R("odd", odd),
        R("with_object", with_object),
        R("raises", raises),
        R("raises_on_a_thread", raises_on_a_thread),
        R("yields_error", yields_error),
        R("raises_unspeakable", raises_unspeakable),
        R("raises_unspeakable_on_a_thread", raises_unspeakable_on_a_thread),
        R("yields_unspeakable", yields_unspeakable),
        R("waits", waits),
        R("brief", waits, timeout=0.2),
        R("brief_on_a_thread", blocks, timeout=0.2),
        R("sleeps", sleeps),
        R("blocks", blocks),
        R("returns_coroutine", returns_coroutine),
        R("returns_generator", returns_generator),
        R("returns_async_generator", returns_async_generator),
        R("by_get", echo, method=GET),
        R("by_put", echo, method="put"),
        R("files/{name}/{n:int}", echo, method=GET),
    ],
    "sse": [
        R("items", items, "sse"),
        R("payload", payload, "sse"),
        R("acount", acount, SSE),
        R("count", count, SSE),
        R("one", echo, SSE),
        R("one_on_a_thread", add, SSE),
        R("generating", Generating(), SSE),
        R("raises", raises, SSE),
        R("raises_on_a_thread", raises_on_a_thread, SSE),
        R("yields_error", yields_error, SSE),
        R("raises_unspeakable", raises_unspeakable, SSE),
        R("raises_unspeakable_on_a_thread", raises_unspeakable_on_a_thread, SSE),
        R("yields_unspeakable", yields_unspeakable, SSE),
        R("streams_unspeakable", streams_unspeakable, SSE),
        R("raises_midway", raises_midway, SSE),
        R("raises_midway_on_a_thread", raises_midway_on_a_thread, SSE),
        R("unsendable", unsendable, SSE),
        R("silent", silent, SSE, timeout=0.3),
        R("silent_on_a_thread", silent_on_a_thread, SSE, timeout=0.3),
        R("endless", endless, SSE),
        R("endless_brief", endless, SSE, timeout=0.3),
        R("endless_on_a_thread", endless_on_a_thread, SSE),
        R("own_head", acount, SSE, sse_headers={"X-Own": "1"}),
        R("returns_async_generator", returns_async_generator, SSE),
    ],
    "models": [R("", echo, method=GET)],
    "order": [R("{rest:path}", echo, method=GET, order=999), R("first", count, method=GET)],
    "": [R("bare", echo)],
}


if __name__ == "__main__":
    prefix = os.environ.get("PREFIX", "")
    capacity = int(os.environ.get("CAPACITY", "4096"))
    server = Server(
        routers=ROUTERS,
        router_config=RouterConfig(timeout=20),
        prefix=prefix,
        app_name="kinds of handlers",
        enable_cors=True,
        cors_origins=["https://shop.example"],
        capacity=capacity,
        body_bytes_max=20_000,
    )
    Handler(server=server).serve()
