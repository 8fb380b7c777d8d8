"""A worker written for gmi-ieops: the same file is served by its package and by ours."""

import asyncio

from gmi_ieops.handler import Handler, RouterDef, RouterKind, Server


async def echo(query):
    return {"payload": query.get("payload")}


def echo_in_thread(query):
    return {"payload": query.get("payload")}


async def events(query):
    for number in range(query["events"]):
        yield {"i": number, "text": "token"}


async def idle(query):
    yield {"i": 0}
    await asyncio.sleep(3600)


def main():
    server = Server(
        routers={
            "api": [
                RouterDef(path="echo", handler=echo),
                RouterDef(path="thread", handler=echo_in_thread),
            ],
            "sse": [
                RouterDef(path="events", handler=events, kind=RouterKind.SSE),
                RouterDef(path="idle", handler=idle, kind=RouterKind.SSE, timeout=3600),
            ],
            "ws": [RouterDef(path="echo", handler=echo, kind=RouterKind.WS)],
        },
    )
    Handler(server=server).serve()


if __name__ == "__main__":
    main()
