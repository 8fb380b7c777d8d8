"""Decorators that say how a method is called."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar, overload

F = TypeVar("F", bound=Callable[..., Any])

_ATTRIBUTE = "__modelyard__"


@dataclass
class Marks:
    """What the decorators said of one method."""

    path: str | None = None
    method: str = "POST"
    default: bool = False
    summary: str | None = None
    timeout_s: float | None = None
    events: bool = False
    batch_size: int | None = None
    batch_wait_ms: int = 5
    batch_adaptive: bool = False
    socket: bool = False


def marks_of(function: Any) -> Marks:
    """What the decorators said; defaults if there were none."""
    return getattr(function, _ATTRIBUTE, None) or Marks()


def _mark(function: F, **said: Any) -> F:
    marks = marks_of(function)
    for name, value in said.items():
        setattr(marks, name, value)
    setattr(function, _ATTRIBUTE, marks)
    return function


@overload
def batch(function: F, /) -> F: ...
@overload
def batch(
    *, max_size: int = 32, max_wait_ms: int = 5, adaptive: bool = False
) -> Callable[[F], F]: ...
def batch(
    function: F | None = None,
    /,
    *,
    max_size: int = 32,
    max_wait_ms: int = 5,
    adaptive: bool = False,
) -> F | Callable[[F], F]:
    """Give the method many calls at once: each parameter is a list, and so is the result.

    A batch closes with `max_size` calls, or `max_wait_ms` after its first one. `adaptive` waits
    less when no company is to be expected. A result may be an exception: only that call fails.
    """
    if max_size < 1 or max_wait_ms < 0:
        raise ValueError("`max_size` must be at least 1 and `max_wait_ms` at least 0")

    def decorate(method: F) -> F:
        return _mark(
            method, batch_size=max_size, batch_wait_ms=max_wait_ms, batch_adaptive=adaptive
        )

    return decorate if function is None else decorate(function)


def stream(function: F) -> F:
    """Send what the generator yields as server-sent events, whatever the client asks for."""
    return _mark(function, events=True)


def route(
    *,
    path: str | None = None,
    method: str = "POST",
    default: bool = False,
    summary: str | None = None,
    timeout_s: float | None = None,
) -> Callable[[F], F]:
    """Say where a method is found: its path, its HTTP method, whether it is the default route.

    `timeout_s` is the longest time for one call; the first paragraph of the docstring is the
    summary unless one is given.
    """
    if path is not None and not path.startswith("/"):
        raise ValueError(f"the path {path!r} must begin with a slash")

    def decorate(function: F) -> F:
        return _mark(
            function,
            path=path,
            method=method.upper(),
            default=default,
            summary=summary,
            timeout_s=timeout_s,
        )

    return decorate


@overload
def websocket(method: F, /) -> F: ...
@overload
def websocket(*, path: str | None = None, summary: str | None = None) -> Callable[[F], F]: ...
def websocket(
    method: F | None = None,
    /,
    *,
    path: str | None = None,
    summary: str | None = None,
) -> F | Callable[[F], F]:
    """Give the method a WebSocket: `async def chat(self, socket: WebSocket)`.

    It is found at its `path`, or at its name. It must `accept` the socket, and when it returns the
    socket is closed.
    """
    if path is not None and not path.startswith("/"):
        raise ValueError(f"the path {path!r} must begin with a slash")

    def decorate(function: F) -> F:
        return _mark(function, socket=True, method="GET", path=path, summary=summary)

    return decorate if method is None else decorate(method)
