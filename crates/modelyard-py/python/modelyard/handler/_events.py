"""The event loop of the asynchronous handlers."""

from __future__ import annotations

import asyncio
import inspect
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from modelyard._core import DATA, GONE, PARKED, Call, Server
from modelyard._loop import EventLoop
from modelyard._routes import Route
from modelyard.config import env
from modelyard.context import current

from ._responses import is_response, respond
from ._tell import Yielded, answered, break_off, collected, end_with, fail, give
from .detect import Shape
from .running import Running
from .sockets import runner

# Items of a stream that never waits, before others get a turn.
_ITEMS_MAX = 32


class HandlerLoop(EventLoop):
    """Runs the asynchronous handlers on the loop of the thread that serves."""

    def __init__(self, server: Server, routes: Sequence[Any]) -> None:
        # For synchronous handlers of WebSockets; it has no thread before it needs one.
        threads_max = max(1, env.model.concurrency)
        self.socket_threads = ThreadPoolExecutor(threads_max, "modelyard-socket")
        super().__init__(server, cast("list[Route]", routes))

    def _beginning(self, route: Any) -> Callable[[Any], None]:
        if not isinstance(route, Running):
            return cast("Callable[[Any], None]", route.beginning(self))
        if route.is_socket:
            run = runner(route.handler, self.socket_threads)
            return lambda core: self.sockets.begin(core, run)
        serve = self.serving(events=route.events, shape=route.shape)
        handler = route.handler

        def begin(call: Call) -> None:
            if call.begin():
                self._start(serve(handler, call), [call.key])

        return begin

    def begin(self, call: Call, serve: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start what serves a call, unless it was taken back."""
        if call.begin():
            self._start(serve(), [call.key])

    def serving(
        self, *, events: bool, shape: Shape
    ) -> Callable[[Any, Any], Coroutine[Any, Any, None]]:
        """What serves the calls of asynchronous code of that shape."""
        if events:
            return self._send_events
        return self._collect if shape is Shape.ASYNC_GENERATOR else self._answer

    def adopt(self, call: Call, result: Any, *, events: bool) -> None:
        """Go on, from a thread, with what only a loop can: await, iterate, send in pieces."""
        serve = self._adopt_events if events else self._adopt_answer

        def begin() -> None:
            self._start(serve(result, call), [call.key])

        self.loop.call_soon_threadsafe(begin)

    async def _answer(self, handler: Any, call: Call) -> None:
        current.set(call)
        try:
            result = await handler(call.query_dict())
            if not answered(call, result):
                await self._finish(call, result)
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _adopt_answer(self, result: Any, call: Call) -> None:
        current.set(call)
        try:
            await self._finish(call, result)
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _finish(self, call: Call, result: Any) -> None:
        """Answer with a result that is no plain value."""
        if isinstance(result, AsyncIterator):
            await self._collect_all(call, result)
        elif inspect.isawaitable(result):
            awaited = await result
            if not answered(call, awaited):
                await self._finish(call, awaited)
        elif is_response(result):
            await respond(call, result, self._room)
        else:
            give(call, result)

    async def _collect(self, handler: Any, call: Call) -> None:
        current.set(call)
        try:
            await self._collect_all(call, handler(call.query_dict()))
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _collect_all(self, call: Call, items: Any) -> None:
        found = []
        try:
            async for item in items:
                if isinstance(item, Exception):
                    raise Yielded(item)
                found.append(item)
        finally:
            await _close(items)
        result = collected(found)
        if not answered(call, result):
            give(call, result)

    async def _send_events(self, handler: Any, call: Call) -> None:
        await self._events(call, lambda: handler(call.query_dict()))

    async def _adopt_events(self, result: Any, call: Call) -> None:
        await self._events(call, lambda: result)

    async def _events(self, call: Call, begin: Callable[[], Any]) -> None:
        current.set(call)
        items = None
        try:
            items = begin()
            call.open_events(0)
            if inspect.isawaitable(items):
                items = await items
            if not isinstance(items, AsyncIterator):
                items = _only(items)
            if await self._send_all(call, items):
                call.end_events()
        except BaseException as error:
            break_off(call, error, "sse_error")
        finally:
            await _close(items)
            call.close()
            self.tasks.pop(call.key, None)

    async def _send_all(self, call: Call, items: Any) -> bool:
        """Whether all went out."""
        send, count = call.send, 0
        async for item in items:
            if isinstance(item, Exception):
                end_with(call, item, "handler_error")
                return False
            sent = send(item, DATA)
            if sent == PARKED:
                await self._room(call.key)
            elif sent == GONE:
                return False
            count += 1
            if count % _ITEMS_MAX == 0:
                await asyncio.sleep(0)
        return True

    def resume_soon(self, key: int) -> None:
        """Say, from a thread, that the stream with this key can go on."""
        self.loop.call_soon_threadsafe(self._resume, key)

    async def _room(self, key: int) -> None:
        """Wait until the reader has read, or left."""
        self.waiting[key] = self.loop.create_future()
        try:
            await self.waiting[key]
        finally:
            del self.waiting[key]


async def _only(item: Any) -> AsyncIterator[Any]:
    yield item


async def _close(items: Any) -> None:
    if hasattr(items, "aclose"):
        await items.aclose()
