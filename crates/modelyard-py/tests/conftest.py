"""Starts real worker processes and talks to them over their sockets."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

MODELS = Path(__file__).parent / "models"


class Answer:
    """An answer, read whole."""

    def __init__(self, response: http.client.HTTPResponse) -> None:
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()

    @property
    def type(self) -> str:
        return self.headers["content-type"]

    @property
    def text(self) -> str:
        return self.body.decode()

    def json(self) -> Any:
        return json.loads(self.body)


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout: float) -> None:
        super().__init__("worker", timeout=timeout)
        self.unix_path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.unix_path)


class Worker:
    """A worker process on a unix socket."""

    def __init__(
        self,
        model: str,
        arguments: list[str],
        launch: dict[str, Any] | None,
        lifeline: str,
    ) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.path = f"{self.directory.name}/s"
        self.log = open(f"{self.directory.name}/log", "w+b")  # noqa: SIM115
        implementation = f"{MODELS / model.split(':')[0]}.py:{model.split(':')[1]}"
        environment = {**os.environ, "MODELYARD_LIFELINE": lifeline}
        environment.pop("PYTHONUNBUFFERED", None)
        command = [sys.executable, "-m", "modelyard.worker"]
        if launch is None:
            command += [implementation, "--unix", self.path, *arguments]
        else:
            defaults = {
                "model": "tested",
                "version": "7",
                "implementation": implementation,
                "listen": f"unix:{self.path}",
                "gateway": None,
                "heartbeat_ms": 1000,
            }
            environment["MODELYARD_WORKER"] = json.dumps({**defaults, **launch})
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=environment
        )

    def wait_ready(self, seconds: float = 20) -> None:
        """Wait until it takes calls."""
        end = time.monotonic() + seconds
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.call("/-/ready", method="GET").status == 200:
                    return
            except OSError:
                pass
            time.sleep(0.02)
        raise AssertionError(f"not ready: {self.output()}")

    def connection(self, timeout: float = 20) -> http.client.HTTPConnection:
        return _Connection(self.path, timeout)

    def send(
        self,
        path: str,
        body: Any = None,
        *,
        method: str = "POST",
        headers: dict[str, str] | None = None,
        raw: bytes | None = None,
    ) -> http.client.HTTPConnection:
        """Send a call whose answer is not awaited yet."""
        data = raw if raw is not None else json.dumps(body).encode()
        connection = self.connection()
        connection.request(method, path, None if method == "GET" else data, headers or {})
        return connection

    def call(self, path: str, body: Any = None, **options: Any) -> Answer:
        """Send a call and read its answer."""
        connection = self.send(path, body, **options)
        try:
            return Answer(connection.getresponse())
        finally:
            connection.close()

    def output(self) -> str:
        """What it wrote so far."""
        self.log.flush()
        return Path(self.log.name).read_text()

    def wait_for_output(self, text: str, seconds: float = 10) -> str:
        """Wait until it wrote `text`."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if text in (output := self.output()):
                return output
            time.sleep(0.01)
        raise AssertionError(f"{text!r} is not in: {self.output()}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Signal it and wait for its end."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(20)
        finally:
            self.close()

    def close(self) -> None:
        """Make sure that nothing of it is left."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process.stdin is not None:
            self.process.stdin.close()
        self.log.close()
        self.directory.cleanup()


class Gateway(ThreadingHTTPServer):
    """Takes registrations, heartbeats and reports, and remembers them."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _GatewayHandler)
        self.registrations: list[dict[str, Any]] = []
        self.heartbeats = 0
        self.running: list[dict[str, Any]] = []
        self.reports: list[dict[str, Any]] = []
        self.left = threading.Event()
        self.thread = threading.Thread(target=self.serve_forever, daemon=True)
        self.thread.start()

    @property
    def address(self) -> str:
        return f"tcp:127.0.0.1:{self.server_address[1]}"

    def ends(self) -> list[dict[str, Any]]:
        return [report for report in self.reports if report["kind"] == "ended"]

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _GatewayHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Gateway

    def _read(self) -> Any:
        return json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or b"null")

    def _answer(self, value: Any) -> None:
        body = json.dumps(value).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def do_POST(self) -> None:
        told = self._read()
        if self.path.endswith("/reports"):
            self.server.reports += told["reports"]
            self._answer({})
        else:
            self.server.registrations.append({**told, "auth": self.headers["authorization"]})
            worker_id = "00000000-0000-7000-8000-000000000001"
            self._answer({"worker_id": worker_id, "epoch": 1, "lease_ms": 10_000})

    def do_PUT(self) -> None:
        self.server.running = self._read()["running"]
        self.server.heartbeats += 1
        self._answer({"lease_ms": 10_000})

    def do_DELETE(self) -> None:
        self._read()
        self.server.left.set()
        self._answer({})

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


Start = Callable[..., Worker]


@pytest.fixture
def gateway() -> Iterator[Gateway]:
    """A gateway that only listens."""
    gateway = Gateway()
    yield gateway
    gateway.close()


def _starter() -> Iterator[Start]:
    workers: list[Worker] = []

    def start(
        model: str,
        *arguments: str,
        launch: dict[str, Any] | None = None,
        ready: bool = True,
        lifeline: str = "",
    ) -> Worker:
        worker = Worker(model, list(arguments), launch, lifeline)
        workers.append(worker)
        if ready:
            worker.wait_ready()
        return worker

    yield start
    for worker in workers:
        worker.close()


@pytest.fixture
def start() -> Iterator[Start]:
    """Start workers that end with the test."""
    yield from _starter()


@pytest.fixture(scope="module")
def start_shared() -> Iterator[Start]:
    """Start workers that all tests of a module share."""
    yield from _starter()


def until(condition: Callable[[], bool], seconds: float = 10) -> None:
    """Wait until something holds."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.01)
