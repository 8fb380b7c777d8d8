"""Which storage is meant: arguments first, then the environment."""

from __future__ import annotations

from .._core import Storage
from ..config import env

NOT_CONFIGURED = "Storage not configured (set IEOPS_WEBDAV_URL or IEOPS_NFS_SERVER)"
# No server takes more in one request.
_CHUNK_MAX = 1024 * 1024


def configured_backend() -> str | None:
    """The backend that the environment names; NFS before WebDAV before a local folder."""
    if env.storage.nfs_server:
        return "nfs"
    if env.storage.webdav_url:
        return "webdav"
    if env.get("IEOPS_STORAGE_ROOT"):
        return "local"
    return None


def split_server(server: str, port: int | None) -> tuple[str, int | None]:
    """Host and port of `host`, `host:port`, `[v6]` or `[v6]:port`; an explicit port wins."""
    host, rest = server, ""
    if server.startswith("["):
        host, _, rest = server[1:].partition("]")
        rest = rest.removeprefix(":")
    elif server.count(":") == 1:
        host, _, rest = server.partition(":")
    if port is None and rest:
        if not rest.isdecimal() or not 0 < int(rest) < 65536:
            raise ValueError(f"{rest!r} is not a port (IEOPS_NFS_SERVER is host:port)")
        port = int(rest)
    return host, port


def _chunks() -> tuple[int, int]:
    chunks = env.storage.read_chunk_size, env.storage.write_chunk_size
    for name, chunk in zip(("READ", "WRITE"), chunks, strict=True):
        if chunk < 1:
            raise ValueError(f"IEOPS_NFS_{name}_CHUNK_SIZE must be at least 1 byte, not {chunk}")
    return min(chunks[0], _CHUNK_MAX), min(chunks[1], _CHUNK_MAX)


def home_of(backend: str) -> list[str]:
    """The names of the user's folder: `/{pid}/{fs_name}/{oid}/{uid}`, on WebDAV `/{oid}/{uid}`."""
    user = [env.storage.oid, env.storage.uid]
    return user if backend == "webdav" else [env.storage.pid, env.storage.fs_name, *user]


def connect_nfs(
    server: str | None,
    export: str | None,
    port: int | None,
    timeout: float | None,
    make_home: bool,
) -> Storage:
    host, number = split_server(server or env.storage.nfs_server, port)
    if not host:
        raise ValueError("no NFS server is given (server=... or IEOPS_NFS_SERVER)")
    return Storage.nfs(
        host=host,
        port=number,
        export=export or env.get("IEOPS_NFS_EXPORT", "/"),
        versions=env.get("IEOPS_NFS_VERSION", "4.1,3"),
        timeout_ms=env.storage.timeout if timeout is None else int(timeout * 1000),
        chunks=_chunks(),
        home=home_of("nfs"),
        make_home=make_home,
        cache_bytes=env.get_int("IEOPS_STORAGE_CACHE_BYTES", 0),
    )


def connect_webdav(
    hostname: str | None,
    username: str | None,
    password: str | None,
    timeout: float | None,
    make_home: bool,
    home: list[str] | None = None,
) -> Storage:
    url = hostname or env.storage.webdav_url
    if not url:
        raise ValueError("no WebDAV server is given (hostname=... or IEOPS_WEBDAV_URL)")
    return Storage.webdav(
        url=url,
        user=env.storage.webdav_user if username is None else username,
        password=env.storage.webdav_pass if password is None else password,
        timeout_s=float(env.storage.webdav_timeout if timeout is None else timeout),
        chunks=_chunks(),
        home=home_of("webdav") if home is None else home,
        make_home=make_home,
        cache_bytes=env.get_int("IEOPS_STORAGE_CACHE_BYTES", 0),
    )


def connect_local(root: str | None, make_home: bool) -> Storage:
    folder = root or env.get("IEOPS_STORAGE_ROOT", "")
    if not folder:
        raise ValueError("no folder is given (root=... or IEOPS_STORAGE_ROOT)")
    return Storage.local(
        root=folder,
        chunks=_chunks(),
        home=home_of("local"),
        make_home=make_home,
        cache_bytes=env.get_int("IEOPS_STORAGE_CACHE_BYTES", 0),
    )
