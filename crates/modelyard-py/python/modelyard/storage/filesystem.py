"""One user's files on a server."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from .._core import Storage
from . import settings
from .entries import DirEntry, FileStat, entry_of, stat_of
from .errors import lock_error
from .files import check_arguments, open_file

GMIFS_PROTOCOL = "gmifs://"


class FileSystem:
    """A user's folder: on NFS, on WebDAV, or in a local folder.

    Paths are relative to that folder, with or without `gmifs://` or a leading slash. None leads
    out of it, by `..` or by a link: that is a `PermissionError`. May be used from many threads;
    after `os.fork` the child needs one of its own.

    Args:
        backend: `nfs`, `webdav`, `local`, or `auto` for what the arguments or else the
            environment name; NFS comes first.
        server: NFS server, `host` or `host:port` (IEOPS_NFS_SERVER).
        export: the exported folder (IEOPS_NFS_EXPORT, `/`).
        port: of the NFS server; wins over that in `server`.
        hostname: address of the WebDAV server (IEOPS_WEBDAV_URL).
        username: at the WebDAV server (IEOPS_WEBDAV_USER).
        password: at the WebDAV server (IEOPS_WEBDAV_PASS).
        auto_mkdir: make the user's folder if it is absent.
        timeout: seconds that an operation may take (IEOPS_NFS_TIMEOUT in milliseconds,
            IEOPS_WEBDAV_TIMEOUT in seconds).
        root: the local folder (IEOPS_STORAGE_ROOT).

    Raises:
        ValueError: nothing is configured, or a setting makes no sense.
        StorageError: the server cannot be reached, or refuses the user's folder.
    """

    def __init__(
        self,
        backend: str = "auto",
        server: str | None = None,
        export: str | None = None,
        port: int | None = None,
        hostname: str | None = None,
        username: str | None = None,
        password: str | None = None,
        auto_mkdir: bool = True,
        timeout: float | None = None,
        root: str | None = None,
    ) -> None:
        if backend == "auto":
            if server:
                backend = "nfs"
            elif hostname:
                backend = "webdav"
            elif root:
                backend = "local"
            else:
                backend = settings.configured_backend() or ""
                if not backend:
                    raise ValueError(settings.NOT_CONFIGURED)
        if backend == "nfs":
            core = settings.connect_nfs(server, export, port, timeout, auto_mkdir)
        elif backend == "webdav":
            core = settings.connect_webdav(hostname, username, password, timeout, auto_mkdir)
        elif backend == "local":
            core = settings.connect_local(root, auto_mkdir)
        else:
            raise ValueError(f"Unknown backend: {backend} (auto, nfs, webdav or local)")
        self._core: Storage = core

    @property
    def backend_type(self) -> str:
        """`nfs`, `webdav` or `local`."""
        return self._core.backend

    @property
    def base_path(self) -> str:
        """The user's folder on the server."""
        return self._core.home

    @property
    def protocol(self) -> str:
        """What is spoken with the server, for example `NFS 4.1`."""
        return self._core.protocol()

    def open(
        self,
        path: str,
        mode: str = "r",
        encoding: str | None = None,
        buffering: int = -1,
        errors: str | None = None,
        newline: str | None = None,
    ) -> Any:
        """Open a file as Python's `open` does. Modes that may make a file make its folders too.

        `flush` and `close` return once everything written is on the server's disk.

        Raises:
            OSError: as for a local file; `PermissionError` for a path that leads out.
            ValueError: a mode that Python refuses as well.
        """
        check_arguments(mode, buffering, encoding, errors, newline)
        core = self._core.open(path, mode)
        return open_file(core, self.backend_type, path, mode, buffering, encoding, errors, newline)

    @contextmanager
    def locked_open(
        self,
        path: str,
        mode: str = "r",
        exclusive: bool = True,
        blocking: bool = True,
        timeout: float = 3600,
        encoding: str | None = None,
    ) -> Iterator[Any]:
        """Open a file, locked as a whole until it is closed.

            with fs.locked_open("counter", "r+") as f:
                ...

        Mode `w` empties the file only once it is locked. Locks need NFS 4.1 or WebDAV.

        Raises:
            NFSLockError, WebDAVLockError: it is still locked after `timeout` seconds, or at once
                if not `blocking`; or the server has no locks.
        """
        empties = "w" in mode
        # Whoever holds the lock may be reading: the file is emptied under the lock.
        core = self._core.open(path, "a" if empties else mode)
        file: Any = None
        try:
            check_arguments(mode, -1, encoding, None, None)
            if empties and "+" in mode:
                core.close()
                core = self._core.open(path, "a+")
            file = open_file(core, self.backend_type, path, mode, -1, encoding, None, None)
            patience = timeout if blocking else 0.0
            if not file._file().take_lock(exclusive, 0, 0, float(timeout), float(patience)):
                raise lock_error(self.backend_type, errno.EAGAIN, f"{path}: is locked")
            if empties:
                core.set_size(0)
            yield file
        finally:
            if file is None:
                core.close()
            else:
                file.close()

    def mkdir(self, path: str, parents: bool = False, exist_ok: bool = False) -> None:
        """Make a folder; with `parents` those around it too.

        Raises:
            FileExistsError: it exists, and not `exist_ok`.
            FileNotFoundError: the folder around it is missing, and not `parents`.
        """
        self._core.make_directory(path, parents, exist_ok)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        self._core.remove_directory(path)

    def listdir(self, path: str = "") -> list[str]:
        """The names in a folder, sorted."""
        return [name for name, _ in self._core.list(path)]

    def scandir(self, path: str = "") -> list[DirEntry]:
        """The entries of a folder, sorted by name."""
        folder = self._relative(path)
        return [entry_of(folder, name, known) for name, known in self._core.list(path)]

    def walk(self, path: str = "") -> Iterator[tuple[str, list[str], list[str]]]:
        """Each folder beneath `path`, from the top: its path, its folders, its other entries.

        Paths are relative to the user's folder. Links are not followed. Folders that the caller
        removes from the list are left out.
        """
        entries = self.scandir(path)
        folders = [entry.name for entry in entries if entry.is_dir]
        folder = self._relative(path)
        yield folder, folders, [entry.name for entry in entries if not entry.is_dir]
        for name in folders:
            yield from self.walk(f"{folder}/{name}" if folder else name)

    def exists(self, path: str) -> bool:
        """Whether there is something; a link counts by what it points to."""
        return self._stat_or_none(path) is not None

    def isfile(self, path: str) -> bool:
        """Whether it is a plain file."""
        known = self._stat_or_none(path)
        return known is not None and known.is_file

    def isdir(self, path: str) -> bool:
        """Whether it is a folder."""
        known = self._stat_or_none(path)
        return known is not None and known.is_dir

    def stat(self, path: str) -> FileStat:
        """What is known of an entry; a link is followed.

        Raises:
            FileNotFoundError: there is none.
        """
        return stat_of(self._relative(path), self._core.stat(path, True), self._core.chunks[0])

    def lstat(self, path: str) -> FileStat:
        """What is known of an entry; a link is not followed."""
        return stat_of(self._relative(path), self._core.stat(path, False), self._core.chunks[0])

    def getsize(self, path: str) -> int:
        """Length in bytes."""
        return self.stat(path).size

    def remove(self, path: str) -> None:
        """Remove a file, or a link but not what it points to."""
        self._core.remove_file(path)

    unlink = remove

    def rename(self, src: str, dst: str) -> None:
        """Rename; a file of the new name is replaced."""
        self._core.rename(src, dst)

    def copy(self, src: str, dst: str) -> None:
        """Copy a file; on WebDAV the server does it."""
        self._core.copy(src, dst)

    def chmod(self, path: str, mode: int) -> None:
        """Set the permission bits; WebDAV has none."""
        self._core.set_permissions(path, mode)

    def close(self) -> None:
        """Leave the server."""
        self._core.close()

    def __enter__(self) -> FileSystem:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<FileSystem {self.backend_type} {self.base_path}>"

    def _stat_or_none(self, path: str) -> FileStat | None:
        try:
            return self.stat(path)
        except OSError as error:
            # As `os.path.exists`: what may not be seen is not there. A path that leads out is
            # still refused, and a server that is away is no answer.
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.EACCES):
                return None
            raise

    def _relative(self, path: str) -> str:
        names: list[str] = []
        for name in path.removeprefix(GMIFS_PROTOCOL).split("/"):
            if name == "..":
                names[-1:] = []
            elif name not in ("", "."):
                names.append(name)
        return "/".join(names)
