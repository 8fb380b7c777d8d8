"""The worker process: `python -m modelyard.worker [file.py:Class --port 9000]`."""

from __future__ import annotations

import asyncio
import dataclasses
import importlib.util
import inspect
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import Any

from . import _launch
from ._core import Server, log_to_stderr
from ._launch import Launch
from ._load import load
from ._log import configure
from ._loop import EventLoop
from ._routes import Route, routes_of
from ._threads import Lane
from .context import SetupContext

# How long threads may take to notice that the server has ended.
_FAREWELL_S = 1.0
_SYNC_CAPACITY = 16
_ASYNC_CAPACITY = 64


class StartError(Exception):
    """The worker cannot start; the cause has the details."""


def main(arguments: list[str] | None = None) -> int:
    """Run a worker until it is told to stop; gives the exit status."""
    launch = _launch.read(sys.argv[1:] if arguments is None else arguments)
    level = configure(json_lines=not launch.standalone)
    log_to_stderr(not launch.standalone, level)
    loop = _new_loop()
    asyncio.set_event_loop(loop)
    try:
        model = _prepare(launch, loop)
        return loop.run_until_complete(_work(model, launch))
    except StartError as error:
        if error.__cause__ is not None:
            traceback.print_exception(error.__cause__)
        print(f"modelyard: {error}", file=sys.stderr)
        return 1
    finally:
        loop.run_until_complete(loop.shutdown_asyncgens())
        loop.close()


def _prepare(launch: Launch, loop: asyncio.AbstractEventLoop) -> Any:
    """The model, set up. No thread of ours runs yet, so that `setup` may fork."""
    model = _attempt("cannot load", launch, lambda: load(launch.implementation))
    if not inspect.isclass(model):
        return model
    model = _attempt("cannot create", launch, model)
    _attempt("setup failed in", launch, lambda: _set_up(model, launch, loop))
    return model


def _set_up(model: Any, launch: Launch, loop: asyncio.AbstractEventLoop) -> None:
    setup = getattr(model, "setup", None)
    if setup is None:
        return
    context = SetupContext(launch.model, launch.version, launch.metadata)
    done = setup(context) if inspect.signature(setup).parameters else setup()
    if inspect.isawaitable(done):
        loop.run_until_complete(_finished(done))


async def _finished(done: Awaitable[object]) -> None:
    await done


async def _work(model: Any, launch: Launch) -> int:
    routes: list[Route] = _attempt("cannot serve", launch, lambda: routes_of(model))
    routes = [_overridden(route, launch) for route in routes]
    lanes = _lanes(model, launch)
    server = Server(
        json.dumps(launch.told),
        [route.declared() for route in routes],
        routes[0].path,
        _capacity(model, routes, lanes),
        list(getattr(model, "capabilities", ())),
        lanes,
    )
    return await _serve(server, routes, lanes)


def _attempt(failing: str, launch: Launch, act: Callable[[], Any]) -> Any:
    try:
        return act()
    except BaseException as error:
        name = type(error).__name__
        raise StartError(f"{failing} {launch.implementation}: {name}: {error}") from error


def _overridden(route: Route, launch: Launch) -> Route:
    if not route.batched:
        return route
    size, wait = launch.get("max_batch_size"), launch.get("max_wait_ms")
    marks = dataclasses.replace(
        route.marks,
        batch_size=size if size is not None else route.marks.batch_size,
        batch_wait_ms=wait if wait is not None else route.marks.batch_wait_ms,
    )
    return dataclasses.replace(route, marks=marks)


def _lanes(model: Any, launch: Launch) -> int:
    """Threads for synchronous methods: the command line, the config, the class."""
    said = launch.threads or launch.metadata.get("threads") or getattr(model, "threads", 1)
    return max(1, said) if isinstance(said, int) else 1


def _capacity(model: Any, routes: list[Route], lanes: int) -> int:
    """Calls held at once: what the class says, or enough to keep its busiest route at work."""
    said = getattr(model, "capacity", None)
    if isinstance(said, int):
        return said
    return max(_route_capacity(route, lanes) for route in routes)


def _route_capacity(route: Route, lanes: int) -> int:
    if route.marks.batch_size is not None:
        # One batch runs while the next one fills.
        return 2 * route.marks.batch_size
    return _ASYNC_CAPACITY if route.is_async else max(_SYNC_CAPACITY, 2 * lanes)


async def _serve(server: Server, routes: list[Route], lanes: int) -> int:
    events = EventLoop(server, routes)
    _obey_signals(server)
    threads = [Lane(server, index, routes) for index in range(lanes)]
    if all(route.is_async for route in routes):
        threads = []
    for thread in threads:
        thread.start()
    server.start()
    await events.ended
    try:
        await asyncio.to_thread(server.join)
    except RuntimeError as error:
        print(f"modelyard: {error}", file=sys.stderr)
        return 1
    for thread in threads:
        thread.join(_FAREWELL_S)
        if thread.is_alive():
            _leave_at_once()
    return 0


def _obey_signals(server: Server) -> None:
    """The first signal drains, the second one ends."""
    loop = asyncio.get_running_loop()
    asked = False

    def stop() -> None:
        nonlocal asked
        if asked:
            _leave_at_once()
        asked = True
        server.stop()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)


def _leave_at_once() -> None:
    """End although code still runs, which nobody can stop."""
    logging.shutdown()
    sys.stderr.flush()
    sys.stdout.flush()
    os._exit(1)


def _new_loop() -> asyncio.AbstractEventLoop:
    """The faster loop, if it is installed."""
    if importlib.util.find_spec("uvloop") is None:
        return asyncio.new_event_loop()
    loop: asyncio.AbstractEventLoop = importlib.import_module("uvloop").new_event_loop()
    return loop


if __name__ == "__main__":
    sys.exit(main())
