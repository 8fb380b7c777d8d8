"""Something to wait for whose coming runs the waiting task at once.

A future of asyncio asks the loop for that, which costs a turn of it: for each message of a socket
a look at all its descriptors, and more than the message itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Generator
from contextvars import Context
from typing import Any


class Stir:
    """What one task waits for. It has what tasks ask of a future, and no more."""

    __slots__ = ("_asyncio_future_blocking", "_cancelled", "_come", "_context", "_loop", "_wake")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._asyncio_future_blocking = False
        self._loop = loop
        self._come = self._cancelled = False
        self._wake: Callable[[Any], object] | None = None
        self._context: Context | None = None

    def come(self) -> None:
        """It has come: the task goes on here and now. For callbacks of the loop, not for tasks."""
        if not self._come:
            self._come = True
            if self._wake is not None and self._context is not None:
                self._context.run(self._wake, self)

    def __await__(self) -> Generator[Stir, None, None]:
        if not self._come:
            self._asyncio_future_blocking = True
            yield self

    def get_loop(self) -> asyncio.AbstractEventLoop:
        """The loop of the task."""
        return self._loop

    def add_done_callback(
        self, callback: Callable[[Any], object], *, context: Context | None = None
    ) -> None:
        """Remember how to wake the task."""
        self._wake, self._context = callback, context

    def cancel(self, msg: Any = None) -> bool:
        """The task is cancelled while it waits. That may be done by a task, so it takes a turn."""
        if self._come:
            return False
        self._come = self._cancelled = True
        if self._wake is not None:
            self._loop.call_soon(self._wake, self, context=self._context)
        return True

    def result(self) -> None:
        """Nothing, or `CancelledError`."""
        if self._cancelled:
            raise asyncio.CancelledError
