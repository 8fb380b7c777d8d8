"""The worker alone, called over TCP without a gateway, against the thinnest Python stack."""

from collections.abc import Iterator
from contextlib import contextmanager

from suite import clients, ours, peers
from suite.contender import Contender
from suite.figures import Results, at_least, judged
from suite.places import python_of
from suite.processes import free_port, running
from suite.session import Session
from suite.throughput import Label, comparison

TITLE = "The worker alone, 32 connections"
PEERS = ("modelyard", "fastapi")

_LABELS = (
    Label("modelyard-sync", "Modelyard worker, plain method"),
    Label("modelyard-async", "Modelyard worker, async method"),
    Label("starlette", "Starlette + uvicorn (uvloop, httptools)"),
)


def measure(session: Session) -> None:
    effort = session.effort

    def load(number: int, key: str, url: str) -> None:
        seen = clients.closed(url, connections=32, seconds=effort.seconds, warm_up=effort.warm_up)
        session.keep(number, key, "loadgen", seen)
        seen = clients.wrk(url, connections=32, seconds=effort.seconds / 2)
        session.keep(number, key, "wrk", seen)

    contenders = [
        _ours("modelyard-sync", "Echo"),
        peers.uvicorn("starlette"),
        _ours("modelyard-async", "AsyncEcho"),
    ]
    session.compare(contenders, load)


def tables(results: Results) -> str:
    references = [("plain", "modelyard-sync"), ("async", "modelyard-async")]
    found = []
    for method, key in references:
        ratio = results.ratio((key, "loadgen", "rps"), ("starlette", "loadgen", "rps"))
        found += at_least(f"{method} method ÷ Starlette + uvicorn, req/s", ratio, 1.5)
    return "\n\n".join((comparison(results, _LABELS, references), judged(found)))


def _ours(key: str, name: str) -> Contender:
    @contextmanager
    def start() -> Iterator[str]:
        port = free_port()
        words = ["-m", "modelyard.worker", f"{ours.MODELS / 'echo.py'}:{name}", "--port", str(port)]
        with running([python_of("modelyard"), *words]) as process:
            url = f"http://127.0.0.1:{port}/predict"
            process.wait_until(lambda: clients.echoes(url), seconds_max=30)
            yield url

    return Contender(key, start)
