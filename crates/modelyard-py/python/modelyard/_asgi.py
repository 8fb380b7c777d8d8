"""A WebSocket as ASGI applications know it: a scope, `receive` and `send`."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, MutableMapping
from typing import Any
from urllib.parse import unquote

from ._core import ROOM
from ._sockets import Channel, Gone

Message = MutableMapping[str, Any]
Receive = Callable[[], Coroutine[Any, Any, Message]]
Send = Callable[[Message], Coroutine[Any, Any, None]]

VERSION = {"version": "3.0", "spec_version": "2.4"}


class AsgiSocket:
    """One WebSocket for an ASGI application."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._core = channel.core
        self._greeted = False
        self._accepted = False
        self._denial: tuple[int, list[tuple[str, str]], bytes] | None = None

    def scope(self) -> dict[str, Any]:
        """What is known of the socket."""
        core = self._core
        return {
            "type": "websocket",
            "asgi": dict(VERSION),
            "http_version": "1.1",
            "scheme": "ws",
            "path": unquote(core.path),
            "raw_path": core.path.encode("latin-1"),
            "query_string": core.query.encode("latin-1"),
            "root_path": "",
            "headers": [(n.encode("latin-1"), v.encode("latin-1")) for n, v in core.headers],
            "client": None,
            "server": None,
            "subprotocols": core.subprotocols,
            "path_params": core.path_params,
            "state": {},
            "extensions": {"websocket.http.response": {}},
        }

    async def receive(self) -> Message:
        """What happens next."""
        if not self._greeted:
            self._greeted = True
            return {"type": "websocket.connect"}
        try:
            message = await self._channel.receive()
        except Gone as gone:
            return {"type": "websocket.disconnect", "code": gone.code, "reason": gone.reason}
        if isinstance(message, str):
            return {"type": "websocket.receive", "text": message}
        return {"type": "websocket.receive", "bytes": message}

    async def send(self, message: Message) -> None:
        """Do what the application says. Raises `OSError` if the peer is gone."""
        kind = message["type"]
        if kind == "websocket.send":
            await self._say(message)
        elif kind == "websocket.accept":
            self._accepted = self._core.accept(message.get("subprotocol"), _pairs(message))
        elif kind == "websocket.close":
            self._close(message)
        elif kind == "websocket.http.response.start":
            self._denial = (message["status"], _pairs(message), b"")
        elif kind == "websocket.http.response.body" and self._denial is not None:
            self._deny(message)
        else:
            raise RuntimeError(f"a WebSocket cannot do {kind!r}")

    async def _say(self, message: Message) -> None:
        text = message.get("text")
        core = self._core
        sent = core.send_bytes(message["bytes"]) if text is None else core.send_text(text)
        if sent != ROOM:
            try:
                await self._channel.settle(sent)
            except Gone:
                raise OSError("the peer of the WebSocket is gone") from None

    def _close(self, message: Message) -> None:
        if self._accepted:
            self._core.close(message.get("code") or 1000, message.get("reason") or "")
        else:
            self._core.refuse(403, [], b"")

    def _deny(self, message: Message) -> None:
        assert self._denial is not None
        status, headers, body = self._denial
        self._denial = (status, headers, body + message.get("body", b""))
        if not message.get("more_body", False):
            self._core.refuse(*self._denial)


def _pairs(message: Message) -> list[tuple[str, str]]:
    headers = message.get("headers") or ()
    return [(bytes(n).decode("latin-1"), bytes(v).decode("latin-1")) for n, v in headers]
