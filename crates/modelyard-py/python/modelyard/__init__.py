"""Turn a Python class into a model worker.

    from modelyard import Model, batch, stream

    class Digits(Model):
        def setup(self, ctx): self.clf = train()
        @batch(max_size=32, max_wait_ms=5)
        def predict(self, images: list[Image]) -> list[Digit]: ...

Every public method is a route; type hints give its schema and its checks. See the README.
"""

from ._log import log
from ._websocket import WebSocket, WebSocketDisconnect, WebSocketState
from .context import Context, SetupContext
from .markers import batch, route, stream, websocket
from .model import Model
from .responses import Event, FileResponse, HTTPError, Response

__all__ = [
    "Context",
    "Event",
    "FileResponse",
    "HTTPError",
    "Model",
    "Response",
    "SetupContext",
    "WebSocket",
    "WebSocketDisconnect",
    "WebSocketState",
    "batch",
    "log",
    "route",
    "stream",
    "websocket",
]
