"""A running server for the tests: the dev build, on a free port, in a folder of its own."""

import importlib.util
import json
import os
import re
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PROGRAM = Path(os.environ.get("PROGRAM_UNDER_TEST", ROOT / "target/debug/modelyard"))
EXAMPLES = ROOT / "examples"

# A loaded two-core machine needs longer than a person's laptop; nothing here measures speed.
READY_SECONDS_MAX = 60
STOP_SECONDS_MAX = 30


@dataclass
class Answer:
    """What came back, errors included."""

    status: int
    headers: dict[str, str]
    body: bytes

    def json(self):
        return json.loads(self.body)

    def text(self) -> str:
        return self.body.decode()


@dataclass
class Server:
    """A server that listens, and the means to call it."""

    port: int
    log: Path
    process: subprocess.Popen

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def call(self, method: str, path: str, body=None, headers=None, timeout=30) -> Answer:
        """Sends one request; a dict or a list goes as JSON."""
        headers = dict(headers or {})
        if isinstance(body, dict | list):
            body = json.dumps(body).encode()
            headers.setdefault("content-type", "application/json")
        request = urllib.request.Request(self.url + path, body, headers, method=method)
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                return Answer(answer.status, lower(answer.headers), answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, lower(error.headers), error.read())

    def get(self, path: str, **options) -> Answer:
        return self.call("GET", path, **options)

    def post(self, path: str, body=None, **options) -> Answer:
        return self.call("POST", path, body, **options)

    def finished(self, task_id: str) -> dict:
        """The task once it has ended; fails the test when it does not."""
        deadline = time.monotonic() + READY_SECONDS_MAX
        while time.monotonic() < deadline:
            task = self.get(f"/tasks/{task_id}").json()
            if task["status"] in {"completed", "failed"}:
                return task
            time.sleep(0.05)
        raise AssertionError(f"task {task_id} did not end: {task}")


def lower(headers) -> dict[str, str]:
    return {name.lower(): value for name, value in headers.items()}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_for_port(port: int, process: subprocess.Popen) -> None:
    """Until somebody listens there."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        assert process.poll() is None, f"the process for port {port} ended at once"
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise AssertionError(f"nobody listens on port {port}")


@contextmanager
def serving(folder: Path, *arguments: str, config=None, env=None) -> Iterator[Server]:
    """A ready server with its data in `folder`; it is stopped, and must stop, at the end."""
    port = free_port()
    if config is not None:
        (folder / "modelyard.toml").write_text(config)
        arguments = ("--config", "modelyard.toml", *arguments)
    log = folder / "server.log"
    link = folder / ".venv"
    if not link.exists():
        link.symlink_to(ROOT / ".venv")
    environment = {**os.environ, "MODELYARD_DATA_DIR": str(folder / "data"), **(env or {})}
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [PROGRAM, "serve", *arguments, "--port", str(port)],
            cwd=folder,
            env=environment,
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    server = Server(port, log, process)
    try:
        wait_until_ready(server)
        yield server
    finally:
        stop(server)


def wait_until_ready(server: Server) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        if server.process.poll() is not None:
            raise AssertionError(f"the server ended at once:\n{server.log.read_text()}")
        try:
            if server.get("/health/ready").status == 200:
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise AssertionError(f"the server did not become ready:\n{server.log.read_text()}")


def stop(server: Server) -> None:
    """SIGTERM drains; a server that does not end by itself is ended and fails the test."""
    if server.process.poll() is None:
        server.process.send_signal(signal.SIGTERM)
    try:
        status = server.process.wait(STOP_SECONDS_MAX)
    except subprocess.TimeoutExpired:
        server.process.kill()
        server.process.wait()
        raise AssertionError(f"the server did not stop:\n{server.log.read_text()}") from None
    assert status == 0, f"the server ended with {status}:\n{server.log.read_text()}"


def masked(text: str) -> str:
    """The text with everything that differs from run to run replaced by a word."""
    text = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "<id>", text)
    text = re.sub(r'"ts": ?"[0-9.]+"', '"ts":"<time>"', text)
    return re.sub(r'"(created|updated)_ms": ?[0-9]+', r'"\1_ms":<time>', text)


def load(file: Path):
    """A script as a module, without running its main part."""
    spec = importlib.util.spec_from_file_location(file.stem, file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
