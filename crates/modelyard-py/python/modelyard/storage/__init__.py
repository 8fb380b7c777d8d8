"""A user's files on NFS or WebDAV: `open("gmifs://...")` and `FileSystem`.

    import modelyard.storage            # IEOPS_NFS_SERVER=10.0.0.1:32049 is set

    with open("gmifs://output/image.png", "wb") as f:
        f.write(data)

    fs = FileSystem(server="10.0.0.1", port=32049)
    fs.mkdir("data/images", parents=True, exist_ok=True)

`gmifs://path` is `/{pid}/{fs_name}/{oid}/{uid}/path` on the server; no path leads out of that
folder. Importing this package makes `open` understand `gmifs://` if a storage is configured.
"""

from .entries import DirEntry, FileStat
from .errors import NFSError, NFSLockError, StorageError, WebDAVError, WebDAVLockError
from .files import StorageFile
from .filesystem import GMIFS_PROTOCOL, FileSystem
from .intercept import (
    disable_nfs_intercept,
    disable_storage_intercept,
    enable_nfs_intercept,
    enable_storage_intercept,
    get_storage_backend,
    install_from_environment,
)
from .webdav import WebDAVClient, WebDAVFileSystem

install_from_environment()

# One class of files for both; the names are the original's.
NFSFile = StorageFile
WebDAVFile = StorageFile

__all__ = [
    "GMIFS_PROTOCOL",
    "DirEntry",
    "FileStat",
    "FileSystem",
    "NFSError",
    "NFSFile",
    "NFSLockError",
    "StorageError",
    "StorageFile",
    "WebDAVClient",
    "WebDAVError",
    "WebDAVFile",
    "WebDAVFileSystem",
    "WebDAVLockError",
    "disable_nfs_intercept",
    "disable_storage_intercept",
    "enable_nfs_intercept",
    "enable_storage_intercept",
    "get_storage_backend",
]
