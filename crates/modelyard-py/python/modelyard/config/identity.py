"""What this worker is called, among its like and on disk."""

from __future__ import annotations

import os
import secrets
import string

from .environment import env

_CHARACTERS = string.ascii_letters + string.digits


def _name() -> str:
    given = os.environ.get("IEOPS_WORKER_ID")
    if given:
        return given
    # Not from `random`: a model that seeds it must not get the name of its neighbour.
    letters = "".join(secrets.choice(_CHARACTERS) for _ in range(8))
    return f"{os.environ.get('APP_NAME') or 'ieops'}.{letters}"


APP_ID = _name()
"""The id of this process: `IEOPS_WORKER_ID`, or `APP_NAME` and eight random characters."""


def get_socket_path(socket_dir: str | None = None) -> str:
    """The unix socket of this worker in a folder: `{socket_dir}/{APP_ID}.sock`.

    `None` is the folder of `env.server.socket_dir`; an empty text is the working directory.
    """
    if socket_dir is None:
        socket_dir = env.server.socket_dir
    return os.path.join(socket_dir or os.getcwd(), f"{APP_ID}.sock")
