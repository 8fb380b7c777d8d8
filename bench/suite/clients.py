"""Sends load, with our generator and with wrk."""

import http.client
import json
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from suite.places import BENCH, program, tool

BODY = '{"payload": {"text": "hello"}}'

# Beyond its own time a client may wait for late answers.
_LATE_SECONDS_MAX = 30


def closed(url: str, *, connections: int, seconds: float, warm_up: float, body: str = BODY) -> dict:
    """Each connection sends its next request when the last one is answered."""
    options = ["-c", connections, "-s", seconds, "-w", warm_up, "-b", body]
    return _loadgen(url, seconds + warm_up, *options)


def open_loop(
    url: str, *, rate: float, seconds: float, warm_up: float, connections: int = 32
) -> dict:
    """Requests are due at `rate` a second; latencies count from when they were due."""
    options = ["-r", rate, "-c", connections, "-s", seconds, "-w", warm_up]
    return _loadgen(url, seconds + warm_up, *options)


def wrk(url: str, *, connections: int, seconds: float) -> dict | None:
    """The cross-check; `None` if wrk is not installed."""
    found = tool("wrk")
    if found is None:
        return None
    # wrk counts whole seconds.
    seconds = max(1, round(seconds))
    command = [found, "-t2", f"-c{connections}", f"-d{seconds}s", "--latency"]
    return _last_line([*command, "-s", str(BENCH / "wrk.lua"), url], seconds)


def disk(folder: Path, *, seconds: int) -> dict:
    """How often a second a page can be appended and synced there."""
    return _last_line([program("fsync-rate"), str(folder), "--seconds", str(seconds)], seconds)


def memory(*, threads: int) -> dict:
    """How fast so many threads can read memory."""
    return _last_line([program("memory-rate"), "--threads", str(threads)], seconds=30)


def get(url: str, seconds_max: float = 5) -> tuple[int, bytes]:
    """One GET: status and body."""
    return _once("GET", url, None, seconds_max)


def echoes(url: str, seconds_max: float = 5) -> bool:
    """Whether the server answers our request, and with what was sent."""
    status, body = _once("POST", url, BODY, seconds_max)
    return 200 <= status < 300 and b"hello" in body


def accepts(url: str, seconds_max: float = 5) -> bool:
    """Whether the server takes our request."""
    status, _ = _once("POST", url, BODY, seconds_max)
    return 200 <= status < 300


def listens(port: int) -> bool:
    """Whether somebody takes connections there."""
    with socket.create_connection(("127.0.0.1", port), timeout=1):
        return True


def _once(method: str, url: str, body: str | None, seconds_max: float) -> tuple[int, bytes]:
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname, parts.port, timeout=seconds_max)
    headers = {} if body is None else {"content-type": "application/json"}
    try:
        connection.request(method, f"{parts.path}?{parts.query}", body, headers)
        answer = connection.getresponse()
        return answer.status, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


def _loadgen(url: str, seconds: float, *options: object) -> dict:
    return _last_line([program("loadgen"), url, *map(str, options)], seconds)


def _last_line(command: list[str], seconds: float) -> dict:
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=seconds + _LATE_SECONDS_MAX
    )
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip()}")
    return json.loads(done.stdout.strip().splitlines()[-1])
