"""A route, ready to be run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from .detect import Shape, shape_of
from .routing import HandlerType, Resolved, RouterKind
from .sockets import is_raw


@dataclass(frozen=True)
class Running:
    """A route and how its code is run."""

    route: Resolved
    shape: Shape

    @classmethod
    def of(cls, route: Resolved) -> Running:
        """The route, once its handler was looked at."""
        return cls(route, shape_of(route.handler))

    @property
    def handler(self) -> HandlerType:
        """The code."""
        return self.route.handler

    @property
    def events(self) -> bool:
        """It answers with server-sent events."""
        return self.route.kind is RouterKind.SSE

    @property
    def is_socket(self) -> bool:
        """It talks through WebSockets."""
        return self.route.kind is RouterKind.WS

    @property
    def is_async(self) -> bool:
        """It runs on the event loop, or is driven by it."""
        return self.is_socket or self.shape.on_loop

    def declared(self) -> dict[str, Any]:
        """It as the HTTP side wants to know it."""
        route = self.route
        return {
            "path": route.path,
            "method": route.method,
            "kind": route.kind.value,
            "summary": route.summary,
            "on_loop": is_raw(route.handler) if self.is_socket else self.is_async,
            "timeout_s": route.timeout,
            "timeout_shown": f"{route.timeout}",
            "headers": list(route.headers.items()) if self.events else [],
        }
