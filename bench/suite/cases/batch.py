"""Dynamic batches: up to 32 calls or 5 ms, one millisecond of Python for each batch."""

from suite import clients, ours, peers
from suite.figures import Results, at_least, judged
from suite.session import Session
from suite.throughput import Label, comparison

TITLE = "Batches of up to 32, wait 5 ms, 1 ms of compute for each batch"
PEERS = ("modelyard", "mosec", "litserve")

# The target is for 32. With 64 a second batch fills while the first one runs.
_CONNECTIONS = (32, 64)

_LABELS = (
    Label("modelyard", "Modelyard"),
    Label("mosec", "mosec"),
    Label("litserve", "LitServe"),
)

_TARGETS = (("mosec", "mosec", 1.5), ("litserve", "LitServe", 5))


def measure(session: Session) -> None:
    effort = session.effort

    def load(number: int, key: str, url: str) -> None:
        for connections in _CONNECTIONS:
            seen = clients.closed(
                url, connections=connections, seconds=effort.seconds, warm_up=effort.warm_up
            )
            session.keep(number, key, f"c{connections}", seen)

    contenders = [
        ours.contender("modelyard", ours.model("batch.py", "Batch")),
        peers.mosec("batch"),
        peers.litserve("batch"),
    ]
    session.compare(contenders, load)


def tables(results: Results) -> str:
    parts = []
    found = []
    for connections in _CONNECTIONS:
        kind = f"c{connections}"
        references = [("Modelyard", "modelyard")]
        parts += [
            f"{connections} connections:",
            comparison(results, _LABELS, references, kind, cross_check=None),
        ]
    for peer, name, target in _TARGETS:
        ratio = results.ratio(("modelyard", "c32", "rps"), (peer, "c32", "rps"))
        found += at_least(f"Modelyard ÷ {name}, req/s, 32 connections", ratio, target)
    return "\n\n".join((*parts, judged(found)))
