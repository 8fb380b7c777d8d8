"""A worker written for gmi-ieops, which runs on theirs and on ours as it is.

Its routes are the questions of `conversation.py`: handlers of each kind, well-behaved and not.
"""

import asyncio
import functools
import sys
import time

from fastapi import HTTPException, WebSocket
from gmi_ieops.config import env
from gmi_ieops.handler import Handler, HTTPMethod, RouterConfig, RouterDef, RouterKind, Server
from gmi_ieops.handler.server import ServerError

API, SSE, WS = RouterKind.API, RouterKind.SSE, RouterKind.WS


def fields(query):
    """What the client said; the raw body and the trace id are shown by routes of their own."""
    hidden = ("_request_body", "trace_id")
    return {name: value for name, value in query.items() if name not in hidden}


async def echo(query):
    return fields(query)


def echo_in_thread(query):
    return fields(query)


async def trace(query):
    return {"trace_id": query["trace_id"]}


async def raw_body(query):
    body = query.get("_request_body")
    return {"bytes": None if body is None else len(body)}


async def value(query):
    """The answer that the client asks for."""
    return query.get("value")


async def none_at_all(query):
    return None


async def no_json(query):
    return {"what": object()}


async def raises(query):
    raise ValueError("it was not to be")


def raises_in_thread(query):
    raise KeyError("voice")


async def refuses(query):
    raise HTTPException(status_code=400, detail="Messages required")


async def slow(query):
    await asyncio.sleep(30)


def sleeps(query):
    time.sleep(1)


async def count(query):
    for number in range(query.get("n", 3)):
        yield {"i": number, "zh": "你好"}


def count_in_thread(query):
    yield from ({"i": number} for number in range(query.get("n", 3)))


async def items(query):
    for item in ("plain str", 7, 1.5, None, True, [1, 2], {"a": {"b": "ü"}}, ""):
        yield item


async def fails_midway(query):
    yield {"i": 0}
    raise RuntimeError("out of memory")


def fails_midway_in_thread(query):
    yield {"i": 0}
    raise RuntimeError("out of memory")


async def fails_first(query):
    if query.get("go"):
        yield {"i": 0}
    raise RuntimeError("nothing came")


async def says_error(query):
    yield {"i": 0}
    yield ServerError("no more")
    yield {"i": 1}


async def no_json_midway(query):
    yield {"i": 0}
    yield {"what": {1, 2}}


async def ticks(query):
    for number in range(40):
        yield {"i": number}
        await asyncio.sleep(0.2)


async def silent(query):
    yield {"i": 0}
    await asyncio.sleep(3)
    yield {"i": 1}


async def raw_socket(socket: WebSocket):
    await socket.accept()
    text = await socket.receive_text()
    await socket.send_text(text[::-1])
    await socket.send_json({"n": len(text)})
    await socket.close(4001)


class Callable:
    async def __call__(self, query):
        return {"called": True}


class Voices:
    async def voice(self, query):
        return {"by": "method", **fields(query)}


def api(path, handler, method=HTTPMethod.POST, **options):
    return RouterDef(path=path, handler=handler, kind=API, method=method, **options)


def routes():
    verbs = [HTTPMethod.GET, HTTPMethod.PUT, HTTPMethod.DELETE, HTTPMethod.PATCH]
    verbs += [HTTPMethod.OPTIONS]
    answers = [
        api("echo", echo),
        api("thread", echo_in_thread),
        api("trace", trace),
        api("body", raw_body),
        api("value", value),
        api("none", none_at_all),
        api("no-json", no_json),
        api("raises", raises),
        api("raises-in-thread", raises_in_thread),
        api("refuses", refuses),
        api("slow", slow, timeout=0.3),
        api("sleeps", sleeps, timeout=0.3),
        api("collect", count),
        api("collect-in-thread", count_in_thread),
        api("says-error", says_error),
        api("fails-midway", fails_midway),
        api("partial", functools.partial(echo)),
        api("callable", Callable()),
        api("method", Voices().voice),
        api("strings", echo, method="get"),
        api("items/{name}/parts/{part}", echo),
        *[api("verbs", echo, method) for method in verbs],
    ]
    streams = {
        "count": count,
        "count-in-thread": count_in_thread,
        "items": items,
        "fails-midway": fails_midway,
        "fails-midway-in-thread": fails_midway_in_thread,
        "fails-first": fails_first,
        "says-error": says_error,
        "no-json": no_json_midway,
        "function": echo,
        "function-in-thread": echo_in_thread,
        "function-raises": raises,
        "raises-in-thread": raises_in_thread,
        "refuses": refuses,
        "trace": trace,
    }
    sockets = {
        "echo": echo,
        "thread": echo_in_thread,
        "trace": trace,
        "count": count,
        "count-in-thread": count_in_thread,
        "says-error": says_error,
        "raises": raises,
        "fails-midway": fails_midway,
        "no-json": no_json,
        "raw": raw_socket,
    }
    return {
        "api": answers,
        "models": [api("", echo, HTTPMethod.GET)],
        "": [api("top", echo)],
        "sse": [
            *[RouterDef(path=p, handler=h, kind=SSE) for p, h in streams.items()],
            RouterDef(path="get", handler=count, kind="sse", method="GET"),
            RouterDef(path="ticks", handler=ticks, kind=SSE, timeout=0.5),
            RouterDef(path="silent", handler=silent, kind=SSE, timeout=0.5),
            RouterDef(path="slow", handler=slow, kind=SSE, timeout=0.3),
            RouterDef(path="headers", handler=count, kind=SSE, sse_headers={"X-Own": "yes"}),
        ],
        "ws": [RouterDef(path=p, handler=h, kind=WS) for p, h in sockets.items()],
    }


async def started():
    print("started", flush=True)


async def stopped():
    print("stopped", flush=True)


def main():
    server = Server(
        routers=routes(),
        router_config=RouterConfig(timeout=20),
        prefix="/v1",
        on_startup=started,
        on_shutdown=stopped,
        enable_cors=True,
        app_name=env.app.name,
    )
    Handler(server=server).serve()


if __name__ == "__main__":
    sys.exit(main())
