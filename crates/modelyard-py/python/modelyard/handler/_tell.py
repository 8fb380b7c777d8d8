"""From what a handler gave or raised to the answer of its call."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable
from typing import Any

from modelyard._core import DATA, Call, NotSerializable, dumps

from ._jsonable import jsonable
from ._responses import is_response
from .errors import RouterError, chosen_status, format_error_response, text_of

_log = logging.getLogger("modelyard.handler")


def answered(call: Call, result: Any) -> bool:
    """Answer with a value that JSON knows; `False`, and nothing happens, if it does not."""
    try:
        return call.answer(result)
    except NotSerializable:
        return False


def give(call: Call, result: Any) -> None:
    """Answer with a value that is not of a plain type.

    Raises `NotSerializable` if it has no JSON form.
    """
    try:
        stand_in = jsonable(result)
    except (TypeError, UnicodeDecodeError) as error:
        raise NotSerializable(f"the result has no JSON form: {error}") from None
    except RecursionError:
        raise NotSerializable("the result holds itself") from None
    call.answer(stand_in)


def needs_loop(result: Any) -> bool:
    """Whether only an event loop can go on with a result."""
    return isinstance(result, (AsyncIterator, Awaitable)) or is_response(result)


def close(items: Any) -> None:
    """End a generator; another iterator needs no end."""
    if hasattr(items, "close"):
        items.close()


class Yielded(Exception):
    """A generator yielded an exception: that is how a handler tells an error in the middle."""

    def __init__(self, error: Exception) -> None:
        super().__init__(text_of(error))
        self.error = error


def collected(items: list[Any]) -> Any:
    """What a generator answers where one value is wanted."""
    return items[0] if len(items) == 1 else {"results": items}


def fail(call: Call, error: BaseException) -> None:
    """Answer a call whose code raised."""
    chosen = chosen_status(error.error if isinstance(error, Yielded) else error)
    if chosen is not None:
        status, message, headers = chosen
        refuse(call, status, message, "http_error", headers)
        return
    if isinstance(error, RouterError):
        _report(call, error)
        refuse(call, 500, text_of(error), "router_error")
        return
    if isinstance(error, Yielded):
        refuse(call, 500, text_of(error), "handler_error")
        return
    if not _left(call, error):
        _report(call, error)
    refuse(call, 500, text_of(error), "api_error")


def refuse(
    call: Call, status: int, message: Any, kind: str, headers: dict[str, str] | None = None
) -> None:
    """Answer with an error."""
    try:
        body = dumps(format_error_response(message, kind))
    except NotSerializable:
        body = dumps(format_error_response(text_of(message), kind))
    head = [("content-type", "application/json")]
    head += [pair for pair in (headers or {}).items() if pair[0].lower() not in _OURS]
    try:
        call.respond(status, head, body)
    except ValueError:  # A header that cannot be sent.
        call.respond(status, head[:1], body)


_OURS = frozenset(("content-type", "content-length", "transfer-encoding"))


def break_off(call: Call, error: BaseException, kind: str) -> None:
    """End a stream of events whose code raised: the last event tells why."""
    try:
        if not _left(call, error):
            _report(call, error)
            end_with(call, error, kind)
    finally:
        call.close()


def end_with(call: Call, error: BaseException, kind: str) -> None:
    """Send the event that tells an error."""
    chosen = chosen_status(error)
    message, kind = (text_of(error), kind) if chosen is None else (chosen[1], "http_error")
    try:
        call.send(format_error_response(message, kind), DATA)
    except NotSerializable:
        call.send(format_error_response(text_of(message), kind), DATA)


def _left(call: Call, error: BaseException) -> bool:
    return isinstance(error, (asyncio.CancelledError, GeneratorExit)) and call.cancelled


def _report(call: Call, error: BaseException) -> None:
    _log.error(
        "%s %s: the handler raised %s (trace_id %s)",
        call.method,
        call.path,
        type(error).__name__,
        call.trace_id,
        exc_info=error,
    )
