"""Answers that a handler made itself: responses of ours, of FastAPI and of Starlette.

Those of Starlette are known by their shape: it need not be installed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Any

from modelyard._core import GONE, PARKED, RAW, Call
from modelyard.responses import FileResponse, Response

# The HTTP side says these itself.
_FRAMING = frozenset(("content-length", "transfer-encoding", "connection"))


def is_response(result: Any) -> bool:
    """Whether a handler's result is an answer already."""
    return isinstance(result, Response) or _is_foreign(result)


def _is_foreign(result: Any) -> bool:
    return hasattr(result, "status_code") and hasattr(result, "raw_headers")


async def respond(call: Call, response: Any, room: Any) -> None:
    """Send a response; `room` waits until the reader of a stream has read.

    Raises whatever the iterator of a stream raises, and `OSError` for a file that is not there.
    """
    if _is_foreign(response):
        await _respond_foreign(call, response, room)
    elif isinstance(response, FileResponse):
        call.send_file(response.status, response.head(""), response.path)
    elif response.is_stream():
        head = response.head("application/octet-stream")
        await _send_all(call, response.status, head, response.content, room)
    else:
        body, media_type = response.encoded()
        call.respond(response.status, response.head(media_type), body)


async def _respond_foreign(call: Call, response: Any, room: Any) -> None:
    raw = [
        (name.decode("latin-1"), value.decode("latin-1")) for name, value in response.raw_headers
    ]
    head = [pair for pair in raw if pair[0].lower() not in _FRAMING]
    if hasattr(response, "body_iterator"):
        await _send_all(call, response.status_code, head, response.body_iterator, room)
    elif hasattr(response, "path"):
        call.send_file(response.status_code, head, str(response.path))
    else:
        call.respond(response.status_code, head, bytes(response.body))
    background = getattr(response, "background", None)
    if background is not None:
        await background()


async def _send_all(
    call: Call, status: int, head: list[tuple[str, str]], pieces: Any, room: Any
) -> None:
    call.open_stream(0, status, head)
    try:
        async for piece in _asynchronous(pieces):
            sent = call.send(piece, RAW)
            if sent == PARKED:
                await room(call.key)
            elif sent == GONE:
                break
    finally:
        if hasattr(pieces, "aclose"):
            await pieces.aclose()
    call.close()


async def _asynchronous(pieces: AsyncIterator[Any] | Iterator[Any]) -> AsyncIterator[Any]:
    if isinstance(pieces, AsyncIterator):
        async for piece in pieces:
            yield piece
    else:
        # It may block, and this is the loop of everybody.
        while (piece := await asyncio.to_thread(next, pieces, _END)) is not _END:
            yield piece


_END: Any = object()
