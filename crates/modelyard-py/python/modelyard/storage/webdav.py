"""WebDAV by its own names, as the original has them."""

from __future__ import annotations

from . import settings
from .entries import DirEntry, FileStat
from .filesystem import FileSystem


class WebDAVFileSystem(FileSystem):
    """`FileSystem(backend="webdav")`: a user's folder on a WebDAV server."""

    def __init__(
        self,
        hostname: str | None = None,
        username: str | None = None,
        password: str | None = None,
        auto_mkdir: bool = True,
        timeout: float | None = None,
    ) -> None:
        super().__init__(
            "webdav",
            hostname=hostname,
            username=username,
            password=password,
            auto_mkdir=auto_mkdir,
            timeout=timeout,
        )


class _WholeServer(FileSystem):
    def __init__(self, hostname: str, user: str, password: str, timeout: float | None) -> None:
        self._core = settings.connect_webdav(hostname, user, password, timeout, False, home=[])


class WebDAVClient:
    """A WebDAV server as a whole: paths begin at its root, not in a user's folder."""

    def __init__(
        self,
        hostname: str,
        username: str | None = None,
        password: str | None = None,
        timeout: float | None = None,
    ) -> None:
        self._files = _WholeServer(hostname, username or "", password or "", timeout)

    def upload(self, remote_path: str, local_path: str) -> None:
        """Send a local file."""
        with open(local_path, "rb") as source, self._files.open(remote_path, "wb") as target:
            while piece := source.read(1024 * 1024):
                target.write(piece)

    def upload_bytes(self, remote_path: str, data: bytes) -> None:
        """Send bytes."""
        with self._files.open(remote_path, "wb") as target:
            target.write(data)

    def download(self, remote_path: str, local_path: str) -> None:
        """Fetch into a local file."""
        with self._files.open(remote_path, "rb") as source, open(local_path, "wb") as target:
            while piece := source.read(1024 * 1024):
                target.write(piece)

    def download_bytes(self, remote_path: str) -> bytes:
        """Fetch bytes."""
        with self._files.open(remote_path, "rb") as source:
            data: bytes = source.read()
            return data

    def read_text(self, remote_path: str, encoding: str = "utf-8") -> str:
        """Fetch text."""
        return self.download_bytes(remote_path).decode(encoding)

    def write_text(self, remote_path: str, content: str, encoding: str = "utf-8") -> None:
        """Send text."""
        self.upload_bytes(remote_path, content.encode(encoding))

    def mkdir(self, path: str, parents: bool = False) -> None:
        """Make a folder; one that exists is no failure."""
        self._files.mkdir(path, parents=parents, exist_ok=True)

    def rmdir(self, path: str) -> None:
        """Remove an empty folder."""
        self._files.rmdir(path)

    def listdir(self, path: str = "/") -> list[str]:
        """The names in a folder, sorted."""
        return self._files.listdir(path)

    def scandir(self, path: str = "/") -> list[DirEntry]:
        """The entries of a folder, sorted by name."""
        return self._files.scandir(path)

    def exists(self, path: str) -> bool:
        """Whether there is something."""
        return self._files.exists(path)

    def isdir(self, path: str) -> bool:
        """Whether it is a folder."""
        return self._files.isdir(path)

    def isfile(self, path: str) -> bool:
        """Whether it is a file."""
        return self._files.isfile(path)

    def stat(self, path: str) -> FileStat:
        """What is known of an entry."""
        return self._files.stat(path)

    def getsize(self, path: str) -> int:
        """Length in bytes."""
        return self._files.getsize(path)

    def remove(self, path: str) -> None:
        """Remove a file."""
        self._files.remove(path)

    def rename(self, src: str, dst: str) -> None:
        """Rename; a file of the new name is replaced."""
        self._files.rename(src, dst)

    def copy(self, src: str, dst: str) -> None:
        """Copy a file on the server."""
        self._files.copy(src, dst)
