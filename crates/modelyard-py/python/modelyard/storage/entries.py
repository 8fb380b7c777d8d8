"""What is known of files and folders."""

from __future__ import annotations

import stat as modes
from dataclasses import dataclass

Known = tuple[int, int, int, int, int, int, int, float, float, float, int]


@dataclass(frozen=True)
class FileStat:
    """What is known of one entry.

    Times are seconds since 1970, `size` and `blksize` bytes, `blocks` units of 512 bytes. What
    the server does not tell (on WebDAV: owner, `ino`, `dev`) is 0.
    """

    size: int
    mode: int
    uid: int
    gid: int
    atime: float
    mtime: float
    ctime: float
    nlink: int
    ino: int
    dev: int
    blocks: int
    blksize: int
    name: str
    path: str

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return modes.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file."""
        return modes.S_ISREG(self.mode)

    @property
    def is_link(self) -> bool:
        """Whether it is a symbolic link."""
        return modes.S_ISLNK(self.mode)


@dataclass(frozen=True)
class DirEntry:
    """One entry of a folder. A link is not followed.

    `type` is 1 for a file, 2 for a folder, 5 for a link, 0 for anything else; `size` is in bytes.
    """

    name: str
    path: str
    inode: int
    type: int
    mode: int
    size: int

    @property
    def is_dir(self) -> bool:
        """Whether it is a folder."""
        return modes.S_ISDIR(self.mode)

    @property
    def is_file(self) -> bool:
        """Whether it is a plain file."""
        return modes.S_ISREG(self.mode)


def stat_of(path: str, known: Known, block: int) -> FileStat:
    mode, ino, dev, nlink, uid, gid, size, atime, mtime, ctime, used = known
    return FileStat(
        size=size,
        mode=mode,
        uid=uid,
        gid=gid,
        atime=atime,
        mtime=mtime,
        ctime=ctime,
        nlink=nlink,
        ino=ino,
        dev=dev,
        blocks=(used + 511) // 512,
        blksize=block,
        name=path.rsplit("/", 1)[-1],
        path=path,
    )


def entry_of(folder: str, name: str, known: Known) -> DirEntry:
    mode, ino, size = known[0], known[1], known[6]
    path = f"{folder}/{name}" if folder else name
    kind = {modes.S_IFREG: 1, modes.S_IFDIR: 2, modes.S_IFLNK: 5}.get(modes.S_IFMT(mode), 0)
    return DirEntry(name=name, path=path, inode=ino, type=kind, mode=mode, size=size)
