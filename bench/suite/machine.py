"""The machine, without what identifies it."""

import os
import platform
from pathlib import Path


def describe() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    return {
        "processor": _cpu_field("model name"),
        "processors": f"{os.cpu_count()} (as the system counts them)",
        "virtual": "yes" if "hypervisor" in _cpu_field("flags") else "no",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def load() -> float:
    """Processes that want to run, averaged over the last minute."""
    return os.getloadavg()[0]


def _cpu_field(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
