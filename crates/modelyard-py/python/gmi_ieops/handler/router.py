"""`gmi_ieops.handler.router`, for those who import from the file."""

from modelyard.handler import (
    SERVER_CODE_ERROR,
    SERVER_CODE_OK,
    SERVER_CODE_STOP,
    HTTPMethod,
    InferenceError,
    RouterConfig,
    RouterDef,
    RouterError,
    RouterKind,
    format_error_response,
    generate_trace_id,
)

__all__ = [
    "SERVER_CODE_ERROR",
    "SERVER_CODE_OK",
    "SERVER_CODE_STOP",
    "HTTPMethod",
    "InferenceError",
    "RouterConfig",
    "RouterDef",
    "RouterError",
    "RouterKind",
    "format_error_response",
    "generate_trace_id",
]
