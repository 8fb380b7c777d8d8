"""Durable tasks: how many can be submitted, each on disk before it is answered.

`parked` is a model with one place that is taken, so that its tasks only queue: what is measured is
the submission. `running` runs its tasks at once on the same two processors, as a server does.
"""

from suite import clients, ours
from suite.figures import Results, at_least, at_most, cell, judged, table
from suite.places import SCRATCH
from suite.session import Session

TITLE = "Durable task submissions (SQLite, synced), 32 connections"
PEERS = ("modelyard",)

_RATE = 1_000
_HOUR_SECONDS = 3_600
_DISK_SECONDS = 2

_PARKED = {
    "kind": "builtin",
    "implementation": "echo",
    "max_concurrency": 1,
    "timeout_seconds": 2 * _HOUR_SECONDS,
    "metadata": {"delay_ms": _HOUR_SECONDS * 1000},
}
_RUNNING = {"kind": "builtin", "implementation": "echo", "max_concurrency": 64}
_MODELS = (("parked", _PARKED), ("running", _RUNNING))


def measure(session: Session) -> None:
    for number in session.rounds():
        SCRATCH.mkdir(parents=True, exist_ok=True)
        session.keep(number, "disk", "disk", clients.disk(SCRATCH, seconds=_DISK_SECONDS))
        for name, model in _MODELS:
            # Each on a database of its own, so that none inherits another's tasks.
            _submit(session, number, name, model, _most)
            _submit(session, number, name, model, _steady)


def tables(results: Results) -> str:
    most = [results.spread(name, "most", "rps") for name, _ in _MODELS]
    steady = [results.spread(name, "steady", "p99_ms") for name, _ in _MODELS]
    rows = [["the disk: 4 KiB appended and `fdatasync`", cell(_disk(results), 0), "", ""]]
    texts = ("submitted", "submitted, and run meanwhile")
    for text, (name, _) in zip(texts, _MODELS, strict=True):
        latency = results.spread(name, "most", "p99_ms")
        rate, slow = results.spread(name, "most", "rps"), results.spread(name, "steady", "p99_ms")
        rows.append([text, cell(rate, 0), cell(latency), cell(slow)])
    header = ("what", "a second", "p99 ms", "p99 ms at 1,000 req/s")
    found = [
        *at_least("submissions", most[0], 10_000, "a second"),
        *at_most("p99 at 1,000 req/s", steady[0], 2, "ms"),
    ]
    return "\n\n".join((table(header, rows), judged(found)))


def _disk(results: Results):
    return results.spread("disk", "disk", "per_s")


def _submit(session: Session, number: int, name: str, model: dict, load) -> None:
    with ours.serving({name: model}) as server:
        url = f"{server.url}/tasks/{name}"
        server.process.wait_until(lambda: clients.accepts(url), seconds_max=20)
        load(session, number, name, url)


def _most(session: Session, number: int, name: str, url: str) -> None:
    effort = session.effort
    seen = clients.closed(url, connections=32, seconds=effort.seconds, warm_up=effort.warm_up)
    session.keep(number, name, "most", seen)


def _steady(session: Session, number: int, name: str, url: str) -> None:
    effort = session.effort
    seen = clients.open_loop(url, rate=_RATE, seconds=effort.seconds, warm_up=effort.warm_up)
    session.keep(number, name, "steady", seen)
