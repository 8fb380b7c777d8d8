"""From the result of a method to the answer of its call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Iterator
from dataclasses import dataclass
from typing import Any

from ._core import EVENTS, LINES, RAW, Call, InvalidJson, NotSerializable, dumps
from ._plain import plain
from ._shapes import Invalid
from .responses import Event, FileResponse, Headers, HTTPError, Response

_log = logging.getLogger("modelyard.worker")

_EVENT_HEADERS = [
    ("content-type", "text/event-stream"),
    ("cache-control", "no-cache"),
    # Asks proxies on the way not to collect events.
    ("x-accel-buffering", "no"),
]
_LINE_HEADERS = [("content-type", "application/x-ndjson")]
_RAW_HEADERS = [("content-type", "application/octet-stream")]


@dataclass(frozen=True)
class Streaming:
    """An answer that comes piece by piece."""

    items: Iterator[Any] | AsyncIterator[Any]
    events: bool = False
    """Sent as server-sent events, whatever the client asks for."""
    response: Response | None = None
    """Status and headers, for pieces that are sent as they are."""

    def framing(self, call: Call, first: Any) -> tuple[int, int, Headers]:
        """Framing, status and headers, once the first item is known."""
        if self.response is not None:
            return RAW, self.response.status, self.response.head("application/octet-stream")
        if self.events or call.wants_events:
            return EVENTS, 200, list(_EVENT_HEADERS)
        if isinstance(first, bytes):
            return RAW, 200, list(_RAW_HEADERS)
        return LINES, 200, list(_LINE_HEADERS)


def send_item(call: Call, item: Any, framing: int) -> int:
    """Send one item of a stream; whether to go on."""
    if framing == EVENTS and isinstance(item, Event):
        return call.send(item.encode(), RAW)
    return call.send(item, framing)


def answer(call: Call, result: Any, *, events: bool = False) -> Streaming | None:
    """Send a result, whatever it is; gives back what must be sent piece by piece."""
    if call.answer(result):
        return None
    if isinstance(result, Response):
        return _respond(call, result)
    if isinstance(result, (bytes, bytearray, memoryview)):
        call.respond(200, _RAW_HEADERS, bytes(result))
        return None
    if isinstance(result, (Iterator, AsyncIterator)):
        return Streaming(result, events=events)
    if isinstance(result, Awaitable):
        raise TypeError("the method returned something to await; declare it with `async def`")
    try:
        stand_in = plain(result)
    except TypeError as error:
        raise NotSerializable(f"result: {error}") from None
    return answer(call, stand_in)


def _respond(call: Call, response: Response) -> Streaming | None:
    if isinstance(response, FileResponse):
        call.send_file(response.status, response.head(""), response.path)
    elif response.is_stream():
        return Streaming(response.content, response=response)
    else:
        body, media_type = response.encoded()
        call.respond(response.status, response.head(media_type), body)
    return None


def fail(call: Call, error: BaseException) -> None:
    """Answer a call whose code raised."""
    try:
        _fail(call, error)
    except Exception as another:  # for example a header that cannot be sent
        _log.exception("the error of a call could not be told")
        call.fail("handler_failed", str(another))


def _fail(call: Call, error: BaseException) -> None:
    if isinstance(error, Invalid):
        call.fail("invalid_input", error.sentence(), error.fields())
    elif isinstance(error, InvalidJson):
        call.fail("invalid_json", str(error))
    elif isinstance(error, HTTPError):
        _refuse(call, error)
    elif isinstance(error, NotSerializable):
        _log.error("a result cannot be sent: %s", error)
        call.fail("result_not_serializable", str(error))
    elif isinstance(error, asyncio.CancelledError) and call.cancelled:
        call.fail("handler_failed", "the call was cancelled")
    else:
        _log.error("a method raised %s", type(error).__name__, exc_info=error)
        call.fail("handler_failed", text_of(error))


def text_of(error: BaseException) -> str:
    """What an exception says, for the caller."""
    if isinstance(error, SystemExit):
        return f"the handler called sys.exit({error.code!r})"
    return str(error) or type(error).__name__


def _refuse(call: Call, error: HTTPError) -> None:
    problem = {
        "type": "about:blank",
        "title": str(error),
        "status": error.status,
        "detail": error.detail or str(error),
        "code": "http_error",
        "request_id": call.request_id,
    }
    headers = [("content-type", "application/problem+json"), *error.headers.items()]
    call.respond(error.status, headers, dumps(problem))


def break_off(call: Call, error: BaseException, framing: int) -> None:
    """End a stream whose code raised after it had begun: tell it as the last item."""
    left = isinstance(error, (asyncio.CancelledError, GeneratorExit)) and call.cancelled
    if left or framing == RAW:
        if not left:
            _log.error("a stream raised %s", type(error).__name__, exc_info=error)
        call.fail("handler_failed", text_of(error))
        return
    _log.error("a stream raised %s", type(error).__name__, exc_info=error)
    code = "result_not_serializable" if isinstance(error, NotSerializable) else "handler_failed"
    told = {"code": code, "detail": text_of(error)}
    if framing == EVENTS:
        call.send(Event(told, event="error").encode(), RAW)
    else:
        call.send({"error": told}, LINES)
    call.close()
