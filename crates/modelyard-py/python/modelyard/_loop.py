"""The event loop of the asynchronous methods."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from typing import Any

from ._answers import Streaming, answer, break_off, fail, send_item
from ._batches import Batch
from ._core import GONE, LEFT, PARKED, RESUME, Call, Server, Socket
from ._eager import start_eagerly
from ._routes import Route
from ._sockets import Channel, Sockets
from ._websocket import WebSocket, WebSocketDisconnect
from .context import current

# Events handled before the loop may look after everything else.
_ROUND_MAX = 64
# Items of a stream that never waits, before others get a turn.
_ITEMS_MAX = 32


class EventLoop:
    """Runs the asynchronous methods on the loop of the main thread."""

    def __init__(self, server: Server, routes: list[Route]) -> None:
        self.server = server
        self.loop = asyncio.get_running_loop()
        self.ended = self.loop.create_future()
        # The loop itself keeps only weak references to tasks.
        self.tasks: dict[int, asyncio.Task[None]] = {}
        self.waiting: dict[int, asyncio.Future[None]] = {}
        self.sockets = Sockets(self.loop)
        self.actions: dict[int, Callable[[Any], None]] = {
            number: self._beginning(route) for number, route in enumerate(routes) if route.is_async
        }
        self.actions[RESUME] = self._resume
        self.actions[LEFT] = self._leave
        self.loop.add_reader(server.descriptor, self._look)

    def _look(self) -> None:
        """Do what is there. What is left after a round makes the descriptor call again."""
        next_ready, actions = self.server.next_ready, self.actions
        for _ in range(_ROUND_MAX):
            event = next_ready()
            if event is None:
                if self.server.ended:
                    self._end()
                return
            kind, subject = event
            actions[kind](subject)

    def _end(self) -> None:
        self.loop.remove_reader(self.server.descriptor)
        if not self.ended.done():
            self.ended.set_result(None)

    def _beginning(self, route: Route) -> Callable[[Any], None]:
        if route.batched:
            return self._beginning_batches(route)
        if route.is_socket:
            return self._beginning_sockets(route)
        serve = self._stream if route.is_generator else self._serve

        def begin(call: Call) -> None:
            if call.begin():
                self._start(serve(route, call), [call.key])

        return begin

    def _beginning_batches(self, route: Route) -> Callable[[list[Call]], None]:
        def begin(calls: list[Call]) -> None:
            batch = Batch(route, calls)
            if batch.members:
                self._start(self._serve_batch(batch), [call.key for call in batch.members])

        return begin

    def _beginning_sockets(self, route: Route) -> Callable[[Socket], None]:
        async def run(channel: Channel) -> None:
            with contextlib.suppress(WebSocketDisconnect):
                await route.function(WebSocket(channel))

        return lambda core: self.sockets.begin(core, run)

    def _start(self, coroutine: Coroutine[Any, Any, None], keys: list[int]) -> None:
        task = start_eagerly(self.loop, coroutine)
        if task.done():
            return
        for key in keys:
            self.tasks[key] = task

    async def _serve(self, route: Route, call: Call) -> None:
        current.set(call)
        try:
            result = await route.function(*route.binding.bind(call))
            if not call.answer(result):
                streaming = answer(call, result, events=route.marks.events)
                if streaming is not None:
                    await self._send(call, streaming)
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _stream(self, route: Route, call: Call) -> None:
        current.set(call)
        try:
            items = route.function(*route.binding.bind(call))
            await self._send(call, Streaming(items, events=route.marks.events))
        except BaseException as error:
            fail(call, error)
        finally:
            self.tasks.pop(call.key, None)

    async def _serve_batch(self, batch: Batch) -> None:
        current.set(batch.only_call())
        try:
            batch.settle(await batch.route.function(*batch.arguments()))
        except BaseException as error:
            batch.fail(error)
        finally:
            for call in batch.members:
                self.tasks.pop(call.key, None)

    async def _send(self, call: Call, streaming: Streaming) -> None:
        items = _asynchronous(streaming.items)
        first = await anext(items, _END)
        framing, status, headers = streaming.framing(call, first)
        call.open_stream(0, status, headers)
        try:
            if first is not _END and await self._may_go_on(call, first, framing):
                count = 0
                async for item in items:
                    if not await self._may_go_on(call, item, framing):
                        break
                    count += 1
                    if count % _ITEMS_MAX == 0:
                        await asyncio.sleep(0)
        except BaseException as error:
            break_off(call, error, framing)
        finally:
            await _close(items)
            call.close()

    async def _may_go_on(self, call: Call, item: Any, framing: int) -> bool:
        sent = send_item(call, item, framing)
        if sent == PARKED:
            self.waiting[call.key] = self.loop.create_future()
            try:
                await self.waiting[call.key]
            finally:
                del self.waiting[call.key]
        return sent != GONE

    def _resume(self, key: int) -> None:
        waiting = self.waiting.get(key)
        if waiting is None:
            self.sockets.resume(key)
        elif not waiting.done():
            waiting.set_result(None)

    def _leave(self, key: int) -> None:
        """The client of a call left; a batch ends when all its members did."""
        if self.sockets.leave(key):
            return
        task = self.tasks.pop(key, None)
        if task is not None and task not in self.tasks.values():
            task.cancel()


_END: Any = object()


def _asynchronous(items: Any) -> AsyncIterator[Any]:
    return items if isinstance(items, AsyncIterator) else _each(items)


async def _each(items: Iterator[Any]) -> AsyncIterator[Any]:
    for item in items:
        yield item


async def _close(items: Any) -> None:
    if hasattr(items, "aclose"):
        await items.aclose()
