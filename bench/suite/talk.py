"""Clients of streams and of WebSockets; they count in whole buffers, so as not to be the limit."""

import json
import os
import selectors
import socket
import time
from base64 import b64encode
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

_BUFFER_BYTES = 1 << 18
_TEXT_FRAME = 0x81
_MASKED = 0x80
_SILENCE_SECONDS_MAX = 30
_END = b"data: [DONE]\n\n"


class _Stream:
    """One connection that asks for the same stream again and again, and counts its events."""

    def __init__(self, url: str, events: int) -> None:
        self._request = _post(url, {"events": events})
        self._tail = b""
        self.events = 0
        self.socket = _connected(url)
        self.socket.sendall(self._request)

    def read(self) -> None:
        data = self._tail + _some(self.socket)
        end = data.rfind(_END)
        # An event ends with an empty line; what is counted must not be counted again.
        whole = data.rfind(b"\n\n") + 2
        self.events += data.count(b"\n\n", 0, whole) if whole > 1 else 0
        self._tail = data[whole:] if whole > 1 else data
        if end >= 0:
            self.events -= 1
            self._tail = b""
            self.socket.sendall(self._request)


class _Echo:
    """One WebSocket with a fixed number of messages on their way, each answered by its like."""

    def __init__(self, url: str, window: int) -> None:
        self.socket = _connected(url)
        _upgrade(self.socket, url)
        self._message = _frame(b'{"payload":"hello"}')
        self._answer_bytes = len(b'{"payload":"hello"}') + 2
        self._received = 0
        self.events = 0
        self.socket.sendall(self._message * window)

    def read(self) -> None:
        self._received += len(_some(self.socket))
        answers, self._received = divmod(self._received, self._answer_bytes)
        self.events += answers
        self.socket.sendall(self._message * answers)


def streamed(
    url: str, *, connections: int, seconds: float, warm_up: float, events: int = 2_000
) -> dict:
    """Events a second over streams of so many events, one after the other on each connection."""
    return _rate([_Stream(url, events) for _ in range(connections)], seconds, warm_up)


def echoed(url: str, *, connections: int, seconds: float, warm_up: float, window: int) -> dict:
    """Messages a second over WebSockets, `window` of them on their way on each."""
    return _rate([_Echo(url, window) for _ in range(connections)], seconds, warm_up)


@contextmanager
def held(url: str, *, connections: int) -> Iterator[None]:
    """Streams that have given their first event, and are silent from then on."""
    with ExitStack() as all_of_them:
        for _ in range(connections):
            connection = all_of_them.enter_context(_connected(url))
            connection.sendall(_post(url, {}))
            seen = b""
            while b"\n\n" not in seen:
                seen += _some(connection)
        yield


def _rate(talks: list, seconds: float, warm_up: float) -> dict:
    with selectors.DefaultSelector() as selector:
        for talk in talks:
            selector.register(talk.socket, selectors.EVENT_READ, talk)
        try:
            _until(selector, time.perf_counter() + warm_up)
            before, begun = sum(talk.events for talk in talks), time.perf_counter()
            _until(selector, begun + seconds)
            elapsed = time.perf_counter() - begun
            return {"per_s": (sum(talk.events for talk in talks) - before) / elapsed}
        finally:
            for talk in talks:
                talk.socket.close()


def _until(selector: selectors.BaseSelector, deadline: float) -> None:
    while time.perf_counter() < deadline:
        ready = selector.select(_SILENCE_SECONDS_MAX)
        if not ready:
            raise OSError(f"nothing came for {_SILENCE_SECONDS_MAX} s")
        for key, _ in ready:
            key.data.read()


def _connected(url: str) -> socket.socket:
    parts = urlsplit(url)
    connection = socket.create_connection((parts.hostname, parts.port), _SILENCE_SECONDS_MAX)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return connection


def _some(connection: socket.socket) -> bytes:
    data = connection.recv(_BUFFER_BYTES)
    if not data:
        raise OSError("the server ended the connection")
    return data


def _post(url: str, body: dict) -> bytes:
    parts, content = urlsplit(url), json.dumps(body)
    head = f"POST {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\n"
    head += f"content-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n"
    return (head + content).encode()


def _upgrade(connection: socket.socket, url: str) -> None:
    parts, key = urlsplit(url), b64encode(os.urandom(16)).decode()
    head = f"GET {parts.path} HTTP/1.1\r\nhost: {parts.netloc}\r\nupgrade: websocket\r\n"
    head += f"connection: upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: {key}\r\n\r\n"
    connection.sendall(head.encode())
    answer = b""
    while b"\r\n\r\n" not in answer:
        answer += _some(connection)
    if b" 101 " not in answer.split(b"\r\n")[0]:
        raise OSError(f"no WebSocket: {answer[:100]!r}")


def _frame(text: bytes) -> bytes:
    # Clients must mask; a mask of zeros leaves the text as it is.
    return bytes([_TEXT_FRAME, _MASKED | len(text), 0, 0, 0, 0]) + text
