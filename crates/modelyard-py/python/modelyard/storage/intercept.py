"""`open("gmifs://...")`: the built-in function, with one more kind of path."""

from __future__ import annotations

import builtins
import os
from threading import RLock
from typing import Any

from . import settings
from .filesystem import GMIFS_PROTOCOL, FileSystem

_builtin_open = builtins.open


class _State:
    """What `gmifs://` stands for at present. One per process: a fork begins without one."""

    def __init__(self) -> None:
        self.lock = RLock()
        self.backend: str | None = None
        self.options: dict[str, Any] = {}
        self.files: FileSystem | None = None
        self.process = os.getpid()

    def file_system(self) -> FileSystem:
        """The file system, connected on first use."""
        with self.lock:
            if self.process != os.getpid():
                # The threads of the connection stayed in the parent.
                self.files, self.process = None, os.getpid()
            if self.files is None:
                if self.backend is None:
                    raise OSError(settings.NOT_CONFIGURED)
                try:
                    self.files = FileSystem(backend=self.backend, **self.options)
                except (OSError, ValueError) as error:
                    raise OSError(f"Storage initialization failed - {error}") from error
            return self.files


_state = _State()
os.register_at_fork(after_in_child=lambda: setattr(_state, "lock", RLock()))


def _open(
    file: Any,
    mode: str = "r",
    buffering: int = -1,
    encoding: str | None = None,
    errors: str | None = None,
    newline: str | None = None,
    closefd: bool = True,
    opener: Any = None,
) -> Any:
    if not (isinstance(file, str) and file.startswith(GMIFS_PROTOCOL)):
        return _builtin_open(file, mode, buffering, encoding, errors, newline, closefd, opener)
    try:
        files = _state.file_system()
    except OSError as error:
        raise OSError(f"Cannot open '{file}': {error}") from error
    return files.open(file, mode, encoding, buffering, errors, newline)


def enable_storage_intercept(
    backend: str = "auto",
    hostname: str | None = None,
    username: str | None = None,
    password: str | None = None,
    server: str | None = None,
    port: int | None = None,
) -> str:
    """Make `open` understand `gmifs://`, and connect.

    What is not given comes from the environment. If the server cannot be reached now, each later
    `open` tries again, and says why it cannot.

    Returns:
        `nfs`, `webdav` or `local`; `none` if nothing is configured or the server does not answer.

    Raises:
        ValueError: a backend of another name.
    """
    if backend not in ("auto", "nfs", "webdav", "local"):
        raise ValueError(f"Unknown backend: {backend}")
    if backend == "auto":
        chosen = "nfs" if server else "webdav" if hostname else settings.configured_backend()
    else:
        chosen = backend
    options: dict[str, Any] = {}
    if chosen == "nfs":
        options = {"server": server, "port": port}
    elif chosen == "webdav":
        options = {"hostname": hostname, "username": username, "password": password}
    _install(chosen, options)
    if chosen is None:
        return "none"
    try:
        _state.file_system()
    except OSError:
        return "none"
    return chosen


def _install(backend: str | None, options: dict[str, Any]) -> None:
    with _state.lock:
        before, _state.files = _state.files, None
        _state.backend, _state.options = backend, options
        builtins.open = _open
    if before is not None and _state.process == os.getpid():
        before.close()


def install_from_environment() -> None:
    """What importing does: `open` understands `gmifs://` if a storage is configured.

    Nothing is connected before the first use, so that an import waits for no server.
    """
    backend = settings.configured_backend()
    if backend is not None:
        _install(backend, {})


def disable_storage_intercept() -> None:
    """Give `open` back as it was, and leave the server."""
    with _state.lock:
        before, _state.files = _state.files, None
        _state.backend, _state.options = None, {}
        if builtins.open is _open:
            builtins.open = _builtin_open
    if before is not None and _state.process == os.getpid():
        before.close()


def get_storage_backend() -> str | None:
    """What `gmifs://` stands for: `nfs`, `webdav`, `local`, or None."""
    return _state.backend


def enable_nfs_intercept() -> bool:
    """The older name of `enable_storage_intercept(backend="nfs")`; whether it is connected."""
    return enable_storage_intercept(backend="nfs") == "nfs"


def disable_nfs_intercept() -> None:
    """The older name of `disable_storage_intercept`."""
    disable_storage_intercept()
