"""The cases. Each module measures one thing and lays out its own table.

`TITLE` heads its section, `PEERS` names the virtual environments that it needs, `measure` fills a
session, and `tables` makes Markdown of the results.
"""

import argparse

from suite.cases import batch, crowd, echo, gateway, idle, tasks, worker

CASES = {
    "echo": echo,
    "worker": worker,
    "batch": batch,
    "gateway": gateway,
    "idle": idle,
    "crowd": crowd,
    "tasks": tasks,
}


def case_name(text: str) -> str:
    """A name from a command line."""
    if text not in CASES:
        raise argparse.ArgumentTypeError(f"`{text}` is no case; there are {', '.join(CASES)}")
    return text
