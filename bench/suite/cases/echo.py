"""A Python model that gives the body back, behind the gateway, against the Python peers."""

from suite import clients, ours, peers
from suite.contender import Contender
from suite.figures import Results, at_least, at_most, judged
from suite.session import Session
from suite.throughput import Label, comparison

TITLE = "Python echo: gateway and one worker process, 32 connections"
PEERS = ("modelyard", "fastapi", "mosec", "litserve", "ray")

_CONNECTIONS = 32

_LABELS = (
    Label("modelyard-sync", "Modelyard, plain method"),
    Label("modelyard-async", "Modelyard, async method"),
    Label("modelyard-logged", "Modelyard, plain method, with its access log"),
    Label("fastapi", "FastAPI + uvicorn (uvloop, httptools)"),
    Label("mosec", "mosec"),
    Label("litserve", "LitServe"),
    Label("ray-haproxy", "Ray Serve, HAProxy mode"),
    Label("ray", "Ray Serve, as shipped"),
)

_TARGETS = (
    ("fastapi", "FastAPI + uvicorn", 1.5),
    ("mosec", "mosec", 1.5),
    ("ray-haproxy", "Ray Serve's HAProxy mode", 2.5),
    ("ray", "Ray Serve as shipped", 40),
    ("litserve", "LitServe", 10),
)


def measure(session: Session) -> None:
    effort = session.effort

    def load(number: int, key: str, url: str) -> None:
        seen = clients.closed(
            url, connections=_CONNECTIONS, seconds=effort.seconds, warm_up=effort.warm_up
        )
        session.keep(number, key, "loadgen", seen)
        seen = clients.wrk(url, connections=_CONNECTIONS, seconds=effort.seconds / 2)
        session.keep(number, key, "wrk", seen)

    session.compare(_contenders(), load)


def tables(results: Results) -> str:
    references = [("plain", "modelyard-sync"), ("async", "modelyard-async")]
    return "\n\n".join((comparison(results, _LABELS, references), judged(_judgements(results))))


def _judgements(results: Results) -> list:
    found = []
    for method, key in (("plain", "modelyard-sync"), ("async", "modelyard-async")):
        for peer, name, target in _TARGETS:
            ratio = results.ratio((key, "loadgen", "rps"), (peer, "loadgen", "rps"))
            found += at_least(f"{method} method ÷ {name}, req/s", ratio, target)
        latency = results.spread(key, "loadgen", "p99_ms")
        found += at_most(f"{method} method, p99", latency, 8, "ms")
    return found


def _contenders() -> list[Contender]:
    plain = ours.model("echo.py", "Echo")
    return [
        ours.contender("modelyard-sync", plain),
        peers.uvicorn("fastapi"),
        ours.contender("modelyard-async", ours.model("echo.py", "AsyncEcho")),
        peers.mosec("echo"),
        ours.contender("modelyard-logged", plain, log="info"),
        peers.litserve("echo"),
        peers.ray("ray-haproxy"),
        peers.ray("ray"),
    ]
