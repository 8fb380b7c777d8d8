"""The peers, each started as its documents say, with one worker process and no access log."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from suite.clients import echoes
from suite.contender import Contender
from suite.places import PEERS, program, python_of, tool
from suite.processes import Process, free_port, running, scratch

_READY_SECONDS_MAX = 60
_RAY_READY_SECONDS_MAX = 120

_THROUGHPUT_MODE = {"RAY_SERVE_THROUGHPUT_OPTIMIZED": "1", "RAY_SERVE_ENABLE_HA_PROXY": "1"}


def uvicorn(app: str) -> Contender:
    """An ASGI app: `fastapi` or `starlette`."""

    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        words = [f"{app}_echo:app", "--no-access-log", "--log-level", "warning"]
        command = [python_of("fastapi"), "-m", "uvicorn", *words, "--port", str(port)]
        with running(command) as process:
            yield _ready(process, f"http://127.0.0.1:{port}/echo")

    return Contender(app, start)


def mosec(kind: str) -> Contender:
    """`echo` or `batch`."""

    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        words = [str(PEERS / f"mosec_{kind}.py"), "--log-level", "error", "--port", str(port)]
        with running([python_of("mosec"), *words]) as process:
            yield _ready(process, f"http://127.0.0.1:{port}/inference")

    return Contender("mosec", start)


def litserve(kind: str) -> Contender:
    """`echo` or `batch`."""

    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        command = [python_of("litserve"), str(PEERS / "litserve_echo.py"), str(port), kind]
        with running(command) as process:
            yield _ready(process, f"http://127.0.0.1:{port}/echo")

    return Contender("litserve", start)


def ray(mode: str) -> Contender:
    """`ray`, as shipped, or `ray-haproxy`, the mode for throughput."""

    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        environment = {"RAY_USAGE_STATS_ENABLED": "0"}
        if mode == "ray-haproxy":
            environment |= _THROUGHPUT_MODE
        # The paths of its sockets would be too long in our scratch folder.
        with tempfile.TemporaryDirectory(prefix="ray-", ignore_cleanup_errors=True) as folder:
            command = [python_of("ray"), str(PEERS / "ray_echo.py"), str(port), folder]
            with running(command, environment=environment) as process:
                yield _ready(process, f"http://127.0.0.1:{port}/echo", _RAY_READY_SECONDS_MAX)

    return Contender(mode, start)


@contextmanager
def upstream() -> Iterator[int]:
    """The port of a server that answers every request at once."""
    port = free_port()
    with running([program("mock-upstream"), f"127.0.0.1:{port}"]) as process:
        _ready(process, f"http://127.0.0.1:{port}/")
        yield port


@contextmanager
def nginx(upstream: int) -> Iterator[tuple[str, Process]]:
    """nginx in front of a port, with kept connections on both sides."""
    nginx = tool("nginx")
    if nginx is None:
        raise RuntimeError("nginx is not installed; run: apt-get install nginx-light")
    port = free_port()
    with scratch() as folder:
        config = folder / "nginx.conf"
        config.write_text(_nginx_config(folder, port, upstream))
        words = ["-p", str(folder), "-c", str(config), "-e", str(folder / "error.log")]
        with running([nginx, *words], folder=folder) as process:
            yield _ready(process, f"http://127.0.0.1:{port}/"), process


def _ready(process: Process, url: str, seconds_max: float = _READY_SECONDS_MAX) -> str:
    process.wait_until(lambda: echoes(url), seconds_max)
    return url


def _nginx_config(folder: Path, port: int, upstream: int) -> str:
    temporary = "\n".join(
        f"    {kind}_temp_path {folder}/{kind};"
        for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    return f"""\
daemon off;
worker_processes 1;
pid {folder}/nginx.pid;
events {{ worker_connections 4096; }}
http {{
    access_log off;
{temporary}
    keepalive_requests 100000000;
    upstream mock {{
        server 127.0.0.1:{upstream};
        keepalive 1024;
        keepalive_requests 100000000;
    }}
    server {{
        listen 127.0.0.1:{port};
        location / {{
            proxy_pass http://mock;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
    }}
}}
"""
