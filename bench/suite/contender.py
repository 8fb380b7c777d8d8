"""One server that is compared with others."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass


@dataclass(frozen=True)
class Contender:
    """A server, and how to start it; `start` gives the URL to call, ready."""

    key: str
    start: Callable[[], AbstractContextManager[str]]
