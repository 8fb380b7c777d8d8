"""`server.app`: a FastAPI application beside the routes of a server, and middleware around them.

Without middleware, our routes are served as ever, and the application gets what none of them
takes. With middleware, every call goes through the application's stack, and our routes answer
inside it, by the same code. A server that does not ask for an application has nothing of this.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from modelyard._asgi import AsgiSocket, Receive, Send
from modelyard._core import Call, Socket
from modelyard._sockets import Channel

from ._application import application
from ._exchange import Exchange
from ._through import ThroughCall
from .detect import Shape
from .pages import Page
from .running import Running

if TYPE_CHECKING:
    from ._events import HandlerLoop

_log = logging.getLogger("modelyard.handler")

INNER = "modelyard.inner"
"""In a scope: what answers inside of the application, if it is one of our routes."""

_EVERYTHING = "/{path:path}"


class Bridge:
    """The application of a server."""

    def __init__(self, title: str, known_paths: Callable[[], set[str]]) -> None:
        self.app = application(title, known_paths)

    @property
    def wraps_all(self) -> bool:
        """Whether there is middleware, so that every call has to pass it."""
        return bool(self.app.user_middleware)

    def lifespan(self) -> AbstractAsyncContextManager[Any]:
        """What the application does before its first call and after its last one."""
        found: AbstractAsyncContextManager[Any] = self.app.router.lifespan_context(self.app)
        return found

    def routes(self, own: list[Running]) -> list[Any]:
        """What the HTTP side serves: our routes, then all that is left."""
        served: list[Any] = [Wrapped(route, self) for route in own] if self.wraps_all else [*own]
        served += [Rest("api", "ANY", self), Rest("ws", "GET", self)]
        return served

    def pages(self, own: list[Page]) -> list[Page]:
        """The pages that the HTTP side serves by itself."""
        own = [self._described(page) if page.path == "/openapi.json" else page for page in own]
        if not self.wraps_all:
            return own
        for page in own:
            self.app.router.routes.append(_page_route(page))
        return []

    def _described(self, page: Page) -> Page:
        """The document with the routes of the application."""
        document, theirs = json.loads(page.body), self.app.openapi()
        for path, operations in theirs.get("paths", {}).items():
            document["paths"].setdefault(path, {}).update(operations)
        schemas = document["components"]["schemas"]
        for name, schema in theirs.get("components", {}).get("schemas", {}).items():
            schemas.setdefault(name, schema)
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        return Page(page.path, page.name, body, page.content_type, page.takes_head)

    async def serve_call(self, loop: HandlerLoop, call: Call, inner: Any = None) -> None:
        """Have the application answer a call."""
        exchange = Exchange(call, loop._room)
        scope = exchange.scope()
        if inner is not None:
            scope[INNER] = inner
        try:
            await self.app(scope, exchange.receive, exchange.send)
        except asyncio.CancelledError:
            if not call.cancelled:
                raise
        except OSError as error:
            if not call.cancelled:
                _report(call, error)
        except BaseException as error:  # `sys.exit` in a middleware ends its call, not the worker.
            # Also if its own answer to errors has gone out: that does not say why.
            _report(call, error)
        finally:
            exchange.give_up()
            loop.tasks.pop(call.key, None)

    async def serve_socket(self, channel: Channel, inner: Any = None) -> None:
        """Have the application talk through a socket."""
        socket = AsgiSocket(channel)
        scope = socket.scope()
        if inner is not None:
            scope[INNER] = inner
        await self.app(scope, socket.receive, socket.send)


def _report(call: Call, error: BaseException) -> None:
    name = type(error).__name__
    _log.error("%s %s: the application raised %s", call.method, call.path, name, exc_info=error)


def _page_route(page: Page) -> Any:
    from starlette.responses import Response
    from starlette.routing import Route

    async def endpoint(request: Any) -> Any:
        return Response(page.body, media_type=page.content_type)

    route = Route(page.path, endpoint, methods=["GET"], name=page.name)
    route.methods = set(page.methods)
    return route


@dataclass(frozen=True)
class Rest:
    """All paths that no route of ours takes."""

    kind: str
    method: str
    bridge: Bridge

    is_async = True

    def declared(self) -> dict[str, Any]:
        """It as the HTTP side wants to know it."""
        return {
            "path": _EVERYTHING,
            "method": self.method,
            "kind": self.kind,
            "summary": "",
            "on_loop": True,
            "timeout_s": None,
            "timeout_shown": "",
            "headers": [],
        }

    def beginning(self, loop: HandlerLoop) -> Callable[[Any], None]:
        """What begins a call, or a socket."""
        bridge = self.bridge
        if self.kind == "ws":
            return lambda core: loop.sockets.begin(core, bridge.serve_socket)
        return lambda call: loop.begin(call, lambda: bridge.serve_call(loop, call))


@dataclass(frozen=True)
class Wrapped:
    """One of our routes, inside of the application."""

    running: Running
    bridge: Bridge

    is_async = True

    def declared(self) -> dict[str, Any]:
        """It as the HTTP side wants to know it. A socket is accepted inside, not before."""
        return {**self.running.declared(), "on_loop": True}

    def beginning(self, loop: HandlerLoop) -> Callable[[Any], None]:
        """What begins a call, or a socket."""
        if self.running.is_socket:
            return self._beginning_sockets(loop)
        handler, shape = _on_loop(self.running, loop.socket_threads)
        serve = loop.serving(events=self.running.events, shape=shape)
        head = self.running.route.headers

        def begin(call: Call) -> None:
            async def inner(scope: Any, receive: Receive, send: Send) -> None:
                through = ThroughCall(call, head, loop.resume_soon)
                work = asyncio.ensure_future(serve(handler, through))
                try:
                    await through.pump(send)
                finally:
                    work.cancel()
                    await asyncio.wait({work})

            loop.begin(call, lambda: self.bridge.serve_call(loop, call, inner))

        return begin

    def _beginning_sockets(self, loop: HandlerLoop) -> Callable[[Socket], None]:
        from .sockets import inside

        run = inside(self.running.handler, loop.socket_threads)

        def begin(core: Socket) -> None:
            async def live(channel: Channel) -> None:
                async def inner(scope: Any, receive: Receive, send: Send) -> None:
                    await run(channel, scope, receive, send)

                await self.bridge.serve_socket(channel, inner)

            loop.sockets.begin(core, live)

        return begin


Code = Callable[..., Any]


def _on_loop(running: Running, threads: ThreadPoolExecutor) -> tuple[Code, Shape]:
    """The code of a route, for an event loop; what is synchronous runs on `threads`."""
    handler, shape = running.handler, running.shape
    if shape is Shape.FUNCTION:

        async def call(query: Any) -> Any:
            return await _on_thread(threads, handler, query)

        return call, Shape.COROUTINE
    if shape is Shape.GENERATOR:

        async def each(query: Any) -> Any:
            items = handler(query)
            try:
                while (item := await _on_thread(threads, next, items, _END)) is not _END:
                    yield item
            finally:
                items.close()

        return each, Shape.ASYNC_GENERATOR
    return handler, shape


_END = object()


def _on_thread(
    threads: ThreadPoolExecutor, code: Code, *arguments: Any
) -> Coroutine[Any, Any, Any]:
    async def run() -> Any:
        return await asyncio.get_running_loop().run_in_executor(threads, code, *arguments)

    return run()
