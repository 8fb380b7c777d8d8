"""Runs a worker file as its users do, and talks to it over its unix socket."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

WORKERS = Path(__file__).parent / "workers"


class Answer:
    """An answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.text = response.read().decode()

    def json(self) -> Any:
        return json.loads(self.text)

    def error(self) -> tuple[int, str, Any]:
        """Status, type and message of an error."""
        told = self.json()
        assert set(told) == {"message", "type"}, told
        return self.status, told["type"], told["message"]


class Worker:
    """A worker process."""

    def __init__(self, process: subprocess.Popen[bytes], folder: Path) -> None:
        self.process = process
        self.folder = folder
        self.socket = folder / "s"

    def raw(self) -> socket.socket:
        """A connection."""
        connection = socket.socket(socket.AF_UNIX)
        connection.settimeout(20)
        connection.connect(str(self.socket))
        return connection

    def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        raw: bytes | None = None,
        headers: dict[str, str] | None = None,
    ) -> http.client.HTTPConnection:
        """Send a request whose answer is not awaited yet."""
        connection = http.client.HTTPConnection("worker", timeout=20)
        connection.sock = self.raw()
        data = raw if raw is not None else None if body is None else json.dumps(body).encode()
        connection.request(method, path, data, headers or {})
        return connection

    def call(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a request and read its answer."""
        connection = self.send(path, body, **options)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def get(self, path: str, **options: Any) -> Answer:
        return self.call(path, method="GET", **options)

    def begin(self, path: str, body: Any = None) -> http.client.HTTPResponse:
        """Send a request and read the head of its answer."""
        return self.send(path, body).getresponse()

    def noted(self) -> list[str]:
        """What the handlers noted so far."""
        notes = self.folder / "notes"
        return notes.read_text().split() if notes.exists() else []

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait for its end."""
        self.process.send_signal(number)
        return self.process.wait(20)


@contextmanager
def served(
    file: str, *, ready: bool = True, unset: str = "", **environment: str
) -> Iterator[Worker]:
    """A worker whose file is in `workers/`, with these variables and without one."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        settings = {
            **os.environ,
            "MODEL_SERVER_SOCKET": str(folder / "s"),
            "REGISTER_ENABLED": "false",
            "NOTES": str(folder / "notes"),
        }
        settings.pop(unset, None)
        settings.update(environment)
        with open(folder / "log", "wb") as log:
            process = subprocess.Popen(
                [sys.executable, str(WORKERS / f"{file}.py")],
                cwd=folder,
                env=settings,
                stdout=log,
                stderr=log,
            )
        worker = Worker(process, folder)
        try:
            if ready:
                until(lambda: worker.socket.exists() or process.poll() is not None)
                assert process.poll() is None, worker.log()
            yield worker
        finally:
            if process.poll() is None:
                process.kill()
            process.wait()


def until(condition: Callable[[], bool], seconds: float = 15) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
