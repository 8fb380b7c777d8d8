"""A worker written for gmi-ieops, the same file on its package and on ours: one process each."""

import resource
from collections.abc import Iterator
from contextlib import contextmanager

from suite import clients, ours, proc, talk
from suite.contender import Contender
from suite.figures import Results, at_least, at_most, cell, judged, table
from suite.places import python_of
from suite.processes import Process, free_port, running
from suite.session import Session

TITLE = "A worker written for gmi-ieops, one process, without a gateway"
PEERS = ("modelyard", "ieops")

_READY_SECONDS_MAX = 60
_IDLE_STREAMS = 1_000

# What is measured, how it is called in the table, and what is counted.
_ROWS = (
    ("api", "API route, async handler, 32 connections, req/s", "rps"),
    ("thread", "API route, plain handler, 32 connections, req/s", "rps"),
    ("sse", "events of 8 streams, per s", "per_s"),
    ("ws", "messages of 32 WebSockets, one on its way on each, per s", "per_s"),
    ("ws-8x16", "messages of 8 WebSockets, 16 on their way on each, per s", "per_s"),
    ("ws-32x16", "messages of 32 WebSockets, 16 on their way on each, per s", "per_s"),
    ("idle", f"{_IDLE_STREAMS:,} idle streams, resident MB", "rss_mb"),
)
_FASTER = 5
_IDLE_MB_MAX = 80


def measure(session: Session) -> None:
    effort = session.effort
    processes: dict[str, Process] = {}
    _allow_files()

    def load(number: int, key: str, url: str) -> None:
        times = {"seconds": effort.seconds, "warm_up": effort.warm_up}
        for kind, route in (("api", "echo"), ("thread", "thread")):
            seen = clients.closed(f"{url}/api/{route}", connections=32, **times)
            session.keep(number, key, kind, seen)
        session.keep(number, key, "sse", talk.streamed(f"{url}/sse/events", connections=8, **times))
        for kind, connections, window in (("ws", 32, 1), ("ws-8x16", 8, 16), ("ws-32x16", 32, 16)):
            seen = talk.echoed(f"{url}/ws/echo", connections=connections, window=window, **times)
            session.keep(number, key, kind, seen)

    def hold(number: int, key: str, url: str) -> None:
        with talk.held(f"{url}/sse/idle", connections=_IDLE_STREAMS):
            seen = {"rss_mb": proc.memory_mb(processes[key].pid)}
        session.keep(number, key, "idle", seen)

    contenders = [_worker("modelyard", processes), _worker("ieops", processes)]
    session.compare(contenders, load)
    # In fresh processes: what the load has left in memory is not what idle streams cost.
    session.compare(contenders, hold)


def tables(results: Results) -> str:
    rows, found = [], []
    for kind, what, name in _ROWS:
        both = [results.spread(key, kind, name) for key in ("modelyard", "ieops")]
        ratio = results.ratio(("modelyard", kind, name), ("ieops", kind, name))
        rows.append([what, *(cell(spread, 0) for spread in both), cell(ratio)])
        if kind == "idle":
            found += at_most(what, both[0], _IDLE_MB_MAX, "MB")
        else:
            found += at_least(what, ratio, _FASTER)
    header = ("figure", "Modelyard", "gmi-ieops 0.5.8", "ours ÷ theirs")
    return "\n\n".join((table(header, rows), judged(found)))


def _worker(key: str, processes: dict[str, Process]) -> Contender:
    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        environment = {"MODEL_SERVER_PORT": str(port), "REGISTER_ENABLED": "false"}
        environment |= {"LOG_FILE_PATH": ".", "LOG_LEVEL": "WARNING"}
        command = [python_of(key), str(ours.MODELS / "ieops.py")]
        with running(command, environment=environment) as process:
            processes[key] = process
            url = f"http://127.0.0.1:{port}"
            process.wait_until(lambda: clients.echoes(f"{url}/api/echo"), _READY_SECONDS_MAX)
            yield url

    return Contender(key, start)


def _allow_files() -> None:
    # A thousand connections, at both ends; the processes that are started inherit it.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
