"""What a method can know about its call, and `setup` about its worker."""

from __future__ import annotations

import logging
import os
import time
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from ._core import Call
from ._log import log

current: ContextVar[Call | None] = ContextVar("modelyard_call", default=None)
"""The call whose code runs; `None` for a batch."""


class Context:
    """A call, for methods with a parameter named `ctx` (or annotated `Context`)."""

    __slots__ = ("_call",)

    log: logging.Logger = log

    def __init__(self, call: Call) -> None:
        self._call = call

    @property
    def id(self) -> str:
        """What ties the log lines of this request together (`x-request-id`)."""
        return self._call.request_id

    @property
    def method(self) -> str:
        """The HTTP method."""
        return self._call.method

    @property
    def path(self) -> str:
        """The path as received."""
        return self._call.path

    @property
    def query(self) -> dict[str, str]:
        """The query parameters; of a repeated one the last."""
        return dict(parse_qsl(self._call.query, keep_blank_values=True))

    @property
    def headers(self) -> dict[str, str]:
        """The headers, by lower-case name."""
        return self._call.headers

    @property
    def body(self) -> bytes:
        """The body as received."""
        return self._call.body

    @property
    def time_left(self) -> float | None:
        """Seconds until nobody waits for the answer any more; `None` without a deadline."""
        return self._call.seconds_left

    @property
    def deadline(self) -> float | None:
        """When nobody waits any more, on the clock of `time.monotonic()`."""
        left = self._call.seconds_left
        return None if left is None else time.monotonic() + left

    @property
    def cancelled(self) -> bool:
        """Whether nobody waits for the answer any more. Long synchronous code should look."""
        return self._call.cancelled

    def progress(
        self, fraction: float | None = None, message: str | None = None, partial: Any = None
    ) -> None:
        """Tell how far the call is: 0 to 1, a word for a person, a partial result."""
        self._call.progress(fraction, message, partial)

    def usage(self, unit: str, n: int) -> None:
        """Add to what the call used, for example `usage("tokens", 12)`."""
        self._call.usage(unit, n)


def _device() -> str:
    devices = os.environ.get("CUDA_VISIBLE_DEVICES", "").strip()
    return "cuda" if devices not in ("", "-1") else "cpu"


@dataclass(frozen=True)
class SetupContext:
    """The worker, for `setup`."""

    model: str
    """Name of the model."""
    version: str
    """Version of the model."""
    config: dict[str, Any] = field(default_factory=dict)
    """The free fields of the model (`metadata`)."""
    device: str = field(default_factory=_device)
    """`cuda` if the deployer handed out a GPU, else `cpu`."""
    log: logging.Logger = log
    """Where to say something."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The same as `config`."""
        return self.config
