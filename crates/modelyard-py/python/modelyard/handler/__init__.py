"""Serve functions over HTTP: JSON, server-sent events, WebSockets.

    from modelyard.handler import Handler, RouterDef, RouterKind, Server

    async def chat(query):
        yield {"content": "Hello"}

    server = Server(routers={"chat": [RouterDef("stream", chat, kind=RouterKind.SSE)]})
    Handler(server=server).serve()

A file that was written for `gmi_ieops.handler` runs with this package instead.
"""

from modelyard._websocket import WebSocket, WebSocketDisconnect
from modelyard.config import env

from .errors import (
    HTTPException,
    InferenceError,
    RouterError,
    ServerError,
    format_error_response,
)
from .handler import Handler
from .routing import (
    SERVER_CODE_ERROR,
    SERVER_CODE_OK,
    SERVER_CODE_STOP,
    HTTPMethod,
    RouterConfig,
    RouterDef,
    RouterKind,
)
from .server import BaseServer, Server, UnifiedServer
from .trace import generate_trace_id

if env.storage.nfs_server:
    # Handlers may `open("gmifs://...")` without importing the storage themselves.
    import modelyard.storage  # noqa: F401

__all__ = [
    "SERVER_CODE_ERROR",
    "SERVER_CODE_OK",
    "SERVER_CODE_STOP",
    "BaseServer",
    "HTTPException",
    "HTTPMethod",
    "Handler",
    "InferenceError",
    "RouterConfig",
    "RouterDef",
    "RouterError",
    "RouterKind",
    "Server",
    "ServerError",
    "UnifiedServer",
    "WebSocket",
    "WebSocketDisconnect",
    "format_error_response",
    "generate_trace_id",
]
