"""A worker written for gmi-ieops with one route of each kind, which registers by itself."""

import asyncio

from gmi_ieops.handler import Handler, RouterDef, RouterKind, Server


async def say(query):
    return {"said": query.get("text", ""), "by": "small"}


async def count(query):
    for number in range(3):
        yield {"i": number}
        await asyncio.sleep(0)


def main():
    routes = [
        RouterDef(path="say", handler=say, kind=RouterKind.API),
        RouterDef(path="count", handler=count, kind=RouterKind.SSE, method="GET"),
        RouterDef(path="live", handler=say, kind=RouterKind.WS),
    ]
    Handler(server=Server(routers={"small": routes})).serve()


if __name__ == "__main__":
    main()
