"""Answers that are more than a JSON value."""

from __future__ import annotations

import mimetypes
import os
from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ._core import dumps

Headers = list[tuple[str, str]]


class HTTPError(Exception):
    """Raise it to answer with a status of your own choice.

    raise HTTPError(404, "there is no such voice")
    """

    def __init__(
        self, status: int, detail: str = "", *, headers: Mapping[str, str] | None = None
    ) -> None:
        if not 400 <= status <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {status}")
        super().__init__(detail or f"HTTP {status}")
        self.status = status
        self.detail = detail
        self.headers = dict(headers or {})


class Response:
    """An answer with a status, headers and a media type.

    `content` may be bytes or text, sent as they are; an iterator (also an asynchronous one) of
    bytes or text, sent piece by piece; anything else is sent as JSON.
    """

    def __init__(
        self,
        content: Any = b"",
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
    ) -> None:
        self.content = content
        self.status = status
        self.headers = dict(headers or {})
        self.media_type = media_type

    def is_stream(self) -> bool:
        """Whether the content comes piece by piece."""
        return isinstance(self.content, (Iterator, AsyncIterator))

    def head(self, default_type: str) -> Headers:
        """The headers to send, content type included."""
        named = {name.lower() for name in self.headers}
        pairs = list(self.headers.items())
        if "content-type" not in named:
            pairs.append(("content-type", self.media_type or default_type))
        return pairs

    def encoded(self) -> tuple[bytes, str]:
        """The content as bytes, and the media type that suits it."""
        content = self.content
        if isinstance(content, str):
            return content.encode(), "text/plain; charset=utf-8"
        if isinstance(content, (bytes, bytearray, memoryview)):
            return bytes(content), "application/octet-stream"
        return dumps(content), "application/json"


class FileResponse(Response):
    """An answer from a file, read while it is sent.

    The media type follows from the name unless one is given; `filename` offers it for download
    under that name.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        status: int = 200,
        headers: Mapping[str, str] | None = None,
        media_type: str | None = None,
        filename: str | None = None,
    ) -> None:
        self.path = os.fspath(path)
        guessed = mimetypes.guess_type(self.path)[0] or "application/octet-stream"
        super().__init__(None, status, headers, media_type or guessed)
        if filename is not None:
            quoted = filename.replace("\\", "_").replace('"', "_")
            self.headers.setdefault("content-disposition", f'attachment; filename="{quoted}"')


@dataclass(frozen=True)
class Event:
    """A server-sent event with more than data. Yield it from a `@stream` method."""

    data: Any = ""
    event: str | None = None
    id: str | None = None
    retry: int | None = None

    def encode(self) -> bytes:
        """The event as it goes over the wire."""
        lines = [
            f"{name}: {_one_line(str(value))}"
            for name, value in (("event", self.event), ("id", self.id), ("retry", self.retry))
            if value is not None
        ]
        text = self.data if isinstance(self.data, str) else dumps(self.data).decode()
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        lines += [f"data: {line}" for line in text.split("\n")]
        return ("\n".join(lines) + "\n\n").encode()


def _one_line(text: str) -> str:
    return text.replace("\r", " ").replace("\n", " ")
