"""Random texts and numbers, and a free port."""

from __future__ import annotations

import random
import socket
import string

from ..config import APP_ID, get_socket_path

__all__ = [
    "APP_ID",
    "arandint",
    "arandstr",
    "get_service_port",
    "get_socket_path",
    "randint",
    "randstr",
]

_CHARACTERS = string.ascii_letters + string.digits


def randstr(n: int) -> str:
    """A text of `n` random letters and digits. Not for secrets."""
    return "".join(random.choices(_CHARACTERS, k=n))


async def arandstr(n: int) -> str:
    """The same as `randstr`, to be awaited."""
    return randstr(n)


def randint(a: int, b: int) -> int:
    """A random whole number from `a`, below `b`."""
    return int(random.random() * (b - a)) + a


async def arandint(a: int, b: int) -> int:
    """The same as `randint`, to be awaited."""
    return randint(a, b)


def get_service_port(port: int | None = None) -> int:
    """A TCP port of this machine that nobody listens on: `port` if it is free, else any.

    Somebody else may take it before the caller does.
    """
    wanted = [port, 0] if port and port > 0 else [0]
    for candidate in wanted:
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
            try:
                probe.bind(("127.0.0.1", candidate))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise OSError("this machine has no free port")
