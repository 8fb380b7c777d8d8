"""The two blocks of the document of `ieops-sdk` that reach files on NFS, and what it says of sizes.

Only addresses, and the path of a file on this machine, are replaced in the blocks.
"""

import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import ROOT
from seeds.rpc_proxy import RpcProxy
from seeds.workers import block, python

USER = "u-00000000/jfs-dev/gmicloud.ieops/gmicloud.ieops"


@pytest.fixture(scope="module")
def program() -> Path:
    """An NFS server over a folder."""
    build = ["cargo", "build", "--quiet", "--locked", "--package", "storage"]
    subprocess.run([*build, "--example", "storage_servers"], cwd=ROOT, check=True)
    return ROOT / "target/debug/examples/storage_servers"


@pytest.fixture
def served(program, tmp_path) -> Iterator[tuple[Path, int]]:
    """The folder of the user that the document takes for granted, and the port of the server."""
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([program, tmp_path], text=True, **pipes) as server:
        port, _webdav = server.stdout.readline().split()
        yield tmp_path / USER, int(port)
        server.stdin.close()


def test_open_writes_to_nfs_what_begins_with_gmifs_and_leaves_the_rest_alone(served, tmp_path):
    folder, port = served
    (variable,) = re.findall(r"^# (IEOPS_NFS_SERVER)=", block("open_gmifs.py"), re.M)
    model = tmp_path / "model.bin"
    model.write_bytes(b"weights")
    code = block("open_gmifs.py").replace("/data/models/model.bin", str(model))
    settings = {variable: f"127.0.0.1:{port}", "IEOPS_NFS_EXPORT": "/export"}
    assert python(f"image_data = b'pixels'\n{code}\nprint(data)", **settings) == "b'weights'\n"
    assert (folder / "output/image.png").read_bytes() == b"pixels"


def test_a_file_system_makes_folders_writes_and_lists(served):
    folder, port = served
    code = block("file_system.py").replace("10.0.0.1", "127.0.0.1").replace("32049", str(port))
    assert python(code, IEOPS_NFS_EXPORT="/export") == "images\nresult.json\n"
    assert (folder / "data/result.json").read_text() == '{"status": "ok"}'


# Beside the data a message says what is asked for.
HEAD_BYTES_MAX = 1000
MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("read", "write", "longest_read", "longest_write"),
    [
        ("50000", "70000", 50_000, 70_000),
        # What the document gives as the defaults, and as the bound.
        ("", "", 524_288, 524_288),
        ("4000000", "4000000", MIB, MIB),
    ],
    ids=["chosen", "default", "too large"],
)
def test_reads_and_writes_are_as_long_as_was_said_and_1_mib_at_most(
    served, read, write, longest_read, longest_write
):
    _, port = served
    proxy = RpcProxy(port)
    sizes = {"IEOPS_NFS_READ_CHUNK_SIZE": read, "IEOPS_NFS_WRITE_CHUNK_SIZE": write}
    code = """
import os
from gmi_ieops.storage import FileSystem
data = os.urandom(3_000_000)
with FileSystem() as fs:
    with fs.open("large", "wb") as f:
        f.write(data)
    with fs.open("large", "rb") as f:
        assert f.read() == data
"""
    try:
        python(
            code,
            IEOPS_NFS_SERVER=f"127.0.0.1:{proxy.port}",
            IEOPS_NFS_EXPORT="/export",
            **{name: size for name, size in sizes.items() if size},
        )
    finally:
        proxy.close()
    assert 0 <= proxy.to_server - longest_write <= HEAD_BYTES_MAX
    assert 0 <= proxy.to_client - longest_read <= HEAD_BYTES_MAX
