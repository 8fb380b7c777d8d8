"""Many connections at once: throughput must stay, and latency must be no more than the queue."""

from suite import clients, ours
from suite.figures import Judgement, Results, at_least, cell, judged, table
from suite.session import Session

TITLE = "512 connections against 32, with bounds raised so that nothing is refused"
PEERS = ("modelyard",)

_FEW, _MANY = 32, 512
_BOUNDS = {"queue_max": 8192}
_METHODS = (("plain", "modelyard-sync", "Echo"), ("async", "modelyard-async", "AsyncEcho"))


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
    session.compare([ours.contender(key, model) for key, model in models], load)


def tables(results: Results) -> str:
    rows, found = [], []
    for method, key, _ in _METHODS:
        for connections in (_FEW, _MANY):
            names = ("p50_ms", "p99_ms", "p99_by_queue")
            seen = [cell(results.spread(key, f"c{connections}", name)) for name in names]
            rps = cell(results.spread(key, f"c{connections}", "rps"), 0)
            rows.append([method, str(connections), rps, *seen])
        found += _judgements(results, method, key)
    header = (
        "method",
        "connections",
        "req/s",
        "p50 ms",
        "p99 ms",
        "p99 ÷ (connections/throughput)",
    )
    return "\n\n".join((table(header, rows), judged(found)))


def _judgements(results: Results, method: str, key: str) -> list[Judgement]:
    kept = results.ratio((key, "c512", "rps"), (key, "c32", "rps"))
    by_queue = results.spread(key, "c512", "p99_by_queue")
    found = at_least(f"{method} method: throughput at 512 ÷ at 32", kept, 0.8)
    if by_queue is not None:
        what = f"{method} method: p99 at 512, in units of 512/throughput"
        found.append(Judgement(what, "≤ 3", by_queue.show(), by_queue.median <= 3))
    return found
