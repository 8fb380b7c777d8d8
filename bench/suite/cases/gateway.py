"""What the gateway adds to a call, and what it costs, beside nginx as a reverse proxy.

The upstream answers at once, so that everything that is measured is the gateway's. All servers run
all the time; the runs take turns.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from suite import clients, ours, peers, proc
from suite.figures import Results, at_most, cell, judged, table
from suite.places import program
from suite.processes import Process
from suite.session import Session

TITLE = "The gateway in front of an upstream that answers at once"
PEERS = ("modelyard",)

_ROUNDS = 7
_LATENCY_RATE = 1_000
_COST_RATE = 5_000

_LABELS = (
    ("direct", "the upstream itself"),
    ("nginx", "nginx, one worker process"),
    ("modelyard-http", "Modelyard, model of kind `http`"),
    ("modelyard-worker", "Modelyard, worker on a unix socket"),
)
_GATEWAYS = ("nginx", "modelyard-http", "modelyard-worker")


@dataclass(frozen=True)
class _Road:
    """One way to the upstream."""

    key: str
    url: str
    # Whose processor time counts; `None` where nothing is between.
    process: Process | None = None
    # With all of its descendants, or without.
    with_family: bool = False

    def cpu_s(self) -> float:
        if self.process is None:
            return 0.0
        return proc.cpu_s(self.process.family() if self.with_family else {self.process.pid})


def measure(session: Session) -> None:
    with _roads() as roads:
        for number in session.rounds(at_least=_ROUNDS):
            for road in roads if number % 2 else reversed(roads):
                _latency(session, number, road)
            for road in roads if number % 2 else reversed(roads):
                if road.process is not None:
                    _cost(session, number, road)


def tables(results: Results) -> str:
    rows = []
    for key, text in _LABELS:
        seen = [results.spread(key, "latency", name) for name in ("p50_ms", "p99_ms")]
        added = [_added(results, key, name) for name in ("p50_ms", "p99_ms")]
        added = [None, None] if key == "direct" else added
        cpu = results.spread(key, "cost", "cpu_us")
        rows.append([text, *map(cell, seen), *map(cell, added), cell(cpu, 1), _times(results, key)])
    header = ["road", "p50 ms", "p99 ms", "added p50 ms", "added p99 ms"]
    header += ["CPU µs a request", "CPU ÷ nginx"]
    return "\n\n".join((table(header, rows), judged(_judgements(results))))


def _judgements(results: Results) -> list:
    key = "modelyard-http"
    cost = results.ratio((key, "cost", "cpu_us"), ("nginx", "cost", "cpu_us"))
    return [
        *at_most("added p50 at 1,000 req/s", _added(results, key, "p50_ms"), 0.15, "ms"),
        *at_most("added p99 at 1,000 req/s", _added(results, key, "p99_ms"), 0.8, "ms"),
        *at_most("CPU time per request ÷ nginx, at 5,000 req/s", cost, 1.7, "x"),
    ]


def _added(results: Results, key: str, name: str):
    return results.difference((key, "latency", name), ("direct", "latency", name))


def _times(results: Results, key: str) -> str:
    if not key.startswith("modelyard"):
        return ""
    return cell(results.ratio((key, "cost", "cpu_us"), ("nginx", "cost", "cpu_us")))


def _latency(session: Session, number: int, road: _Road) -> None:
    effort = session.effort
    seen = clients.open_loop(
        road.url, rate=_LATENCY_RATE, seconds=effort.seconds, warm_up=effort.warm_up
    )
    session.keep(number, road.key, "latency", seen)


def _cost(session: Session, number: int, road: _Road) -> None:
    """Without a warm-up, whose processor time would count and whose requests would not."""
    before = road.cpu_s()
    seen = clients.open_loop(
        road.url, rate=_COST_RATE, seconds=session.effort.seconds, warm_up=0, connections=64
    )
    used = road.cpu_s() - before
    session.keep(number, road.key, "cost", {**seen, "cpu_us": used / seen["requests"] * 1e6})


@contextmanager
def _roads() -> Iterator[list[_Road]]:
    with ExitStack() as stack:
        port = stack.enter_context(peers.upstream())
        direct = f"http://127.0.0.1:{port}/"
        nginx_url, nginx = stack.enter_context(peers.nginx(port))
        http = stack.enter_context(ours.serving({"upstream": _http_model(direct)}))
        worker = stack.enter_context(ours.serving({"upstream": _command_model()}))
        roads = [
            _Road("direct", direct),
            _Road("nginx", nginx_url, nginx, with_family=True),
            _Road("modelyard-http", f"{http.url}/invoke/upstream", http.process),
            _Road("modelyard-worker", f"{worker.url}/invoke/upstream", worker.process),
        ]
        for server, road in ((http, roads[2]), (worker, roads[3])):
            server.process.wait_until(lambda url=road.url: clients.echoes(url), seconds_max=20)
        yield roads


def _http_model(url: str) -> dict:
    return {"kind": "http", "endpoint": url, "num_workers": 512}


def _command_model() -> dict:
    command = [program("mock-upstream"), "unix:{socket}"]
    return {"kind": "command", "command": command, "worker_capacity": 512}
