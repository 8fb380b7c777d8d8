"""The cases. Each module measures one thing and lays out its own table.

`TITLE` heads its section, `PEERS` names the virtual environments that it needs, `measure` fills a
session, and `tables` makes Markdown of the results. A case with `ON_REQUEST` is measured only when
it is named; `RUN` says what a run is where it is not a time of load.
"""

import argparse

from suite.cases import (
    batch,
    crowd,
    echo,
    engine,
    gateway,
    idle,
    ieops,
    queue,
    serving,
    tasks,
    worker,
)

CASES = {
    "echo": echo,
    "worker": worker,
    "ieops": ieops,
    "batch": batch,
    "gateway": gateway,
    "idle": idle,
    "crowd": crowd,
    "tasks": tasks,
    "queue": queue,
    "engine": engine,
    "serving": serving,
}

# What is measured when nothing is named.
USUAL = [name for name, case in CASES.items() if not getattr(case, "ON_REQUEST", False)]


def case_name(text: str) -> str:
    """A name from a command line."""
    if text not in CASES:
        raise argparse.ArgumentTypeError(f"`{text}` is no case; there are {', '.join(CASES)}")
    return text
