"""The threads of the synchronous methods."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from typing import Any

from ._answers import Streaming, answer, break_off, fail, send_item
from ._batches import Batch
from ._core import GONE, PARKED, RESUME, ROOM, Call, Server
from ._routes import Route
from .context import current

_log = logging.getLogger("modelyard.worker")


class Lane(threading.Thread):
    """One thread: runs methods back to back, and sleeps without the interpreter in between."""

    def __init__(self, server: Server, index: int, routes: list[Route]) -> None:
        super().__init__(name=f"modelyard-{index}", daemon=True)
        self.server = server
        self.index = index
        self.parked: dict[int, Steps] = {}
        self.actions: dict[int, Callable[[Any], None]] = {
            number: self._beginning(route)
            for number, route in enumerate(routes)
            if not route.is_async
        }
        self.actions[RESUME] = self._resume

    def run(self) -> None:
        """Do what comes, until the server has ended."""
        next_event, actions, index = self.server.next, self.actions, self.index
        while (event := next_event(index)) is not None:
            kind, subject = event
            try:
                actions[kind](subject)
            except BaseException:  # A thread that ends serves nobody.
                _log.exception("a call could not be served")
            # Not to hold on to the last body while nothing happens.
            event = subject = None
            current.set(None)

    def _beginning(self, route: Route) -> Callable[[Any], None]:
        return self._beginning_batches(route) if route.batched else self._beginning_calls(route)

    def _beginning_calls(self, route: Route) -> Callable[[Call], None]:
        function, bind, events = route.function, route.binding.bind, route.marks.events

        def begin(call: Call) -> None:
            if not call.begin():
                return
            current.set(call)
            try:
                result = function(*bind(call))
                if not call.answer(result):
                    streaming = answer(call, result, events=events)
                    if streaming is not None:
                        Steps(self, call, streaming).begin()
            except BaseException as error:
                fail(call, error)

        return begin

    def _beginning_batches(self, route: Route) -> Callable[[list[Call]], None]:
        function = route.function

        def begin(calls: list[Call]) -> None:
            batch = Batch(route, calls)
            if not batch.members:
                return
            current.set(batch.only_call())
            try:
                batch.settle(function(*batch.arguments()))
            except BaseException as error:
                batch.fail(error)

        return begin

    def _resume(self, key: int) -> None:
        steps = self.parked.pop(key, None)
        if steps is not None:
            steps.go_on()


class Steps:
    """A synchronous stream; while its reader is slow, the thread does something else."""

    def __init__(self, lane: Lane, call: Call, streaming: Streaming) -> None:
        if not isinstance(streaming.items, Iterator):
            raise TypeError("an asynchronous generator needs an asynchronous method: `async def`")
        self.lane = lane
        self.call = call
        self.streaming = streaming
        self.items = streaming.items
        self.framing = 0

    def begin(self) -> None:
        """Make the first item, then the head: a stream that fails at once can still say so."""
        first = next(self.items, _END)
        self.framing, status, headers = self.streaming.framing(self.call, first)
        self.call.open_stream(self.lane.index, status, headers)
        if first is _END:
            self.call.close()
        elif self._may_go_on(first):
            self._run()

    def go_on(self) -> None:
        """There is room again, or no reader any more."""
        current.set(self.call)
        if self.call.cancelled:
            self._stop()
        else:
            self._run()

    def _run(self) -> None:
        try:
            for item in self.items:
                if not self._may_go_on(item):
                    return
        except BaseException as error:
            break_off(self.call, error, self.framing)
        else:
            self.call.close()

    def _may_go_on(self, item: Any) -> bool:
        sent = send_item(self.call, item, self.framing)
        if sent == ROOM:
            return True
        if sent == PARKED:
            self.lane.parked[self.call.key] = self
        elif sent == GONE:
            self._stop()
        return False

    def _stop(self) -> None:
        close = getattr(self.items, "close", None)
        try:
            if close is not None:
                close()
        finally:
            self.call.close()


_END = object()
