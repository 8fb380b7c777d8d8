"""What a server serves: routes as they are declared, and where each of them is found."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

HandlerType = Callable[..., Any]
"""A function, a generator or an object that can be called, asynchronous or not."""

SERVER_CODE_OK = 0
SERVER_CODE_ERROR = 1
SERVER_CODE_STOP = 2


class RouterKind(str, Enum):
    """How a route answers."""

    API = "api"
    """One JSON value."""
    SSE = "sse"
    """A stream of server-sent events."""
    WS = "ws"
    """A WebSocket."""


class HTTPMethod(str, Enum):
    """The HTTP methods that a route can have."""

    GET = "GET"
    POST = "POST"
    PUT = "PUT"
    DELETE = "DELETE"
    PATCH = "PATCH"
    HEAD = "HEAD"
    OPTIONS = "OPTIONS"


@dataclass
class RouterDef:
    """One route.

    `path` stands behind the server's prefix and the name of the group, and may hold parameters:
    `files/{name}`, `files/{rest:path}`, `{n:int}`. `handler` gets one `dict`, the query. Of routes
    that would do for the same request the one with the lowest `order` is taken, then the one that
    was declared first. `timeout` (seconds) and `sse_headers` go before those of `RouterConfig`.
    """

    path: str
    handler: HandlerType
    kind: RouterKind | str = RouterKind.API
    method: HTTPMethod | str = HTTPMethod.POST
    summary: str | None = None
    tags: list[str] | None = None
    order: int = 0
    timeout: float | None = None
    sse_headers: dict[str, str] | None = None


def _sse_headers() -> dict[str, str]:
    return {
        "Cache-Control": "no-cache",
        "Connection": "keep-alive",
        # Asks proxies on the way not to collect events.
        "X-Accel-Buffering": "no",
    }


@dataclass
class RouterConfig:
    """What holds for all routes that say nothing else.

    `timeout` is the longest time from a request to the end of its answer, in seconds. `enable_cors`
    is kept for files that set it; `Server(enable_cors=True)` is what counts.
    """

    timeout: float = 600
    enable_cors: bool = True
    sse_headers: dict[str, str] = field(default_factory=_sse_headers)


RouterGroupConfig = Mapping[str, Sequence[RouterDef]]
"""Routes by the name of their group."""


@dataclass(frozen=True)
class Resolved:
    """A route with its place and its limits."""

    definition: RouterDef
    path: str
    """Where it is found, prefix included."""
    kind: RouterKind
    method: str
    timeout: float | None
    """Seconds; `None` for a WebSocket, which may last."""
    headers: dict[str, str]
    """In the head of each answer of events."""

    @property
    def handler(self) -> HandlerType:
        """The code."""
        return self.definition.handler

    @property
    def summary(self) -> str:
        """One line for a person."""
        return self.definition.summary or f"{self.kind.value.upper()} {self.path}"


def resolve(
    routers: RouterGroupConfig | None, config: RouterConfig | None, prefix: str
) -> list[Resolved]:
    """Every route with its place, in the order in which requests are compared with them.

    A WebSocket is found with the prefix and without it. Raises `ValueError` for a kind, a method or
    a timeout that cannot be, naming the route.
    """
    config = config or RouterConfig()
    placed: list[tuple[int, Resolved]] = []
    for group, definitions in (routers or {}).items():
        for definition in definitions:
            bare = _joined(group, definition.path)
            for path in _places(prefix, bare, definition):
                placed.append((definition.order, _resolved(definition, path, config)))
    # Stable: the first declared stays the first.
    placed.sort(key=lambda pair: pair[0])
    return _unlike(route for _, route in placed)


def _joined(group: str, path: str) -> str:
    group_path = f"/{group}" if group else ""
    return _collapsed(f"{group_path}/{path}")


def _collapsed(path: str) -> str:
    while "//" in path:
        path = path.replace("//", "/")
    return path


def _places(prefix: str, bare: str, definition: RouterDef) -> list[str]:
    whole = _collapsed(f"/{prefix}{bare}" if prefix else bare)
    if _kind(definition) is RouterKind.WS and whole != bare:
        return [whole, bare]
    return [whole]


def _resolved(definition: RouterDef, path: str, config: RouterConfig) -> Resolved:
    kind, method = _kind(definition), str(getattr(definition.method, "value", definition.method))
    try:
        method = HTTPMethod(method.upper()).value
    except ValueError:
        raise ValueError(f"route {path}: there is no method {method!r}") from None
    timeout = config.timeout if definition.timeout is None else definition.timeout
    if not timeout > 0:
        raise ValueError(f"route {path}: a timeout is a number of seconds above 0, not {timeout}")
    headers = config.sse_headers if definition.sse_headers is None else definition.sse_headers
    is_socket = kind is RouterKind.WS
    return Resolved(
        definition=definition,
        path=path,
        kind=kind,
        method="GET" if is_socket else method,
        timeout=None if is_socket else timeout,
        headers=dict(headers),
    )


def _kind(definition: RouterDef) -> RouterKind:
    kind = getattr(definition.kind, "value", definition.kind)
    try:
        return RouterKind(str(kind).lower())
    except ValueError:
        raise ValueError(f"route {definition.path}: there is no kind {kind!r}") from None


def _unlike(routes: Any) -> list[Resolved]:
    """Without those that no request could reach."""
    found: dict[tuple[str, str, bool], Resolved] = {}
    for route in routes:
        found.setdefault((route.path, route.method, route.kind is RouterKind.WS), route)
    return list(found.values())
