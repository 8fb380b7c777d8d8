"""A call whose answer goes through the middleware of an application."""

from __future__ import annotations

import asyncio
import json
import mimetypes
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import Any

from modelyard._asgi import Message, Send
from modelyard._core import DATA, GONE, PARKED, ROOM, Call, NotSerializable, dumps

from ._jsonable import jsonable

# Pieces that wait for the middleware before the handler waits.
_WAITING_MAX = 32

Headers = list[tuple[str, str]]


class ThroughCall:
    """Has what the handler's side of a `Call` has. What it is told becomes messages for `pump`."""

    def __init__(self, call: Call, head: dict[str, str], resume: Callable[[int], None]) -> None:
        self._call = call
        self._events_head = head
        self._resume = resume
        # Not that of the call: its stream and its handler may wait at the same time.
        self.key = -1 - call.key
        self._waiting: deque[Message] = deque()
        self._came = asyncio.Event()
        self._parked = False
        self._over = False
        self.streams = False

    def __getattr__(self, name: str) -> Any:
        # What came in is asked of the call itself.
        return getattr(self._call, name)

    async def pump(self, send: Send) -> None:
        """Hand the messages over, until the answer is whole."""
        while True:
            await self._came.wait()
            self._came.clear()
            while self._waiting:
                message = self._waiting.popleft()
                await send(message)
                if message["type"] == "http.response.body" and not message["more_body"]:
                    return
            if self._parked:
                self._parked = False
                self._resume(self.key)

    def answer(self, value: Any) -> bool:
        """Answer with a JSON value."""
        self.respond(200, [("content-type", "application/json")], dumps(value))
        return True

    def respond(self, status: int, headers: Headers, body: bytes) -> None:
        """Answer with bytes."""
        length = ("content-length", str(len(body)))
        self._start(status, [*headers, length])
        self._piece(body, more=False)

    def send_file(self, status: int, headers: Headers, path: str) -> None:
        """Answer with a file."""
        guessed = mimetypes.guess_type(path)[0] or "application/octet-stream"
        if not any(name.lower() == "content-type" for name, _ in headers):
            headers = [*headers, ("content-type", guessed)]
        self.respond(status, headers, Path(path).read_bytes())

    def open_stream(self, lane: int, status: int, headers: Headers) -> None:
        """Answer piece by piece."""
        self.streams = True
        self._start(status, headers)

    def open_events(self, lane: int) -> None:
        """Answer with events."""
        kind = ("content-type", "text/event-stream; charset=utf-8")
        self.open_stream(lane, 200, [kind, *self._events_head.items()])

    def send(self, item: Any, framing: int) -> int:
        """Send an item of a stream."""
        if self._over or self._call.cancelled:
            return GONE
        if framing == DATA:
            item = _event(item)
        self._piece(item.encode() if isinstance(item, str) else bytes(item), more=True)
        self._parked = len(self._waiting) >= _WAITING_MAX
        return PARKED if self._parked else ROOM

    def end_events(self) -> None:
        """End events that went well."""
        if not self._over:
            self._piece(b"data: [DONE]\n\n", more=True)
        self.close()

    def close(self) -> None:
        """End a stream."""
        if self.streams and not self._over:
            self._piece(b"", more=False)

    def fail(self, code: str, detail: str, fields: Any = ()) -> None:
        """Break off: the middleware sees an answer that does not end."""
        self._over = True
        self._call.fail(code, detail)

    def _start(self, status: int, headers: Headers) -> None:
        pairs = [(n.lower().encode("latin-1"), v.encode("latin-1")) for n, v in headers]
        self._put({"type": "http.response.start", "status": status, "headers": pairs})

    def _piece(self, body: bytes, *, more: bool) -> None:
        self._over = not more
        self._put({"type": "http.response.body", "body": body, "more_body": more})

    def _put(self, message: Message) -> None:
        self._waiting.append(message)
        self._came.set()


def _event(item: Any) -> bytes:
    try:
        text = json.dumps(item, ensure_ascii=False, allow_nan=False, default=jsonable)
    except (TypeError, ValueError) as error:
        raise NotSerializable(str(error)) from None
    return f"data: {text}\n\n".encode()
