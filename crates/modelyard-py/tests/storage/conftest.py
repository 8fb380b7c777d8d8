"""Storage servers over a folder, and processes that use them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[4]
USER = {
    "IEOPS_STORAGE_PID": "u-1",
    "IEOPS_STORAGE_FS_NAME": "jfs",
    "IEOPS_STORAGE_OID": "org",
    "IEOPS_STORAGE_UID": "me",
}


@pytest.fixture(scope="session")
def program() -> Path:
    build = ["cargo", "build", "--quiet", "--locked", "-p", "storage"]
    subprocess.run([*build, "--example", "storage_servers"], cwd=ROOT, check=True)
    target = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    return target / "debug" / "examples" / "storage_servers"


@dataclass
class Servers:
    folder: Path
    nfs: int
    webdav: int

    def environment(self, backend: str) -> dict[str, str]:
        if backend == "nfs":
            place = {"IEOPS_NFS_SERVER": f"127.0.0.1:{self.nfs}", "IEOPS_NFS_EXPORT": "/export"}
        elif backend == "webdav":
            place = {"IEOPS_WEBDAV_URL": f"http://127.0.0.1:{self.webdav}"}
        else:
            place = {"IEOPS_STORAGE_ROOT": str(self.folder)}
        return USER | place

    def inside(self, backend: str, path: str) -> Path:
        home = "org/me" if backend == "webdav" else "u-1/jfs/org/me"
        return self.folder / home / path


@pytest.fixture
def servers(program: Path, tmp_path: Path) -> Iterator[Servers]:
    folder = tmp_path / "served"
    folder.mkdir()
    run = subprocess.Popen(
        [program, folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with run:
        assert run.stdout is not None and run.stdin is not None
        nfs, webdav = run.stdout.readline().split()
        yield Servers(folder, int(nfs), int(webdav))
        run.stdin.close()


@pytest.fixture(params=["nfs", "webdav", "local"])
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def configured(
    servers: Servers, backend: str, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Servers]:
    """This process uses the storage of this kind."""
    from modelyard.config import env

    for name, value in servers.environment(backend).items():
        monkeypatch.setenv(name, value)
    env.reload()
    yield servers
    monkeypatch.undo()
    env.reload()


@pytest.fixture
def script(servers: Servers) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs Python in a process of its own, with this environment besides the usual."""

    def run(code: str, **settings: str) -> subprocess.CompletedProcess[str]:
        usual = {name: value for name, value in os.environ.items() if "IEOPS" not in name}
        return subprocess.run(
            [sys.executable, "-c", code],
            env=usual | settings,
            capture_output=True,
            text=True,
            timeout=60,
        )

    return run
