"""Open files: the standard library's buffering and text over a raw file of the storage."""

from __future__ import annotations

import errno
import io
import os
import time
from typing import Any

from .._core import StorageFile as CoreFile
from .errors import lock_error

# While waiting for a lock, Python looks for signals (Ctrl-C) in this rhythm, in seconds.
_LOOK = 0.25
# As long as WebDAV's locks are asked for, in seconds.
LEASE = 3600.0


class RawStorageFile(io.RawIOBase):
    """A file without a buffer: every read and write is a request of its own."""

    def __init__(
        self, core: CoreFile, backend: str, path: str, mode: str, piece: int | None = None
    ) -> None:
        self._core = core
        # At most this many bytes of a view are taken by one write: a buffer above goes on with
        # the rest, and small copies are cheaper than one large one.
        self._piece = piece
        self._backend = backend
        self._position = 0
        self.name = path
        self.mode = mode
        self._reads = "r" in mode or "+" in mode
        self._appends = "a" in mode
        if self._appends:
            self._position = self._size()

    def _size(self) -> int:
        return self._core.stat()[6]

    def _check(self) -> None:
        if self.closed:
            raise ValueError("I/O operation on closed file.")

    def readable(self) -> bool:
        self._check()
        return self._reads

    def writable(self) -> bool:
        self._check()
        return "r" not in self.mode or "+" in self.mode

    def seekable(self) -> bool:
        self._check()
        return True

    def readinto(self, buffer: Any, /) -> int:
        self._check()
        if not self._reads:
            raise io.UnsupportedOperation("not readable")
        view = memoryview(buffer).cast("B")
        data = self._core.read_at(self._position, len(view))
        view[: len(data)] = data
        self._position += len(data)
        return len(data)

    def readall(self) -> bytes:
        """The rest of the file: its size is asked for, and all of it is on its way at once."""
        self._check()
        if not self._reads:
            raise io.UnsupportedOperation("not readable")
        left = max(self._size() - self._position, 0)
        data = self._core.read_at(self._position, left) if left else b""
        self._position += len(data)
        return data

    def write(self, data: Any, /) -> int:
        self._check()
        if not self.writable():
            raise io.UnsupportedOperation("not writable")
        whole = data if type(data) is bytes else bytes(memoryview(data).cast("B")[: self._piece])
        if self._appends:
            self._position = self._core.append(whole)
        else:
            self._core.write_at(self._position, whole)
            self._position += len(whole)
        return len(whole)

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self._check()
        if whence == os.SEEK_SET:
            position = offset
        elif whence == os.SEEK_CUR:
            position = self._position + offset
        elif whence == os.SEEK_END:
            position = self._size() + offset
        else:
            raise ValueError(f"whence must be 0, 1 or 2, not {whence}")
        if position < 0:
            raise ValueError(f"negative seek position {position}")
        self._position = position
        return position

    def tell(self) -> int:
        self._check()
        return self._position

    def truncate(self, size: int | None = None, /) -> int:
        self._check()
        if not self.writable():
            raise io.UnsupportedOperation("truncate")
        size = self._position if size is None else size
        self._core.set_size(size)
        return size

    def flush(self) -> None:
        """Wait until everything written is on the server's disk."""
        if not self.closed and self.writable():
            self._core.flush()

    def close(self) -> None:
        if not self.closed:
            try:
                super().close()
            finally:
                self._core.close()

    def take_lock(
        self, exclusive: bool, start: int, length: int, lease: float, patience: float
    ) -> bool:
        self._check()
        end = time.monotonic() + patience
        while True:
            left = max(end - time.monotonic(), 0.0)
            if self._core.lock(exclusive, (start, length), lease, min(left, _LOOK)):
                return True
            if left <= _LOOK:
                return False

    def give_lock_back(self) -> None:
        self._check()
        self._core.unlock()


