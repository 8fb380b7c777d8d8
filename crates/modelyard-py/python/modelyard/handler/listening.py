"""Where a server listens."""

from __future__ import annotations

import os
from dataclasses import dataclass

from modelyard.config import env, get_socket_path

# Used where TCP is asked for and no port is named.
_PORT_DEFAULT = 8001
_SOCKET_MODE_DEFAULT = "660"


@dataclass(frozen=True)
class Place:
    """A unix socket, or a host and a port."""

    socket: str | None
    host: str
    port: int

    @property
    def address(self) -> str:
        """It as the HTTP side wants to know it."""
        if self.socket is not None:
            return f"unix:{self.socket}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"tcp:{host}:{self.port}"


def place(socket_path: str | None, host: str | None, port: int | None) -> Place:
    """What the arguments say, then what the environment says.

    1. `socket_path`: that unix socket; TCP if it is empty.
    2. A `port` above 0: TCP.
    3. MODEL_SERVER_SOCKET: that unix socket; TCP if it is set to nothing.
    4. MODEL_SERVER_PORT, if it is set and above 0: TCP.
    5. The unix socket `{MODEL_SERVER_SOCKET_DIR or .}/{APP_ID}.sock`.
    """
    if socket_path is None and not port:
        socket_path = _told_socket()
    elif socket_path is None:
        socket_path = ""
    host = env.server.host if host is None else host
    if port is None:
        port = env.server.port or _PORT_DEFAULT
    return Place(os.path.abspath(socket_path) if socket_path else None, host, port)


def _told_socket() -> str:
    server = env.server
    if server.is_set("socket"):
        return str(server.socket)
    if server.is_set("port") and server.port > 0:
        return ""
    return str(get_socket_path())


def socket_mode() -> int:
    """Mode of the socket's file: MODEL_SERVER_SOCKET_MODE (octal), else user and group.

    Raises `ValueError` if the variable is no octal number up to 777.
    """
    text = os.environ.get("MODEL_SERVER_SOCKET_MODE") or _SOCKET_MODE_DEFAULT
    try:
        mode = int(text, 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o777:
        raise ValueError(f"MODEL_SERVER_SOCKET_MODE is octal, for example 660, not {text!r}")
    return mode
