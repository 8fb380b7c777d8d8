"""The machine, without what identifies it."""

import os
import platform
import time
from pathlib import Path

# Those that decide how fast models run.
_FLAGS = (
    "avx2",
    "avx_vnni",
    "avx512f",
    "avx512_vnni",
    "avx512_bf16",
    "avx512_fp16",
    "amx_tile",
    "amx_int8",
    "amx_bf16",
)


def describe() -> dict[str, str]:
    """What a reader needs to judge the figures."""
    return {
        "processor": _cpu_field("model name"),
        "instructions": " ".join(flag for flag in _FLAGS if flag in _cpu_field("flags").split()),
        "processors": f"{os.cpu_count()} (as the system counts them)",
        "virtual": "yes" if "hypervisor" in _cpu_field("flags") else "no",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "Python": platform.python_version(),
    }


def busy(seconds: float = 1) -> float:
    """The share of all processors' time that others take, from 0 to 1, as seen for `seconds`."""
    idle, total = _idle_and_total()
    time.sleep(seconds)
    idle_then, total_then = _idle_and_total()
    return 1 - (idle_then - idle) / max(1, total_then - total)


def taken_s() -> float:
    """Processor time that was taken since the start of the machine, by everyone, in seconds."""
    idle, total = _idle_and_total()
    return (total - idle) / os.sysconf("SC_CLK_TCK")


def _idle_and_total() -> tuple[int, int]:
    """In ticks. What the host of a virtual machine takes (`steal`) is not idle."""
    fields = Path("/proc/stat").read_text().splitlines()[0].split()[1:9]
    _, _, _, idle, waiting, *_ = ticks = [int(field) for field in fields]
    return idle + waiting, sum(ticks)


def _cpu_field(name: str) -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return "unknown"
