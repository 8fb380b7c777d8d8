"""What the system says about processes."""

import os
from collections.abc import Iterable
from pathlib import Path

_TICK_S = 1 / os.sysconf("SC_CLK_TCK")

# Places in /proc/PID/stat, counted after the name, which may contain anything.
_STATE, _SESSION, _UTIME, _STIME = 0, 3, 11, 12


def cpu_s(pids: Iterable[int]) -> float:
    """Processor time of these processes with all their threads, in seconds, to 10 ms."""
    total = 0
    for pid in pids:
        fields = _stat(pid)
        if fields:
            total += int(fields[_UTIME]) + int(fields[_STIME])
    return total * _TICK_S


def memory_mb(pid: int, field: str = "VmRSS") -> float:
    """Memory of the process that is in RAM, in MB (10^6 bytes); `RssAnon` is without files."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith(f"{field}:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no memory")


def family(leader: int, mark: str) -> set[int]:
    """The processes of one start: those in the leader's session, and those that carry `mark`."""
    found = set()
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and entry.name != str(os.getpid()):
            fields = _stat(int(entry.name))
            if not fields or fields[_STATE] == "Z":
                continue
            if int(fields[_SESSION]) == leader or _carries(entry, mark):
                found.add(int(entry.name))
    return found


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    return text.rpartition(")")[2].split()


def _carries(entry: Path, mark: str) -> bool:
    try:
        return mark.encode() in (entry / "environ").read_bytes()
    except OSError:
        return False
