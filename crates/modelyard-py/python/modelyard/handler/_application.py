"""The FastAPI application of a server: empty, with the error bodies of all our servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .errors import RouterError, format_error_response, text_of

_MISSING = (
    "`Server.app` and `Server.add_middleware` need FastAPI, which is not installed: "
    "pip install 'modelyard[compat]'"
)


def application(title: str, known_paths: Callable[[], set[str]]) -> Any:
    """A new application. A path in `known_paths` that it does not find has another method.

    Raises `ImportError` if FastAPI is not installed.
    """
    try:
        from fastapi import FastAPI
        from fastapi.exceptions import RequestValidationError
        from starlette.exceptions import HTTPException
    except ModuleNotFoundError as error:
        raise ImportError(_MISSING) from error

    # The pages are ours, whoever serves them.
    app = FastAPI(title=title, docs_url=None, redoc_url=None, openapi_url=None)
    app.router.routes.insert(0, _inner_route())
    app.router.middleware_stack = _staying(app.router.middleware_stack)

    async def refused(request: Any, error: Any) -> Any:
        status, detail = error.status_code, error.detail
        if status == 404 and request.url.path in known_paths():
            status, detail = 405, "Method Not Allowed"
        headers = {n: v for n, v in (error.headers or {}).items() if n.lower() != "allow"}
        return _answer(status, format_error_response(detail, "http_error"), headers)

    async def invalid(request: Any, error: Any) -> Any:
        body = format_error_response("Request validation failed", "validation_error")
        return _answer(422, {**body, "details": [_detail(part) for part in error.errors()]})

    async def router_error(request: Any, error: Any) -> Any:
        return _answer(500, format_error_response(text_of(error), "router_error"))

    async def failed(request: Any, error: Any) -> Any:
        return _answer(500, format_error_response("Internal server error", "internal_error"))

    app.add_exception_handler(HTTPException, refused)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(RouterError, router_error)
    app.add_exception_handler(Exception, failed)
    return app


class Exited(Exception):
    """Code of the application called `sys.exit`."""


def _staying(routes: Any) -> Any:
    """Routes that cannot end the worker.

    Middleware may run them in a task of its own, and what asks for the end of the process leaves a
    task past all who wait for it. So it becomes an ordinary error right here.
    """

    async def serve(scope: Any, receive: Any, send: Any) -> None:
        try:
            await routes(scope, receive, send)
        except (SystemExit, KeyboardInterrupt) as error:
            raise Exited(text_of(error) or type(error).__name__) from error

    return serve


def _detail(part: dict[str, Any]) -> dict[str, str]:
    return {
        "field": ".".join(str(step) for step in part.get("loc", ())),
        "message": part.get("msg", ""),
        "type": part.get("type", ""),
    }


def _answer(status: int, body: Any, headers: Any = None) -> Any:
    from starlette.responses import JSONResponse

    return JSONResponse(body, status, headers)


def _inner_route() -> Any:
    """Before all routes of the application: those of the server, in whose scope it is written."""
    from starlette.routing import BaseRoute, Match

    from .asgi import INNER

    class Inner(BaseRoute):
        def matches(self, scope: Any) -> tuple[Any, dict[str, Any]]:
            return (Match.FULL if INNER in scope else Match.NONE), {}

        async def handle(self, scope: Any, receive: Any, send: Any) -> None:
            await scope[INNER](scope, receive, send)

    return Inner()
