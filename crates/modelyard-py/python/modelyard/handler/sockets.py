"""Handlers of kind `ws`: one query per message, or the socket itself."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import inspect
import logging
import typing
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from modelyard._asgi import AsgiSocket, Receive, Send
from modelyard._core import GONE, PARKED, ROOM, NotSerializable, Socket
from modelyard._sockets import Channel, Run
from modelyard._websocket import WebSocket, WebSocketDisconnect

from .detect import Shape, shape_of
from .errors import format_error_response, text_of

_log = logging.getLogger("modelyard.handler")

# Messages, or items of an answer, that never wait, before others get a turn.
_TURNS_MAX = 32

Answer = Callable[[Channel, dict[str, Any]], Coroutine[Any, Any, None]]


def is_raw(handler: Callable[..., Any]) -> bool:
    """Whether a handler talks through the socket itself: its first parameter is annotated
    `WebSocket`, that of this package or of FastAPI, also as a string."""
    return socket_class(handler) is not None


def socket_class(handler: Callable[..., Any]) -> type | None:
    """The class of the socket that a handler wants; `None` if it wants queries."""
    hint = _first_hint(handler)
    if isinstance(hint, str):
        return WebSocket if "WebSocket" in hint else None
    if not isinstance(hint, type):
        return None
    parents = [kind for kind in hint.__mro__ if kind.__name__ == "WebSocket"]
    if not parents:
        return None
    foreign = any(kind.__module__.split(".")[0] == "starlette" for kind in parents)
    return hint if foreign else WebSocket


def _first_hint(handler: Callable[..., Any]) -> Any:
    try:
        first = next(iter(inspect.signature(handler).parameters.values()), None)
    except (TypeError, ValueError):
        return None
    if first is None:
        return None
    code: Any = handler
    while isinstance(code, functools.partial):
        code = code.func
    if not inspect.isroutine(code):
        code = type(code).__call__
    try:
        return typing.get_type_hints(code).get(first.name)
    except Exception:  # A name that means nothing at run time.
        return first.annotation


def runner(handler: Callable[..., Any], threads: ThreadPoolExecutor) -> Run:
    """What serves the sockets of a handler; synchronous code runs on `threads`.

    Raises `TypeError` for a handler that wants the socket itself and is not asynchronous.
    """
    shape, wanted = shape_of(handler), socket_class(handler)
    if wanted is not None:
        if shape is not Shape.COROUTINE:
            raise TypeError(f"{handler!r} takes a WebSocket, so it must be an `async def`")
        return _raw(handler, wanted)
    if shape is Shape.COROUTINE:
        return _conversation(functools.partial(_give, handler))
    if shape is Shape.ASYNC_GENERATOR:
        return _conversation(functools.partial(_give_all, handler))
    blocking = _blocking_all if shape is Shape.GENERATOR else _blocking
    return _conversation(functools.partial(_on_thread, threads, blocking, handler))


def inside(
    handler: Callable[..., Any], threads: ThreadPoolExecutor
) -> Callable[[Channel, Any, Receive, Send], Coroutine[Any, Any, None]]:
    """As `runner`, for a handler inside of an ASGI application."""
    run, wanted = runner(handler, threads), socket_class(handler)

    async def live(channel: Channel, scope: Any, receive: Receive, send: Send) -> None:
        if wanted is None:
            channel.core.accept(None, [])
        elif wanted is not WebSocket:
            await handler(wanted(scope, receive, send))
            return
        await run(channel)

    return live


def _raw(handler: Callable[..., Any], wanted: type) -> Run:
    async def run(channel: Channel) -> None:
        if wanted is WebSocket:
            with contextlib.suppress(WebSocketDisconnect):
                await handler(WebSocket(channel))
            return
        inner = AsgiSocket(channel)
        try:
            await handler(wanted(inner.scope(), inner.receive, inner.send))
        except Exception as error:
            if type(error).__name__ != "WebSocketDisconnect":
                raise

    return run


def _conversation(answer: Answer) -> Run:
    """One message at a time, in their order."""

    async def run(channel: Channel) -> None:
        turns = 0
        while True:
            query = await channel.receive_query()
            await answer(channel, query)
            turns += 1
            if turns % _TURNS_MAX == 0:
                await asyncio.sleep(0)

    return run


async def _give(handler: Callable[..., Any], channel: Channel, query: dict[str, Any]) -> None:
    core = channel.core
    try:
        sent = core.send_item(await handler(query))
    except Exception as error:
        sent = _tell(core, error, "websocket_error")
    if sent != ROOM:
        await channel.settle(sent)


async def _give_all(handler: Callable[..., Any], channel: Channel, query: dict[str, Any]) -> None:
    core, items, count = channel.core, None, 0
    try:
        items = handler(query)
        async for item in items:
            failed = isinstance(item, Exception)
            sent = _tell(core, item, "handler_error") if failed else core.send_item(item)
            if sent != ROOM:
                await channel.settle(sent)
            if failed:
                return
            count += 1
            if count % _TURNS_MAX == 0:
                await asyncio.sleep(0)
    except Exception as error:
        if core.gone:
            raise
        await channel.settle(_tell(core, error, "websocket_error"))
    finally:
        if items is not None:
            await items.aclose()


async def _on_thread(
    threads: ThreadPoolExecutor,
    code: Callable[[Socket, Callable[..., Any], dict[str, Any]], None],
    handler: Callable[..., Any],
    channel: Channel,
    query: dict[str, Any],
) -> None:
    loop = asyncio.get_running_loop()
    await loop.run_in_executor(threads, code, channel.core, handler, query)


def _blocking(core: Socket, handler: Callable[..., Any], query: dict[str, Any]) -> None:
    try:
        sent = core.send_item(handler(query))
    except Exception as error:
        sent = _tell(core, error, "websocket_error")
    if sent == PARKED:
        core.wait_for_room()


def _blocking_all(core: Socket, handler: Callable[..., Any], query: dict[str, Any]) -> None:
    items = None
    try:
        items = handler(query)
        for item in items:
            if isinstance(item, Exception):
                _tell(core, item, "handler_error")
                return
            sent = core.send_item(item)
            if sent == GONE or (sent == PARKED and not core.wait_for_room()):
                return
    except Exception as error:
        _tell(core, error, "websocket_error")
    finally:
        if items is not None:
            items.close()


def _tell(core: Socket, error: Exception, kind: str) -> int:
    """Send the message that tells an error."""
    if kind != "handler_error":
        name = type(error).__name__
        _log.error("%s: the handler raised %s (trace_id %s)", core.path, name, core.trace_id,
                   exc_info=error)  # fmt: skip
    try:
        return core.send_json(format_error_response(text_of(error), kind))
    except NotSerializable:
        return core.send_json(format_error_response(type(error).__name__, kind))
