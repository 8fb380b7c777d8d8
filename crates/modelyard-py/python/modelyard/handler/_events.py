"""The event loop of the asynchronous handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any, cast

from modelyard._core import DATA, GONE, PARKED, Call, Server
from modelyard._loop import EventLoop
from modelyard._routes import Route
from modelyard.config import env
from modelyard.context import current

from ._tell import break_off, collected, end_with, fail, give, refuse
from .detect import Shape
from .running import Running
from .sockets import runner

# Items of a stream that never waits, before others get a turn.
_ITEMS_MAX = 32


class HandlerLoop(EventLoop):
    """Runs the asynchronous handlers on the loop of the thread that serves."""

    def __init__(self, server: Server, routes: Sequence[Running]) -> None:
        # For synchronous handlers of WebSockets; it has no thread before it needs one.
        threads_max = max(1, env.model.concurrency)
        self._socket_threads = ThreadPoolExecutor(threads_max, "modelyard-socket")
        super().__init__(server, cast("list[Route]", routes))

    def _beginning(self, route: Any) -> Callable[[Any], None]:
        if route.is_socket:
            run = runner(route.handler, self._socket_threads)
            return lambda core: self.sockets.begin(core, run)
        serve = self._serving(route)
        handler = route.handler

        def begin(call: Call) -> None:
            if call.begin():
                self._start(serve(handler, call), [call.key])

        return begin

    def _serving(self, route: Running) -> Callable[[Any, Call], Coroutine[Any, Any, None]]:
        is_generator = route.shape is Shape.ASYNC_GENERATOR
        if route.events:
            return self._send_events if is_generator else self._send_event
        return self._collect if is_generator else self._answer

    async def _answer(self, handler: Any, call: Call) -> None:
        current.set(call)
        try:
            result = await handler(call.query_dict())
            if not call.answer(result):
                give(call, result)
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _collect(self, handler: Any, call: Call) -> None:
        current.set(call)
        items = None
        try:
            items, found = handler(call.query_dict()), []
            async for item in items:
                if isinstance(item, Exception):
                    refuse(call, 500, str(item), "handler_error")
                    return
                found.append(item)
            result = collected(found)
            if not call.answer(result):
                give(call, result)
        except BaseException as error:
            fail(call, error)
        finally:
            await _close(items)
            self.tasks.pop(call.key, None)

    async def _send_event(self, handler: Any, call: Call) -> None:
        current.set(call)
        try:
            query = call.query_dict()
            call.open_events(0)
            result = await handler(query)
            call.send(result, DATA)
            call.end_events()
        except BaseException as error:
            break_off(call, error, "sse_error")
        finally:
            self.tasks.pop(call.key, None)

    async def _send_events(self, handler: Any, call: Call) -> None:
        current.set(call)
        items = None
        try:
            query = call.query_dict()
            call.open_events(0)
            items = handler(query)
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

    async def _room(self, key: int) -> None:
        """Wait until the reader has read, or left."""
        self.waiting[key] = self.loop.create_future()
        try:
            await self.waiting[key]
        finally:
            del self.waiting[key]


async def _close(items: Any) -> None:
    if items is not None:
        await items.aclose()
