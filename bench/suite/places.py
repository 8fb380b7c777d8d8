"""Where things are."""

import os
import shutil
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
BENCH = ROOT / "bench"
PEERS = BENCH / "peers"

OUT = ROOT / "target/bench"
RESULTS = OUT / "results"
VENVS = OUT / "venvs"
# On the disk of the repository: `/tmp` may be memory, and the store is measured here.
SCRATCH = OUT / "scratch"

PROFILE = os.environ.get("BENCH_PROFILE", "dist")


def program(name: str) -> str:
    """A program that was built for the benchmarks."""
    return str(ROOT / "target" / ("debug" if PROFILE == "dev" else PROFILE) / name)


def tool(name: str) -> str | None:
    """A program of the system; `None` if it is not installed."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin")


def python_of(peer: str) -> str:
    """The interpreter of the virtual environment of one peer."""
    return str(VENVS / peer / "bin/python")