class StorageFile:
    """What every open file of the storage can do besides what Python's files can."""

    def _file(self) -> RawStorageFile:
        layer: Any = self
        while not isinstance(layer, RawStorageFile):
            layer = layer.buffer if isinstance(layer, io.TextIOWrapper) else layer.raw
        return layer

    def lock(
        self,
        exclusive: bool = True,
        blocking: bool = True,
        start: int = 0,
        length: int = 0,
        timeout: float = LEASE,
    ) -> bool:
        """Lock `length` bytes from `start`; a length of 0 is up to the end, however far it moves.

        Waits up to `timeout` seconds if `blocking`. Returns True.

        Raises:
            NFSLockError, WebDAVLockError: somebody else holds it, or the server has no locks.
        """
        file = self._file()
        if file.take_lock(exclusive, start, length, LEASE, timeout if blocking else 0.0):
            return True
        raise lock_error(file._backend, errno.EAGAIN, f"{file.name}: is locked")

    def try_lock(self, exclusive: bool = True, start: int = 0, length: int = 0) -> bool:
        """Lock as `lock` does, if nobody else holds it; whether it worked."""
        return self._file().take_lock(exclusive, start, length, LEASE, 0.0)

    def unlock(self, start: int = 0, length: int = 0) -> bool:
        """Write what is outstanding and give all locks of this file back. Returns True."""
        self.flush()  # type: ignore[attr-defined]
        self._file().give_lock_back()
        return True


class _Reader(StorageFile, io.BufferedReader):
    pass


class _Writer(StorageFile, io.BufferedWriter):
    def flush(self) -> None:
        """Write the buffer, and wait until it is on the server's disk."""
        super().flush()
        self.raw.flush()


class _Random(StorageFile, io.BufferedRandom):
    def flush(self) -> None:
        """Write the buffer, and wait until it is on the server's disk."""
        super().flush()
        self.raw.flush()


class _Raw(StorageFile, RawStorageFile):
    pass


class _Text(StorageFile, io.TextIOWrapper):
    def __init__(self, buffer: Any, mode: str, *args: Any) -> None:
        super().__init__(buffer, *args)
        self.mode = mode  # type: ignore[misc]  # as `open` does


def check_mode(mode: str) -> None:
    """Refuse what Python's `open` refuses, in its words."""
    letters = set(mode)
    if letters - set("rwxab+t") or len(mode) > len(letters):
        raise ValueError(f"invalid mode: '{mode}'")
    if {"b", "t"} <= letters:
        raise ValueError("can't have text and binary mode at once")
    if len(letters & set("rwxa")) != 1:
        raise ValueError("must have exactly one of create/read/write/append mode")


def open_file(
    core: CoreFile,
    backend: str,
    path: str,
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> Any:
    """The file object for an open file, as `open` would build it for a local one."""
    binary = "b" in mode
    if buffering == 0:
        return _Raw(core, backend, path, mode)
    raw = RawStorageFile(core, backend, path, mode, core.chunks[1])
    read_size, write_size = core.chunks
    updating, writing = "+" in mode, "r" not in mode
    # What is buffered at least is one request: less would only mean more of them.
    size = buffering if buffering > 1 else (write_size if writing else read_size)
    buffer: Any
    if updating:
        buffer = _Random(raw, size)
    elif writing:
        buffer = _Writer(raw, size)
    else:
        buffer = _Reader(raw, size)
    if binary:
        return buffer
    return _Text(buffer, mode, encoding, errors, newline, buffering == 1)


def check_arguments(
    mode: str,
    buffering: int,
    encoding: str | None,
    errors: str | None,
    newline: str | None,
) -> None:
    """Refuse what Python's `open` refuses, before anything is asked of the server."""
    check_mode(mode)
    if "b" in mode:
        for name, value in (("encoding", encoding), ("errors", errors), ("newline", newline)):
            if value is not None:
                article = "an" if name[0] in "aeiou" else "a"
                raise ValueError(f"binary mode doesn't take {article} {name} argument")
    elif buffering == 0:
        raise ValueError("can't have unbuffered text I/O")
