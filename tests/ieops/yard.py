"""Worker processes of ours and of the reference, and what they answer."""

import asyncio
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import websockets
from harness import READY_SECONDS_MAX, ROOT, free_port
from ieops.conversation import Request, Talk

VERSIONS = ("0.2.9", "0.5.8")
WORKER = Path(__file__).with_name("worker.py")

# Answers that differ from run to run, or say nothing about the worker.
_HEADERS_APART = {"date", "server", "content-length", "transfer-encoding", "connection"}
# What only ours says; docs/compat/ieops.md tells of it.
_HEADERS_APART |= {"x-trace-id", "x-error-code", "allow"}
_SECONDS_MAX = 20


@dataclass
class Yard:
    """A worker that listens: on a port, or on a unix socket."""

    process: subprocess.Popen
    log: Path
    port: int = 0
    socket: str = ""

    def connection(self) -> http.client.HTTPConnection:
        if self.socket:
            return UnixConnection(self.socket)
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=_SECONDS_MAX)


class UnixConnection(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str) -> None:
        super().__init__("localhost", timeout=_SECONDS_MAX)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


def python_of(who: str) -> Path:
    """The interpreter of `ours`, or of a version of the reference."""
    folder = ROOT / ".venv" if who == "ours" else ROOT / f".venv/reference-{who}"
    return folder / "bin/python"


@contextmanager
def working(
    who: str, folder: Path, env: dict[str, str] | None = None, script: Path = WORKER
) -> Iterator[Yard]:
    """A worker on a free port, ready; it is stopped by SIGTERM, and must stop."""
    port = free_port()
    listening = {
        "MODEL_SERVER_SOCKET": "",
        "MODEL_SERVER_PORT": str(port),
    }
    with process_of(who, folder, {**listening, **(env or {})}, script) as (process, log):
        yard = Yard(process, log, port=port)
        wait_until_ready(yard)
        yield yard


@contextmanager
def process_of(who: str, folder: Path, env: dict[str, str], script: Path = WORKER):
    """The process of a worker and its log, with nothing of our environment that it would read."""
    folder.mkdir(parents=True, exist_ok=True)
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
    settings = {
        "REGISTER_ENABLED": "false",
        "LOG_FILE_PATH": str(folder),
        "APP_NAME": "compared",
        "PYTHONUNBUFFERED": "1",
        "PYTHONDONTWRITEBYTECODE": "1",
    }
    log = folder / f"{who}.log"
    with log.open("wb") as sink:
        process = subprocess.Popen(
            [python_of(who), script],
            cwd=folder,
            env={**kept, **settings, **env},
            stdout=sink,
            stderr=subprocess.STDOUT,
        )
    try:
        yield process, log
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGTERM)
        try:
            process.wait(READY_SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"the worker did not stop:\n{log.read_text()}") from None


def wait_until_ready(yard: Yard) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        assert yard.process.poll() is None, f"the worker ended:\n{yard.log.read_text()}"
        try:
            if ask(yard, Request("", "GET", "/health"))["status"] == 200:
                return
        except OSError:
            time.sleep(0.05)
    raise AssertionError(f"the worker did not become ready:\n{yard.log.read_text()}")


def ask(yard: Yard, request: Request) -> dict:
    """The answer to a request, as what is compared: status, headers and body."""
    connection = yard.connection()
    headers = dict(request.headers)
    content = request.content()
    if content is not None:
        headers.setdefault("content-type", "application/json")
    try:
        connection.request(request.method, request.path, content, headers)
        answer = connection.getresponse()
        body = answer.read()
    finally:
        connection.close()
    named = {name.lower(): value for name, value in answer.getheaders()}
    return {
        "status": answer.status,
        "headers": {
            name: masked(value, yard)
            for name, value in sorted(named.items())
            if name not in _HEADERS_APART
        },
        "body": masked(body.decode(errors="backslashreplace"), yard),
    }


def masked(text: str, yard: Yard) -> str:
    """A text without what differs from run to run: trace ids, ports and addresses in memory."""
    text = re.sub(r"traceid-[A-Za-z0-9]{8}", "traceid-********", text)
    text = re.sub(r"0x[0-9a-f]{8,}", "0x********", text)
    return text.replace(f"127.0.0.1:{yard.port}", "host") if yard.port else text


def in_common(request: Request, answer: dict) -> dict:
    """What of an answer is promised: pages for people, and lists, look as their server likes."""
    if request.name in ("docs", "redoc"):
        return {"status": answer["status"], "type": answer["headers"].get("content-type")}
    if request.name == "routes":
        routes = json.loads(answer["body"])["routes"]
        return {route["path"]: sorted(route["methods"]) for route in routes if _own(route["path"])}
    if request.name == "openapi":
        paths = json.loads(answer["body"])["paths"]
        return {path: sorted(verbs) for path, verbs in paths.items() if _own(path)}
    if request.name == "GET /":
        body = json.loads(answer["body"])
        return {**body, "routes_count": type(body["routes_count"]).__name__}
    return answer


def _own(path: str) -> bool:
    return path.startswith("/v1")


def converse(yard: Yard, talk: Talk) -> list[str]:
    """What a WebSocket says during a conversation, up to how it ends."""
    return [masked(text, yard) for text in asyncio.run(_converse(yard, talk))]


async def _converse(yard: Yard, talk: Talk) -> list[str]:
    url = f"ws://127.0.0.1:{yard.port}{talk.path}"
    heard: list[str] = []
    try:
        async with websockets.connect(url, open_timeout=_SECONDS_MAX, compression=None) as ws:
            for message, answers in talk.says:
                await ws.send(message)
                for _ in range(answers):
                    heard.append(_shown(await asyncio.wait_for(ws.recv(), _SECONDS_MAX)))
        heard.append("open until the end")
    except TimeoutError:
        heard.append("nothing more")
    except websockets.ConnectionClosed as closed:
        heard.append(f"closed with {closed.rcvd.code if closed.rcvd else None}")
    except websockets.InvalidStatus as refused:
        heard.append(f"refused with {refused.response.status_code}")
    return heard


def _shown(frame: str | bytes) -> str:
    return f"text {frame}" if isinstance(frame, str) else f"bytes {frame.hex()}"


def in_short(answer: dict | list) -> str:
    """One line of an answer, for people who read why two differ."""
    return json.dumps(answer, ensure_ascii=False)[:600]
