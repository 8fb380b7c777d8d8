"""WebSockets: what a method marked with `@websocket`, or a handler of kind `ws`, talks through.

The names are those of Starlette, so code that was written for it needs another import only.
"""

from __future__ import annotations

import enum
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from http.cookies import SimpleCookie
from typing import Any
from urllib.parse import parse_qsl

from ._core import Socket, dumps
from ._headers import Headers
from ._sockets import Channel, Gone


class WebSocketDisconnect(Exception):
    """The peer of a WebSocket is gone.

    `code` is that of the close (RFC 6455, section 7.4): 1000 or 1001 for an ordinary one, 1005 if
    the peer named none, 1006 if the connection broke, 1012 if this worker stops.
    """

    def __init__(self, code: int = 1000, reason: str | None = None) -> None:
        super().__init__(code, reason or "")
        self.code = code
        self.reason = reason or ""


class WebSocketState(enum.Enum):
    """How far a WebSocket is."""

    CONNECTING = 0
    CONNECTED = 1
    DISCONNECTED = 2


class WebSocket:
    """One WebSocket.

    The code must `accept` it first; returning without that, or closing it, refuses the client with
    403. When the code returns, the socket is closed: with 1000, or with 1011 if it raised. Messages
    that are not taken stop the peer, and `send_*` waits for a peer that reads slowly. A peer that
    is silent for 20 seconds is sent a ping, and is gone after 20 more.
    """

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._core: Socket = channel.core
        self._accepted = False
        self._closed = False
        self._over = False
        self._headers: Headers | None = None

    # --- the request ---

    @property
    def path(self) -> str:
        """The path as received."""
        return self._core.path

    @property
    def path_params(self) -> dict[str, Any]:
        """What the holes of the route's path took."""
        return self._core.path_params

    @property
    def query_params(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        return dict(parse_qsl(self._core.query, keep_blank_values=True))

    @property
    def headers(self) -> Headers:
        """The headers; their names in any case."""
        if self._headers is None:
            self._headers = Headers(self._core.headers)
        return self._headers

    @property
    def cookies(self) -> dict[str, str]:
        """The cookies that the client sent along."""
        parsed = SimpleCookie(self.headers.get("cookie", ""))
        return {name: morsel.value for name, morsel in parsed.items()}

    @property
    def subprotocols(self) -> list[str]:
        """The subprotocols that the client speaks, best first."""
        return self._core.subprotocols

    @property
    def client(self) -> None:
        """The address of the client: not known, as a worker is called through a gateway."""
        return None

    @property
    def trace_id(self) -> str:
        """What ties the log lines of this socket together: the client's `x-trace-id`, or ours."""
        return self._core.trace_id

    @property
    def client_state(self) -> WebSocketState:
        """Whether the peer is there."""
        if self._over or self._core.gone:
            return WebSocketState.DISCONNECTED
        return WebSocketState.CONNECTED if self._accepted else WebSocketState.CONNECTING

    @property
    def application_state(self) -> WebSocketState:
        """Whether this side has accepted, or closed."""
        if self._closed:
            return WebSocketState.DISCONNECTED
        return WebSocketState.CONNECTED if self._accepted else WebSocketState.CONNECTING

    # --- the beginning and the end ---

    async def accept(
        self,
        subprotocol: str | None = None,
        headers: Mapping[str, str] | Iterable[tuple[Any, Any]] | None = None,
    ) -> None:
        """Give the client its socket: with one of its subprotocols, with more headers.

        Raises `RuntimeError` if it was decided before, `WebSocketDisconnect` if the client did not
        wait, `ValueError` for a header that cannot be sent.
        """
        if self._accepted or self._closed:
            raise RuntimeError("the WebSocket was accepted or closed before")
        if not self._core.accept(subprotocol, _pairs(headers)):
            self._over = True
            raise WebSocketDisconnect(1006)
        self._accepted = True

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """Close with a code (RFC 6455, section 7.4) and at most 123 bytes of reason.

        Before `accept` it refuses the client with 403. A second close does nothing.
        """
        if self._closed:
            return
        self._closed = True
        if self._accepted:
            self._core.close(code, reason or "")
        else:
            self._core.refuse(403, [], b"")

    async def refuse(
        self, status: int = 403, body: Any = b"", headers: Mapping[str, str] | None = None
    ) -> None:
        """Answer a client that wants a socket with a status and a body instead: bytes, text, or a
        JSON value."""
        if self._accepted or self._closed:
            raise RuntimeError("the WebSocket was accepted or closed before")
        self._closed = True
        pairs, content = _pairs(headers), body
        if isinstance(body, str):
            content = body.encode()
        elif not isinstance(body, (bytes, bytearray, memoryview)):
            content = dumps(body)
            pairs.append(("content-type", "application/json"))
        self._core.refuse(status, pairs, bytes(content))

    # --- receiving ---

    async def receive_message(self) -> str | bytes:
        """The next message, text or bytes. Raises `WebSocketDisconnect` when there is none."""
        if not self._accepted:
            raise RuntimeError("accept the WebSocket first: `await websocket.accept()`")
        try:
            return await self._channel.receive()
        except Gone as gone:
            self._over = True
            raise WebSocketDisconnect(gone.code, gone.reason) from None

    async def receive_text(self) -> str:
        """The next message. Raises `WebSocketDisconnect`, and `TypeError` if it is bytes."""
        message = await self.receive_message()
        if isinstance(message, bytes):
            raise TypeError("the peer sent bytes, not text")
        return message

    async def receive_bytes(self) -> bytes:
        """The next message. Raises `WebSocketDisconnect`, and `TypeError` if it is text."""
        message = await self.receive_message()
        if isinstance(message, str):
            raise TypeError("the peer sent text, not bytes")
        return message

    async def receive_json(self, mode: str = "text") -> Any:
        """The next message, read as JSON. Raises `WebSocketDisconnect`, and `ValueError` if it is
        none. `mode` is `text` or `binary`, for the kind of message that is expected."""
        if mode not in ("text", "binary"):
            raise RuntimeError('`mode` must be "text" or "binary"')
        return json.loads(
            await self.receive_text() if mode == "text" else await self.receive_bytes()
        )

    async def iter_text(self) -> AsyncIterator[str]:
        """Every text until the peer is gone."""
        try:
            while True:
                yield await self.receive_text()
        except WebSocketDisconnect:
            return

    async def iter_bytes(self) -> AsyncIterator[bytes]:
        """All bytes until the peer is gone, message by message."""
        try:
            while True:
                yield await self.receive_bytes()
        except WebSocketDisconnect:
            return

    async def iter_json(self) -> AsyncIterator[Any]:
        """Every JSON value until the peer is gone."""
        try:
            while True:
                yield await self.receive_json()
        except WebSocketDisconnect:
            return

    def __aiter__(self) -> AsyncIterator[str | bytes]:
        return self._messages()

    async def _messages(self) -> AsyncIterator[str | bytes]:
        try:
            while True:
                yield await self.receive_message()
        except WebSocketDisconnect:
            return

    # --- sending ---

    async def send_text(self, data: str) -> None:
        """Send text. Raises `WebSocketDisconnect` if nobody reads any more."""
        await self._settle(self._open().send_text(data))

    async def send_bytes(self, data: bytes) -> None:
        """Send bytes. Raises `WebSocketDisconnect` if nobody reads any more."""
        await self._settle(self._open().send_bytes(bytes(data)))

    async def send_json(self, data: Any, mode: str = "text") -> None:
        """Send a value as JSON, as a message of text or of bytes (`mode="binary"`).

        Raises `WebSocketDisconnect` if nobody reads any more, `TypeError` for a value without a
        JSON form.
        """
        if mode not in ("text", "binary"):
            raise RuntimeError('`mode` must be "text" or "binary"')
        core = self._open()
        await self._settle(core.send_json(data) if mode == "text" else core.send_bytes(dumps(data)))

    def _open(self) -> Socket:
        if not self._accepted:
            raise RuntimeError("accept the WebSocket first: `await websocket.accept()`")
        if self._closed:
            raise RuntimeError("the WebSocket was closed before")
        return self._core

    async def _settle(self, sent: int) -> None:
        try:
            await self._channel.settle(sent)
        except Gone as gone:
            self._over = True
            raise WebSocketDisconnect(gone.code, gone.reason) from None

    def __repr__(self) -> str:
        return f"<WebSocket {self.path} {self.client_state.name.lower()}>"


def _pairs(headers: Mapping[str, str] | Iterable[tuple[Any, Any]] | None) -> list[tuple[str, str]]:
    """Headers as pairs of text; Starlette takes pairs of bytes."""
    if headers is None:
        return []
    items = headers.items() if isinstance(headers, Mapping) else headers
    return [(_text(name), _text(value)) for name, value in items]


def _text(value: Any) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)
