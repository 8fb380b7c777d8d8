"""How fast `gmifs://` is beside the NFS client library that it stands on, in one run.

    cargo build --release -p storage --examples
    python bench/storage.py [--server ganesha|v3] [--mib 64] [--rounds 5]

Both write and read the same amount, in turns, on one server that this program starts: nfs-ganesha
(NFS 4.1, as root, `apt-get install nfs-ganesha nfs-ganesha-vfs`) or the one of the tests (NFS 3).
The library is called with everything at once; ours through `open`, everything at once and in
pieces of 1 MiB. Writes count with the commit. Medians, in MiB/s.
"""

from __future__ import annotations

import argparse
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).parents[1]
EXAMPLES = ROOT / "target/release/examples"
MIB = 1024 * 1024


@contextmanager
def v3_server(folder: str) -> Iterator[tuple[int, str]]:
    command = [EXAMPLES / "storage_servers", folder]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen(command, text=True, **pipes) as run:
        yield int(run.stdout.readline().split()[0]), "3"
        run.stdin.close()


@contextmanager
def ganesha(folder: str) -> Iterator[tuple[int, str]]:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with tempfile.TemporaryDirectory() as state:
        Path(state, "conf").write_text(
            f"NFS_CORE_PARAM {{ NFS_Port = {port}; Bind_addr = 127.0.0.1; Protocols = 4; "
            "Enable_NLM = false; Enable_RQUOTA = false; }\n"
            f"NFSV4 {{ Graceless = true; RecoveryRoot = {state}; Only_Numeric_Owners = true; }}\n"
            f"EXPORT {{ Export_Id = 77; Path = {folder}; Pseudo = /export; Access_Type = RW; "
            "Squash = No_Root_Squash; SecType = sys; Transports = TCP; FSAL { Name = VFS; } }\n"
        )
        files = ["-f", f"{state}/conf", "-L", f"{state}/log", "-p", f"{state}/pid"]
        run = subprocess.Popen(["ganesha.nfsd", "-F", *files], stderr=subprocess.DEVNULL)
        try:
            wait_for(port)
            yield port, "4.1"
        finally:
            run.send_signal(signal.SIGKILL)
            run.wait()


def wait_for(port: int) -> None:
    for _ in range(200):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"no NFS server on port {port}")


def timed(work: Callable[[], list[bytes]], data: bytes) -> float:
    """MiB/s; what was read is compared afterwards, as the library's program does."""
    begun = time.perf_counter()
    pieces = work()
    seconds = time.perf_counter() - begun
    if pieces and b"".join(pieces) != data:
        raise SystemExit("another content was read than was written")
    return len(data) / MIB / seconds


def library(port: int, version: str, mib: int) -> tuple[float, float]:
    ports = f"nfsport={port}&mountport={port}&noresvport=true"
    url = f"nfs://127.0.0.1/export?version={version}&{ports}"
    done = subprocess.run(
        [EXAMPLES / "nfs_rate", url, str(mib)], check=True, capture_output=True, text=True
    )
    written, read = done.stdout.split()
    return float(written), float(read)


def at_once(data: bytes) -> tuple[float, float]:
    def write() -> list[bytes]:
        with open("gmifs://rate", "wb") as f:
            f.write(data)
        return []

    def read() -> list[bytes]:
        with open("gmifs://rate", "rb") as f:
            return [f.read()]

    return timed(write, data), timed(read, data)


def in_pieces(data: bytes) -> tuple[float, float]:
    def write() -> list[bytes]:
        with open("gmifs://rate", "wb") as f:
            for start in range(0, len(data), MIB):
                f.write(data[start : start + MIB])
        return []

    def read() -> list[bytes]:
        with open("gmifs://rate", "rb") as f:
            return list(iter(lambda: f.read(MIB), b""))

    return timed(write, data), timed(read, data)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=["ganesha", "v3"], default="ganesha")
    parser.add_argument("--mib", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    start = ganesha if arguments.server == "ganesha" else v3_server
    with tempfile.TemporaryDirectory() as folder, start(folder) as (port, version):
        os.environ["IEOPS_NFS_SERVER"] = f"127.0.0.1:{port}"
        os.environ["IEOPS_NFS_EXPORT"] = "/export"
        os.environ["IEOPS_NFS_VERSION"] = version
        import modelyard.storage

        assert modelyard.storage.enable_storage_intercept() == "nfs"
        data = os.urandom(arguments.mib * MIB)
        rates: dict[str, list[tuple[float, float]]] = {"library": [], "at once": [], "pieces": []}
        for _ in range(arguments.rounds):
            rates["library"].append(library(port, version, arguments.mib))
            rates["at once"].append(at_once(data))
            rates["pieces"].append(in_pieces(data))
        modelyard.storage.disable_storage_intercept()
    medians = {
        name: tuple(statistics.median(column) for column in zip(*rounds, strict=True))
        for name, rounds in rates.items()
    }
    base = medians["library"]
    print(f"NFS {version}, {arguments.mib} MiB, {arguments.rounds} rounds, MiB/s")
    for name, (written, read) in medians.items():
        shares = f"{written / base[0]:.0%} {read / base[1]:.0%}"
        print(f"{name:8}  write {written:6.0f}  read {read:6.0f}  of the library: {shares}")


if __name__ == "__main__":
    sys.exit(main())
