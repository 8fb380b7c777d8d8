"""`open("gmifs://...")`."""

from __future__ import annotations

import socket
import subprocess
from collections.abc import Callable

from .conftest import Servers

Script = Callable[..., "subprocess.CompletedProcess[str]"]

WRITE_AND_READ = """
with open("gmifs://output/image.png", "wb") as f:
    f.write(b"image")
with open("gmifs://output/image.png", "rb") as f:
    assert f.read() == b"image"
with open({local!r}, "w") as f:
    f.write("on this machine")
"""


def ended_well(run: subprocess.CompletedProcess[str]) -> None:
    assert run.returncode == 0, run.stderr


def test_importing_the_handler_is_enough_where_nfs_is_configured(
    script: Script, servers: Servers
) -> None:
    local = str(servers.folder / "local.txt")
    code = "import modelyard.handler\n" + WRITE_AND_READ.format(local=local)
    ended_well(script(code, **servers.environment("nfs")))
    assert servers.inside("nfs", "output/image.png").read_bytes() == b"image"
    assert (servers.folder / "local.txt").read_text() == "on this machine"


def test_importing_the_storage_is_enough_for_each_kind(script: Script, servers: Servers) -> None:
    for backend in ("nfs", "webdav", "local"):
        local = str(servers.folder / "local.txt")
        code = "import modelyard.storage as s\n" + WRITE_AND_READ.format(local=local)
        code += f"assert s.get_storage_backend() == {backend!r}\n"
        ended_well(script(code, **servers.environment(backend)))
        assert servers.inside(backend, "output/image.png").read_bytes() == b"image"


def test_open_is_left_alone_where_nothing_is_configured(script: Script, servers: Servers) -> None:
    code = "import builtins\nbefore = builtins.open\nimport modelyard.storage, modelyard.handler\n"
    ended_well(script(code + "assert builtins.open is before"))
    code += "assert builtins.open is before, 'WebDAV waits for modelyard.storage'"
    code = code.replace("modelyard.storage, ", "")
    ended_well(script(code, **servers.environment("webdav")))


def test_enabling_and_disabling(script: Script, servers: Servers) -> None:
    code = """
import builtins
import modelyard.storage as s
before = builtins.open
assert s.enable_storage_intercept() == "none" and s.get_storage_backend() is None
try:
    open("gmifs://x")
except OSError as error:
    assert "Storage not configured (set IEOPS_WEBDAV_URL or IEOPS_NFS_SERVER)" in str(error)
else:
    raise AssertionError("opened")
url = "http://127.0.0.1:{port}"
assert s.enable_storage_intercept("webdav", hostname=url) == "webdav"
with open("gmifs://x", "w") as f:
    f.write("1")
s.disable_storage_intercept()
assert builtins.open is before and s.get_storage_backend() is None
s.enable_nfs_intercept()
s.disable_nfs_intercept()
assert builtins.open is before
"""
    ended_well(script(code.format(port=servers.webdav)))


def test_a_server_that_is_absent_is_an_error_of_open_and_not_of_the_import(script: Script) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    code = """
import modelyard.handler
try:
    open("gmifs://x", "w")
except OSError as error:
    assert "Cannot open 'gmifs://x': Storage initialization failed" in str(error), error
else:
    raise AssertionError("opened")
"""
    ended_well(script(code, IEOPS_NFS_SERVER=f"127.0.0.1:{port}", IEOPS_NFS_TIMEOUT="2000"))


def test_a_child_made_by_fork_connects_for_itself(script: Script, servers: Servers) -> None:
    code = """
import os
import modelyard.storage
open("gmifs://parent", "w").close()
child = os.fork()
if child == 0:
    with open("gmifs://child", "w") as f:
        f.write("mine")
    os._exit(0)
_, status = os.waitpid(child, 0)
assert status == 0, status
assert open("gmifs://child").read() == "mine"
"""
    ended_well(script(code, **servers.environment("nfs")))


def test_the_gmi_ieops_package_has_the_same_storage(script: Script, servers: Servers) -> None:
    code = """
from gmi_ieops.handler import Handler, Server
from gmi_ieops.storage import FileSystem, GMIFS_PROTOCOL, NFSError, WebDAVFile
with open("gmifs://output/image.png", "wb") as f:
    f.write(b"x")
fs = FileSystem(export="/export")
with fs.open("data/result.json", "w") as f:
    f.write('{"status": "ok"}')
assert fs.listdir("data") == ["result.json"]
assert fs.base_path == "/u-1/jfs/org/me"
"""
    ended_well(script(code, **servers.environment("nfs")))
