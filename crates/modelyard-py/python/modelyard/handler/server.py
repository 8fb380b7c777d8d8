"""The server of a worker: its routes, where it listens, and its life."""

from __future__ import annotations

import asyncio
import inspect
import json
import logging
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any

from modelyard._core import Server as Core
from modelyard.config import env

from ._events import HandlerLoop
from ._lanes import HandlerLane
from .listening import place, socket_mode
from .pages import Page, pages
from .routing import RouterConfig, RouterGroupConfig, resolve
from .running import Running

if TYPE_CHECKING:
    from .asgi import Bridge

LifecycleHook = Callable[[], Any]
"""A function without arguments, asynchronous or not."""

_log = logging.getLogger("modelyard.handler")

# Calls held at once, waiting ones included: far above what threads can do, far below what would
# fill the memory with waiting bodies of common size.
_CAPACITY_DEFAULT = 4096
_BODY_BYTES_MAX_DEFAULT = 256 * 1024 * 1024
# How long threads may take to notice that the server has ended.
_FAREWELL_S = 1.0


class BaseServer(ABC):
    """What `Handler` serves."""

    @abstractmethod
    def shutdown(self) -> None:
        """Ask the server to end well."""

    @abstractmethod
    async def serve(self) -> None:
        """Serve until the server is asked to end."""


class Server(BaseServer):
    """Serves routes: `Server(routers={"chat": [RouterDef("stream", chat, kind="sse")]})`.

    - `routers`: routes by the name of their group; `router_config` holds for all of them.
    - `prefix`: stands before every route, for example `/v1`; not before `/`, `/health`, `/routes`.
    - `on_startup`, `on_shutdown`: run on the loop, before the server listens and after its last
      call.
    - `enable_cors`: lets the scripts of other sites call, those of `cors_origins` or of all.
    - `socket_path`, `host`, `port`: where to listen; see `listening.place` for what else decides.
    - `capacity`: calls held at once, waiting ones included; more are answered with 503.
    - `body_bytes_max`: longest body of a request, in bytes; a longer one is answered with 413.

    Raises `ValueError` or `TypeError` for a route that cannot be served, naming it.
    """

    def __init__(
        self,
        routers: RouterGroupConfig | None = None,
        router_config: RouterConfig | None = None,
        prefix: str = "",
        on_startup: LifecycleHook | None = None,
        on_shutdown: LifecycleHook | None = None,
        enable_cors: bool = False,
        cors_origins: list[str] | None = None,
        app_name: str = "ieops",
        socket_path: str | None = None,
        host: str | None = None,
        port: int | None = None,
        *,
        capacity: int = _CAPACITY_DEFAULT,
        body_bytes_max: int = _BODY_BYTES_MAX_DEFAULT,
    ) -> None:
        self.app_name = app_name
        self.place = place(socket_path, host, port)
        self.routes = [Running.of(route) for route in resolve(routers, router_config, prefix)]
        self._on_startup, self._on_shutdown = on_startup, on_shutdown
        self._cors = list(cors_origins or ["*"]) if enable_cors else None
        self._capacity, self._body_bytes_max = capacity, body_bytes_max
        self._core: Core | None = None
        self._asked_to_end = False
        self._bridge: Bridge | None = None
        self.registration: dict[str, Any] | None = None
        """How the server makes itself known to a proxy; `None` to stay unknown."""

    @property
    def app(self) -> Any:
        """A FastAPI application of this server: what it takes is served beside our routes.

        Raises `ImportError` if FastAPI is not installed.
        """
        if self._bridge is None:
            from .asgi import Bridge

            self._bridge = Bridge(self.app_name, self._known_paths)
        return self._bridge.app

    def add_middleware(self, middleware: Any, *arguments: Any, **options: Any) -> None:
        """Have every call pass an ASGI middleware: a class that is called with the application
        and the options.

        Bodies of requests reach it whole. Our handlers see the request as it came, whatever a
        middleware makes of it. Raises `ImportError` if FastAPI is not installed.
        """
        self.app.add_middleware(middleware, *arguments, **options)

    def _known_paths(self) -> set[str]:
        return {running.route.path for running in self.routes}

    @property
    def address(self) -> str | None:
        """Where it listens, `unix:/path` or `tcp:host:port`; `None` before it does."""
        return None if self._core is None else self._core.address

    @property
    def calls_held(self) -> int:
        """Calls that it holds now, waiting ones included."""
        return 0 if self._core is None else self._core.calls_held

    def shutdown(self) -> None:
        """Take nothing new, and end when what runs has ended or GRACEFUL_SHUTDOWN_TIME is over."""
        self._asked_to_end = True
        if self._core is not None:
            self._core.stop()

    async def serve(self) -> None:
        """Serve on the running loop until `shutdown`.

        Raises `RuntimeError` if it cannot listen, and whatever `on_startup` raises.
        """
        await _run(self._on_startup)
        try:
            async with self._bridge.lifespan() if self._bridge else nullcontext():
                await self._serve()
        finally:
            try:
                await _run(self._on_shutdown)
            except Exception:
                _log.exception("on_shutdown failed")

    async def _serve(self) -> None:
        lanes = max(1, env.model.concurrency)
        routes = self._bridge.routes(self.routes) if self._bridge else self.routes
        self._core = core = Core.of_handlers(json.dumps(self._plan(lanes, routes)))
        events = HandlerLoop(core, routes)
        threads = [HandlerLane(core, index, routes, events) for index in range(lanes)]
        if all(route.is_async for route in routes):
            threads = []
        for thread in threads:
            thread.start()
        core.start()
        if core.address is not None:
            self._announce(core.address)
        try:
            await events.ended
        finally:
            # Also when whoever awaits us does so no longer.
            core.stop()
            await asyncio.to_thread(core.join)
            for thread in threads:
                thread.join(_FAREWELL_S)

    def _announce(self, address: str) -> None:
        _log.info("%s listens on %s", self.app_name, address)
        if self._asked_to_end:
            self.shutdown()

    def _pages(self) -> list[Page]:
        own = pages(self.app_name, [running.route for running in self.routes])
        return self._bridge.pages(own) if self._bridge else own

    def _plan(self, lanes: int, routes: Sequence[Any]) -> dict[str, Any]:
        """The server as the HTTP side wants to know it."""
        return {
            "name": re.sub(r"[^A-Za-z0-9_.:@-]", "-", self.app_name) or "ieops",
            "listen": self.place.address,
            "socket_mode": socket_mode(),
            "capacity": self._capacity,
            "body_bytes_max": self._body_bytes_max,
            "drain_s": max(0, env.server.graceful_shutdown_time),
            "lanes": lanes,
            "cors": self._cors,
            "pages": [page.declared() for page in self._pages()],
            "routes": [route.declared() for route in routes],
            "registration": self.registration,
        }


async def _run(hook: LifecycleHook | None) -> None:
    if hook is None:
        return
    done = hook()
    if inspect.isawaitable(done):
        await done


UnifiedServer = Server
