"""Failures of the storage.

Each is what a local file would raise (`FileNotFoundError`, `PermissionError`, `TimeoutError`, ...)
with the same `errno`, and also a `StorageError`: `NFSError` or `WebDAVError` by where it happened.
A lock that somebody else holds is an `NFSLockError` or a `WebDAVLockError`.
"""

from __future__ import annotations

import errno
from typing import Any


class StorageError(OSError):
    """What the storage says no to."""

    _backend = "local"

    def __reduce__(self) -> tuple[Any, ...]:
        # Its class is made when it is needed, so another process has to make it too.
        return error_of, (self._backend, self.errno, self.strerror)


class NFSError(StorageError):
    """A failure on NFS."""

    _backend = "nfs"


class NFSLockError(NFSError):
    """A lock on NFS that is held by somebody else, or that the server does not have."""


class WebDAVError(StorageError):
    """A failure on WebDAV."""

    _backend = "webdav"


class WebDAVLockError(WebDAVError):
    """A lock on WebDAV that is held by somebody else, or that the server does not have."""


_FAILURES: dict[str, type[StorageError]] = {"nfs": NFSError, "webdav": WebDAVError}
_LOCKS: dict[str, type[StorageError]] = {"nfs": NFSLockError, "webdav": WebDAVLockError}


_MADE: dict[tuple[type[StorageError], type[OSError]], type[StorageError]] = {}


def _class_of(own: type[StorageError], usual: type[OSError]) -> type[StorageError]:
    if issubclass(own, usual):
        return own
    made = _MADE.get((own, usual))
    if made is None:
        made = type(own.__name__, (own, usual), {"__module__": own.__module__})
        # Two threads may make it at once; one of the two is kept.
        made = _MADE.setdefault((own, usual), made)
    return made


def error_of(backend: str, number: int, detail: str) -> StorageError:
    """The exception for an `errno` of this backend, with a text that names the path."""
    families = _LOCKS if number == errno.EAGAIN else _FAILURES
    own = families.get(backend, StorageError)
    return _class_of(own, type(OSError(number, detail)))(number, detail)


def lock_error(backend: str, number: int, detail: str) -> StorageError:
    """The exception for a lock that could not be had."""
    own = _LOCKS.get(backend, StorageError)
    return _class_of(own, type(OSError(number, detail)))(number, detail)
