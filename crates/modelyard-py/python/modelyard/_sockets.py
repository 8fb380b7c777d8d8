"""Who waits for which WebSocket, on the event loop."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from typing import Any

from ._core import GONE, PARKED, Socket
from ._eager import start_eagerly
from ._stir import Stir

_log = logging.getLogger("modelyard.worker")

# How long code may tidy up after it was told that its peer is gone.
_GRACE_S = 5.0


class Gone(Exception):
    """The peer of a socket is gone; code and reason of the close."""

    def __init__(self, code: int, reason: str = "") -> None:
        super().__init__(code, reason)
        self.code = code
        self.reason = reason


BROKEN = 1006
"""Code of a connection that broke without a close."""


class Channel:
    """A socket for asynchronous code. Receiving and sending may be done by two tasks."""

    __slots__ = ("_sockets", "core")

    def __init__(self, core: Socket, sockets: Sockets) -> None:
        self.core = core
        self._sockets = sockets

    async def receive(self) -> str | bytes:
        """The next message. Raises `Gone` once there will be none."""
        while (came := self.core.receive()) is None:
            await self.stirred()
        if isinstance(came, tuple):
            raise self._sockets.gone(self.core)
        return came

    async def receive_query(self) -> dict[str, Any]:
        """The next message, as the query of a handler. Raises `Gone` once there will be none."""
        while (came := self.core.receive_query()) is None:
            await self.stirred()
        if isinstance(came, tuple):
            raise self._sockets.gone(self.core)
        return came

    async def settle(self, sent: int) -> None:
        """Wait for room after something was sent. Raises `Gone` if nobody reads any more."""
        if sent == PARKED:
            while self.core.parked:
                await self.stirred()
            if self.core.gone:
                raise self._sockets.gone(self.core)
        elif sent == GONE:
            raise self._sockets.gone(self.core)

    async def stirred(self) -> None:
        """Wait until there may be a message, or room, or nobody any more."""
        await self._sockets.stirred(self.core.key)


Run = Callable[[Channel], Coroutine[Any, Any, None]]


class Sockets:
    """The sockets whose code runs on one event loop."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._waiting: dict[int, list[Stir]] = {}
        # Those whose code knows that its peer is gone.
        self._told: set[int] = set()

    def begin(self, core: Socket, run: Run) -> None:
        """Start the code of a socket; its end closes the socket."""
        task = start_eagerly(self._loop, self._live(core, run))
        if not task.done():
            self._tasks[core.key] = task

    def resume(self, key: int) -> bool:
        """Something has changed for a socket. Whether it is one of these."""
        for stir in self._waiting.pop(key, ()):
            stir.come()
        return key in self._tasks

    def leave(self, key: int) -> bool:
        """The peer of a socket is gone. Whether it is one of these.

        Code that waits for it learns that, and may tidy up; other code is cancelled.
        """
        task = self._tasks.get(key)
        if task is None:
            return False
        if key in self._waiting or key in self._told:
            self._loop.call_later(_GRACE_S, task.cancel)
            self.resume(key)
        else:
            task.cancel()
        return True

    def gone(self, core: Socket) -> Gone:
        """What is raised to code whose peer is gone."""
        self._told.add(core.key)
        return Gone(*(core.parting or (BROKEN, "")))

    async def stirred(self, key: int) -> None:
        """Wait until something has changed for a socket."""
        stir = Stir(self._loop)
        self._waiting.setdefault(key, []).append(stir)
        try:
            await stir
        except asyncio.CancelledError:
            waiting = self._waiting.get(key)
            if waiting is not None and stir in waiting:
                waiting.remove(stir)
                if not waiting:
                    del self._waiting[key]
            raise

    async def _live(self, core: Socket, run: Run) -> None:
        error = None
        try:
            await run(Channel(core, self))
        except Gone:
            pass
        except asyncio.CancelledError:
            if not core.gone:
                error = "the code of the socket was cancelled"
        except BaseException as raised:
            error = str(raised) or type(raised).__name__
            _log.error("a socket raised %s", type(raised).__name__, exc_info=raised)
        finally:
            self._tasks.pop(core.key, None)
            self._told.discard(core.key)
            core.end(error)
