"""Runs a program to its end: what it printed, how long it took, and what it held."""

import os
import subprocess
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from suite import machine
from suite.processes import end_with_us, environment_of_a_child, scratch


@dataclass(frozen=True)
class Ended:
    """A program that has ended well."""

    output: str
    # From just before `exec` until it was gone.
    wall_s: float
    # At its largest, in MB (10^6 bytes), files that are mapped included.
    peak_rss_mb: float
    # The share of all processors' time that others took meanwhile, from 0 to 1.
    others: float


class Failed(Exception):
    """A program ended badly, or not in time."""


def run(
    command: Sequence[str], seconds_max: float, environment: dict[str, str] | None = None
) -> Ended:
    """The program, run alone; it is killed when it takes longer than `seconds_max`."""
    with (
        scratch() as folder,
        (folder / "output").open("wb") as out,
        (folder / "errors").open("wb") as errors,
    ):
        taken, begun = machine.taken_s(), time.perf_counter()
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=environment_of_a_child(environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=errors,
            preexec_fn=end_with_us,
        )
        status, usage = _wait(child, seconds_max)
        wall_s = time.perf_counter() - begun
        own_s = usage.ru_utime + usage.ru_stime
        others_s = max(0.0, machine.taken_s() - taken - own_s)
        if status != 0:
            last = (folder / "errors").read_text(errors="replace").splitlines()[-5:]
            raise Failed(f"{Path(command[0]).name} ended with {status}: {' / '.join(last)}")
        return Ended(
            output=(folder / "output").read_text(errors="replace"),
            wall_s=wall_s,
            peak_rss_mb=usage.ru_maxrss * 1024 / 1e6,
            others=others_s / wall_s / (os.cpu_count() or 1),
        )


def _wait(child: subprocess.Popen, seconds_max: float):
    """The exit status, and what the kernel has counted for this child alone."""
    timer = threading.Timer(seconds_max, child.kill)
    timer.start()
    try:
        _, status, usage = os.wait4(child.pid, 0)
    except BaseException:
        child.kill()
        child.wait()
        raise
    finally:
        timer.cancel()
    # It is gone: `Popen` must not wait for it, nor signal whoever has its number next.
    child.returncode = os.waitstatus_to_exitcode(status)
    return child.returncode, usage
