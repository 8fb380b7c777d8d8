"""The threads of the synchronous handlers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, cast

from modelyard._core import DATA, GONE, PARKED, Call, Server
from modelyard._routes import Route
from modelyard._threads import Lane, Steps
from modelyard.context import current

from ._events import HandlerLoop
from ._tell import Yielded, answered, break_off, close, collected, end_with, fail, give, needs_loop
from .running import Running


class HandlerLane(Lane):
    """One thread: runs handlers back to back, and sleeps without the interpreter in between."""

    def __init__(
        self, server: Server, index: int, routes: Sequence[Running], loop: HandlerLoop
    ) -> None:
        super().__init__(server, index, cast("list[Route]", routes))
        self.loop = loop

    def _beginning(self, route: Any) -> Callable[[Any], None]:
        serve, handler = self._send_events if route.events else self._answer, route.handler

        def begin(call: Call) -> None:
            if call.begin():
                current.set(call)
                serve(handler, call)

        return begin

    def _resume(self, key: int) -> None:
        if key in self.parked:
            super()._resume(key)
        else:
            self.loop.resume_soon(key)

    def _answer(self, handler: Any, call: Call) -> None:
        try:
            result = handler(call.query_dict())
            if isinstance(result, Iterator):
                result = self._collected(call, result)
            if answered(call, result):
                return
            if needs_loop(result):
                self.loop.adopt(call, result, events=False)
            else:
                give(call, result)
        except BaseException as error:
            fail(call, error)

    def _collected(self, call: Call, items: Iterator[Any]) -> Any:
        found = []
        try:
            for item in items:
                if isinstance(item, Exception):
                    raise Yielded(item)
                found.append(item)
                if call.cancelled:
                    break
        finally:
            close(items)
        return collected(found)

    def _send_events(self, handler: Any, call: Call) -> None:
        try:
            result = handler(call.query_dict())
            if needs_loop(result):
                self.loop.adopt(call, result, events=True)
                return
            call.open_events(self.index)
            if isinstance(result, Iterator):
                EventSteps(self, call, result).go_on()
                return
            call.send(result, DATA)
            call.end_events()
        except BaseException as error:
            if not call.streams:
                call.open_events(self.index)
            break_off(call, error, "sse_error")


class EventSteps(Steps):
    """A synchronous stream of events; while its reader is slow, the thread does something else."""

    def __init__(self, lane: Lane, call: Call, items: Any) -> None:
        self.lane, self.call, self.items = lane, call, items

    def _run(self) -> None:
        call = self.call
        try:
            for item in self.items:
                if isinstance(item, Exception):
                    end_with(call, item, "handler_error")
                    self._stop()
                    return
                if self._parted(item):
                    return
        except BaseException as error:
            break_off(call, error, "handler_error")
        else:
            call.end_events()

    def _parted(self, item: Any) -> bool:
        """Send an item; whether the thread should leave the stream now."""
        try:
            sent = self.call.send(item, DATA)
        except BaseException as error:
            break_off(self.call, error, "sse_error")
            self._stop()
            return True
        if sent == PARKED:
            self.lane.parked[self.call.key] = self
        elif sent == GONE:
            self._stop()
        return sent in (PARKED, GONE)
