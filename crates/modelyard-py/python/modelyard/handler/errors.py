"""Errors that handlers raise or yield, and how they are told."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from modelyard.responses import HTTPError


class RouterError(Exception):
    """Raise it where a route cannot be served: 500 `router_error`."""

    def __init__(self, message: str, code: int = 500) -> None:
        super().__init__(message)
        self.message = message
        self.code = code


class InferenceError(RouterError):
    """The model could not do what it was asked for."""


class ServerError(Exception):
    """Yield it to end an answer with an error: `{"message", "type": "handler_error"}`."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class HTTPException(Exception):
    """Raise it to answer with a status of your own choice: `{"message": detail, "type":
    "http_error"}`. The class of the same name of FastAPI or Starlette does as well.

    `detail` is text, or any other JSON value. Raises `ValueError` unless the status is 400 to 599.
    """

    def __init__(
        self, status_code: int, detail: Any = None, headers: Mapping[str, str] | None = None
    ) -> None:
        if not 400 <= status_code <= 599:
            raise ValueError(f"an error has a status from 400 to 599, not {status_code}")
        super().__init__(status_code, detail)
        self.status_code = status_code
        self.detail = f"HTTP {status_code}" if detail is None else detail
        self.headers = dict(headers or {})

    def __str__(self) -> str:
        return f"{self.status_code}: {self.detail}"


def text_of(said: Any) -> str:
    """The text of an exception, or of what it holds, for the caller.

    Never raises: whoever tells an error has a call to end. What has no text is told by its class.
    """
    try:
        if isinstance(said, SystemExit):
            text = f"the handler called sys.exit({said.code!r})"
        else:
            text = str(said)
        return text.encode("utf-8", "replace").decode("utf-8")
    except BaseException:
        return type(said).__name__


def format_error_response(message: Any, error_type: str = "internal_error") -> dict[str, Any]:
    """The body of every error."""
    return {"message": message, "type": error_type}


def chosen_status(error: BaseException) -> tuple[int, Any, dict[str, str]] | None:
    """Status, detail and headers that an exception asks for; `None` if it asks for nothing.

    The exception of FastAPI and Starlette is known by its name and its shape: neither need be
    installed.
    """
    if isinstance(error, HTTPError):
        return error.status, error.detail or text_of(error), error.headers
    if not any(kind.__name__ == "HTTPException" for kind in type(error).__mro__):
        return None
    status = getattr(error, "status_code", None)
    if not isinstance(status, int) or not 400 <= status <= 599:
        return None
    headers = getattr(error, "headers", None) or {}
    detail = error.detail if hasattr(error, "detail") else text_of(error)
    return status, detail, dict(headers)
