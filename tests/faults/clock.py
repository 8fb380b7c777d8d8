"""A clock that can be set wrong while a process runs: nobody else's changes."""

from pathlib import Path

import libfaketime

LIBRARY = Path(libfaketime.__file__).parent / "vendor/libfaketime/src/libfaketime.so.1"

# How often a process looks what its clock should say.
READ_SECONDS = 1


class Clock:
    """What a process is told instead of the time of day; the time that passes stays true."""

    def __init__(self, file: Path):
        self._file = file
        self.jump(0)

    def jump(self, seconds: float) -> None:
        """From now on it is wrong by so much."""
        told = self._file.with_suffix(".new")
        told.write_text(f"{seconds:+.3f}s")
        told.replace(self._file)

    def environment(self) -> dict[str, str]:
        """Variables for the process that is to believe it."""
        return {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_CACHE_DURATION": str(READ_SECONDS),
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # It would stay behind when the process is killed.
            "FAKETIME_DISABLE_SHM": "1",
        }
