"""Workers made of the blocks of a document, as processes that listen, and what they answer."""

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness import READY_SECONDS_MAX, free_port
from ieops.yard import UnixConnection, Yard, wait_until_ready

FOLDER = Path(__file__).parent / "ieops_sdk"


def block(name: str) -> str:
    return (FOLDER / name).read_text()


def commands(name: str) -> list[str]:
    """The commands of a block for a shell."""
    return [line for line in block(name).splitlines() if line and not line.startswith("#")]


def environment(folder: Path) -> dict[str, str]:
    """Nothing of ours that a worker would read; `python` is the one that has the package."""
    return {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "REGISTER_ENABLED": "false",
        "LOG_FILE_PATH": str(folder),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


@contextmanager
def running(code: str, command: str) -> Iterator[tuple[Yard, Path]]:
    """A worker that `command` starts from a file `server.py`, listening; host, port and path of
    the document are replaced by ones that are free."""
    # The path of a unix socket is short, and a test's own folder is not.
    with tempfile.TemporaryDirectory() as name:
        folder, port = Path(name), free_port()
        (folder / "server.py").write_text(code)
        typed = command.replace("0.0.0.0", "127.0.0.1").replace("8080", str(port))
        typed = typed.replace("/var/run/", f"{folder}/")
        log = folder / "worker.log"
        with log.open("wb") as sink:
            process = subprocess.Popen(
                ["bash", "-c", typed],
                cwd=folder,
                env=environment(folder),
                stdout=sink,
                stderr=subprocess.STDOUT,
            )
        try:
            yard = Yard(process, log, port=port)
            if "MODEL_SERVER_PORT" not in command:
                yard = Yard(process, log, socket=str(socket_in(folder, process, log)))
            wait_until_ready(yard)
            yield yard, folder
            process.send_signal(signal.SIGTERM)
            assert process.wait(READY_SECONDS_MAX) == 0, log.read_text()
        finally:
            process.kill()
            process.wait()


def socket_in(folder: Path, process: subprocess.Popen, log: Path) -> Path:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not (found := list(folder.glob("*.sock"))):
        assert process.poll() is None and time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)
    return found[0]


@contextmanager
def serving(code: str) -> Iterator[Yard]:
    """A worker on a port."""
    with running(code, commands("run.sh")[0]) as (yard, _):
        yield yard


def call(yard: Yard, path: str, body=None, method: str = "POST") -> tuple[int, str, str]:
    """Status, content type and text of an answer."""
    if yard.socket:
        connection = UnixConnection(yard.socket)
    else:
        connection = http.client.HTTPConnection("127.0.0.1", yard.port, timeout=20)
    content = None if body is None else json.dumps(body)
    connection.request(method, path, content, {"content-type": "application/json"})
    answer = connection.getresponse()
    told = (answer.status, answer.headers["content-type"], answer.read().decode())
    connection.close()
    return told


def events(text: str) -> list:
    """The items of a stream that came to its end."""
    *items, last = re.findall(r"^data: (.*)$", text, re.M)
    assert last == "[DONE]", text
    return [json.loads(item) for item in items]


def python(code: str, **settings: str) -> str:
    """What a program prints that must succeed."""
    with tempfile.TemporaryDirectory() as folder:
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env={**environment(Path(folder)), **settings},
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert done.returncode == 0, done.stderr
    return done.stdout
