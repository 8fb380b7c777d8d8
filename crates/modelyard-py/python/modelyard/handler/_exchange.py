"""One HTTP call as ASGI applications know it: a scope, `receive` and `send`."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import unquote

from modelyard._asgi import VERSION, Message
from modelyard._core import GONE, PARKED, RAW, Call

# The HTTP side says these itself.
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection"))

Room = Callable[[int], Awaitable[None]]


class Exchange:
    """One call for an ASGI application. `room` waits until the reader of a stream has read."""

    def __init__(self, call: Call, room: Room) -> None:
        self._call = call
        self._room = room
        self._asked = False
        self._head: tuple[int, list[tuple[str, str]]] | None = None
        self._streams = False
        self.answered = False

    def scope(self) -> dict[str, Any]:
        """What is known of the call."""
        call = self._call
        headers = call.headers.items()
        return {
            "type": "http",
            "asgi": dict(VERSION),
            "http_version": "1.1",
            "method": call.method,
            "scheme": "http",
            "path": unquote(call.path),
            "raw_path": call.path.encode("latin-1"),
            "query_string": call.query.encode("latin-1"),
            "root_path": "",
            "headers": [(n.encode("latin-1"), v.encode("utf-8", "replace")) for n, v in headers],
            "client": None,
            "server": None,
            "state": {},
        }

    async def receive(self) -> Message:
        """The whole body, then nothing until the client leaves: that cancels the application."""
        if not self._asked:
            self._asked = True
            return {"type": "http.request", "body": self._call.body, "more_body": False}
        if not self.answered and not self._call.cancelled:
            await asyncio.get_running_loop().create_future()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Answer. Raises `OSError` if the client left."""
        kind = message["type"]
        if kind == "http.response.start":
            raw = message.get("headers") or ()
            pairs = [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in raw]
            self._head = (message["status"], [p for p in pairs if p[0].lower() not in _FRAMING])
        elif kind == "http.response.body" and self._head is not None and not self.answered:
            await self._body(message.get("body", b""), message.get("more_body", False))
        else:
            raise RuntimeError(f"a call cannot be answered with {kind!r} now")

    async def _body(self, piece: bytes, more: bool) -> None:
        assert self._head is not None
        if not more and not self._streams:
            self.answered = True
            self._call.respond(*self._head, bytes(piece))
            return
        if not self._streams:
            self._streams = True
            self._call.open_stream(0, *self._head)
        if piece:
            sent = self._call.send(bytes(piece), RAW)
            if sent == PARKED:
                await self._room(self._call.key)
            if sent == GONE or self._call.cancelled:
                raise OSError("the client left")
        if not more:
            self.answered = True
            self._call.close()

    def give_up(self) -> None:
        """The application has ended. What it left open is broken off."""
        if not self.answered:
            self.answered = True
            self._call.fail("internal_error", "the application ended without an answer")
