"""Many connections at once: throughput must stay, and latency must be no more than the queue.

nginx runs beside it, before an upstream that answers at once: what it loses with 512 connections,
the machine takes from anybody (sockets and their buffers fall out of the caches).
"""

from collections.abc import Iterator
from contextlib import contextmanager

from suite import clients, ours, peers
from suite.contender import Contender
from suite.figures import Judgement, Results, Spread, at_least, cell, judged, table
from suite.session import Session

TITLE = "512 connections against 32, with bounds raised so that nothing is refused"
PEERS = ("modelyard",)

_FEW, _MANY = 32, 512
_BOUNDS = {"queue_max": 8192, "max_concurrency": _MANY}
_METHODS = (("plain", "modelyard-sync", "Echo"), ("async", "modelyard-async", "AsyncEcho"))
_ROWS = (
    ("Modelyard, plain method", "modelyard-sync"),
    ("Modelyard, async method", "modelyard-async"),
    ("nginx before an upstream", "nginx"),
)


def measure(session: Session) -> None:
    effort = session.effort

    def load(number: int, key: str, url: str) -> None:
        for connections in (_FEW, _MANY):
            seen = clients.closed(
                url, connections=connections, seconds=effort.seconds, warm_up=effort.warm_up
            )
            # The latency that 512 requests have if nothing but the queue delays them.
            ideal_ms = connections / seen["rps"] * 1e3
            values = {**seen, "p99_by_queue": seen["p99_ms"] / ideal_ms}
            session.keep(number, key, f"c{connections}", values)

    models = [(key, ours.model("echo.py", name, **_BOUNDS)) for _, key, name in _METHODS]
    contenders = [ours.contender(key, model) for key, model in models]
    session.compare([*contenders, Contender("nginx", _nginx)], load)


@contextmanager
def _nginx() -> Iterator[str]:
    with peers.upstream() as port, peers.nginx(port) as (url, _):
        yield url


def tables(results: Results) -> str:
    rows, found = [], []
    for server, key in _ROWS:
        for connections in (_FEW, _MANY):
            names = ("p50_ms", "p99_ms", "p99_by_queue")
            seen = [cell(results.spread(key, f"c{connections}", name)) for name in names]
            rps = cell(results.spread(key, f"c{connections}", "rps"), 0)
            kept = cell(_kept(results, key)) if connections == _MANY else ""
            rows.append([server, str(connections), rps, kept, *seen])
    for method, key, _ in _METHODS:
        found += _judgements(results, method, key)
    header = (
        "server",
        "connections",
        "req/s",
        f"÷ with {_FEW}",
        "p50 ms",
        "p99 ms",
        "p99 ÷ (connections/throughput)",
    )
    return "\n\n".join((table(header, rows), judged(found)))


def _judgements(results: Results, method: str, key: str) -> list[Judgement]:
    kept = _kept(results, key)
    by_queue = results.spread(key, "c512", "p99_by_queue")
    found = at_least(f"{method} method: throughput at 512 ÷ at 32", kept, 0.8)
    if by_queue is not None:
        what = f"{method} method: p99 at 512, in units of 512/throughput"
        found.append(Judgement(what, "≤ 3", by_queue.show(), by_queue.median <= 3))
    return found


def _kept(results: Results, key: str) -> Spread | None:
    return results.ratio((key, "c512", "rps"), (key, "c32", "rps"))
