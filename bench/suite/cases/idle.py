"""The server without models: how soon it is ready, and how much memory it holds."""

import time

from suite import ours, proc
from suite.figures import Results, at_most, cell, judged, table
from suite.session import Session

TITLE = "A server without models"
PEERS = ("modelyard",)

# Of the built-in registry, what else would start a process.
_MODELS = {"digits": {"enabled": False}}

_ROUNDS = 7
_POLL_SECONDS = 0.0005
# Long enough for everything that happens once after the start.
_SETTLE_SECONDS = 3


def measure(session: Session) -> None:
    for number in session.rounds(at_least=_ROUNDS):
        with ours.launched(_MODELS) as server:
            process = server.process
            process.wait_until(server.is_ready, seconds_max=10, every=_POLL_SECONDS)
            ready_ms = (time.perf_counter() - process.started) * 1e3
            time.sleep(_SETTLE_SECONDS)
            seen = {
                "ready_ms": ready_ms,
                "rss_mb": proc.memory_mb(process.pid),
                "anonymous_mb": proc.memory_mb(process.pid, "RssAnon"),
            }
            session.keep(number, "modelyard", "idle", seen)


def tables(results: Results) -> str:
    ready = results.spread("modelyard", "idle", "ready_ms")
    memory = results.spread("modelyard", "idle", "rss_mb")
    own = results.spread("modelyard", "idle", "anonymous_mb")
    rows = [
        ["exec → ready, ms", cell(ready, 1)],
        ["resident memory, MB", cell(memory, 1)],
        ["of it not the program's file, MB", cell(own, 1)],
    ]
    found = [
        *at_most("ready after exec", ready, 100, "ms"),
        *at_most("resident memory", memory, 25, "MB"),
    ]
    return "\n\n".join((table(("figure", "measured"), rows), judged(found)))
