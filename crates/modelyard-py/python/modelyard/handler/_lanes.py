"""The threads of the synchronous handlers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

from modelyard._core import DATA, GONE, PARKED, Call, Server
from modelyard._routes import Route
from modelyard._threads import Lane, Steps
from modelyard.context import current

from ._tell import break_off, collected, end_with, fail, give, refuse
from .detect import Shape
from .running import Running


class HandlerLane(Lane):
    """One thread: runs handlers back to back, and sleeps without the interpreter in between."""

    def __init__(self, server: Server, index: int, routes: Sequence[Running]) -> None:
        super().__init__(server, index, cast("list[Route]", routes))

    def _beginning(self, route: Any) -> Callable[[Any], None]:
        serve, handler = self._serving(route), route.handler

        def begin(call: Call) -> None:
            if call.begin():
                current.set(call)
                serve(handler, call)

        return begin

    def _serving(self, route: Running) -> Callable[[Any, Call], None]:
        is_generator = route.shape is Shape.GENERATOR
        if route.events:
            return self._send_events if is_generator else self._send_event
        return self._collect if is_generator else self._answer

    def _answer(self, handler: Any, call: Call) -> None:
        try:
            result = handler(call.query_dict())
            if not call.answer(result):
                give(call, result)
        except BaseException as error:
            fail(call, error)

    def _collect(self, handler: Any, call: Call) -> None:
        items = None
        try:
            items, found = handler(call.query_dict()), []
            for item in items:
                if isinstance(item, Exception):
                    refuse(call, 500, str(item), "handler_error")
                    return
                found.append(item)
                if call.cancelled:
                    refuse(call, 500, "the client left", "api_error")
                    return
            result = collected(found)
            if not call.answer(result):
                give(call, result)
        except BaseException as error:
            fail(call, error)
        finally:
            if items is not None:
                items.close()

    def _send_event(self, handler: Any, call: Call) -> None:
        try:
            query = call.query_dict()
            call.open_events(self.index)
            call.send(handler(query), DATA)
            call.end_events()
        except BaseException as error:
            break_off(call, error, "sse_error")

    def _send_events(self, handler: Any, call: Call) -> None:
        try:
            query = call.query_dict()
            call.open_events(self.index)
            items = handler(query)
        except BaseException as error:
            break_off(call, error, "handler_error")
        else:
            EventSteps(self, call, items).go_on()


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
