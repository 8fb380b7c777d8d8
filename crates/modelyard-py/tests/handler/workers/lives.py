"""A worker with hooks, started in different ways."""

import asyncio
import os
import sys
import time

from modelyard.handler import Handler, RouterDef, Server


def note(text):
    with open(os.environ["NOTES"], "a") as notes:
        notes.write(text + "\n")


async def begin():
    await asyncio.sleep(0)
    if os.environ.get("FAIL") == "startup":
        raise RuntimeError("the model is not there")
    note("started")


def end():
    note("stopped")
    if os.environ.get("FAIL") == "shutdown":
        raise RuntimeError("nobody waits")


async def hello(query):
    return "hello"


async def slow_loop(query):
    time.sleep(query["s"])
    return "slow"


async def leave(query):
    sys.exit(3)


async def vanish(query):
    os._exit(9)


def settings():
    if "PORT" in os.environ:
        return {"port": int(os.environ["PORT"]), "host": "127.0.0.1"}
    if "SOCKET" in os.environ:
        return {"socket_path": os.environ["SOCKET"]}
    return {}


routes = [RouterDef(f.__name__, f) for f in (hello, slow_loop, leave, vanish)]

if __name__ == "__main__":
    server = Server(
        routers={"v": routes}, prefix="/api", on_startup=begin, on_shutdown=end, **settings()
    )
    note(server.place.address)
    if os.environ.get("HOW") == "asyncio":
        asyncio.run(asyncio.wait_for(server.serve(), float(os.environ["SECONDS"])))
    else:
        Handler(server=server).serve()
        note("returned")
