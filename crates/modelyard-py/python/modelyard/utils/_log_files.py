"""Files of log lines: a new one each day or at a size, old ones packed and then removed."""

from __future__ import annotations

import gzip
import logging
import os
import re
import shutil
import threading
import time
import zipfile
from dataclasses import dataclass
from logging.handlers import BaseRotatingHandler
from pathlib import Path

_DAY_SECONDS = 86_400
_AGES = {"second": 1, "minute": 60, "hour": 3_600, "day": _DAY_SECONDS, "week": 7 * _DAY_SECONDS}
_SIZES = {"B": 1, "KB": 1_000, "MB": 1_000**2, "GB": 1_000**3}
_PACKERS = ("zip", "gz")


@dataclass(frozen=True)
class Rules:
    """When a file is full, and what becomes of it. Times are seconds, sizes bytes."""

    time_of_day: int | None = None
    size_max: int | None = None
    age_max: int | None = None
    count_max: int | None = None
    packer: str | None = None

    @classmethod
    def read(
        cls, rotation: str | None, retention: str | int | None, compression: str | None
    ) -> Rules:
        """The rules that three settings mean. Raises `ValueError` for words that mean nothing."""
        packer = (compression or "").lower().lstrip(".") or None
        if packer is not None and packer not in _PACKERS:
            raise ValueError(f"log files are packed with zip or gz, not {compression!r}")
        return cls(*_rotation(rotation), *_retention(retention), packer)

    def next_moment(self, now: float) -> float | None:
        """When the file that is begun now ends, by the clock of the wall."""
        if self.time_of_day is None:
            return None
        year, month, day, *_ = time.localtime(now)
        # mktime takes seconds beyond a day, and knows the days that are longer or shorter.
        for days in (0, 1):
            clock = (year, month, day + days, 0, 0, self.time_of_day, 0, 0, -1)
            moment = time.mktime(clock)
            if moment > now:
                return moment
        return now + _DAY_SECONDS


def _rotation(text: str | None) -> tuple[int | None, int | None]:
    if not text:
        return None, None
    if clock := re.fullmatch(r"(\d{1,2}):(\d{2})(?::(\d{2}))?", text.strip()):
        hours, minutes, seconds = (int(part or 0) for part in clock.groups())
        if hours < 24 and minutes < 60 and seconds < 60:
            return hours * 3_600 + minutes * 60 + seconds, None
    if size := re.fullmatch(r"(\d+(?:\.\d+)?)\s*([KMG]?B)", text.strip(), re.IGNORECASE):
        return None, int(float(size[1]) * _SIZES[size[2].upper()])
    raise ValueError(f"log files are rotated at '00:00' or at '100 MB', not at {text!r}")


def _retention(given: str | int | None) -> tuple[int | None, int | None]:
    if given is None or isinstance(given, int):
        return None, given
    age = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([a-z]+?)s?", given.strip().lower())
    if age is None or age[2] not in _AGES:
        raise ValueError(f"log files are kept for '3 days' or as a number of files, not {given!r}")
    return int(float(age[1]) * _AGES[age[2]]), None


class RotatedFile(BaseRotatingHandler):
    """A file `{folder}/{stem}.log`, and the full ones before it: `{stem}.{time}.log.zip`."""

    def __init__(self, folder: str, stem: str, rules: Rules) -> None:
        self._folder = Path(folder)
        self._stem = stem
        self._rules = rules
        self._folder.mkdir(parents=True, exist_ok=True)
        super().__init__(self._folder / f"{stem}.log", mode="a", encoding="utf-8")
        self._ends = rules.next_moment(time.time())
        self._packing: threading.Thread | None = None

    def shouldRollover(self, record: logging.LogRecord) -> bool:
        """Whether this record belongs in a new file."""
        if self._ends is not None and record.created >= self._ends:
            return True
        if self._rules.size_max is None:
            return False
        # From the disk: what is buffered is written after each line anyway.
        return os.path.getsize(self.baseFilename) >= self._rules.size_max

    def doRollover(self) -> None:
        """Ends the file and begins a new one; the old one is packed beside it."""
        if self.stream is not None:
            self.stream.close()
        now = time.time()
        moment = time.strftime("%Y-%m-%d_%H-%M-%S", time.localtime(now))
        full = self._folder / f"{self._stem}.{moment}_{int(now % 1 * 1e6):06d}.log"
        os.replace(self.baseFilename, full)
        self.stream = self._open()
        self._ends = self._rules.next_moment(now)
        # Packing a large file takes seconds; whoever writes a line does not wait for it.
        self._packing = threading.Thread(target=self._tidy, args=(full,), name="log-files")
        self._packing.start()

    def close(self) -> None:
        """Closes the file, once a full one is packed."""
        if self._packing is not None:
            self._packing.join()
        super().close()

    def _tidy(self, full: Path) -> None:
        try:
            if self._rules.packer is not None:
                _pack(full, self._rules.packer)
            for old in self._too_old():
                old.unlink(missing_ok=True)
        except OSError as error:
            logging.getLogger("modelyard.log_files").warning("log files in %s: %s", full, error)

    def _too_old(self) -> list[Path]:
        # Also those of earlier processes of this application, which nobody else would remove.
        application = re.escape(self._stem.rpartition(".")[0])
        date = r"\d{4}-\d\d-\d\d_\d\d-\d\d-\d\d_\d{6}"
        ours = re.compile(rf"{application}\.[A-Za-z0-9]{{10}}\.{date}\.log(\.zip|\.gz)?")
        times: dict[Path, float] = {}
        for path in self._folder.iterdir():
            if ours.fullmatch(path.name):
                times[path] = path.stat().st_mtime
        newest_first = sorted(times, key=lambda path: times[path], reverse=True)
        if self._rules.count_max is not None:
            return newest_first[self._rules.count_max :]
        if self._rules.age_max is None:
            return []
        limit = time.time() - self._rules.age_max
        return [path for path in newest_first if times[path] < limit]


def _pack(full: Path, packer: str) -> None:
    packed = full.with_name(f"{full.name}.{packer}")
    if packer == "zip":
        with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.write(full, full.name)
    else:
        with full.open("rb") as source, gzip.open(packed, "wb") as sink:
            shutil.copyfileobj(source, sink)
    full.unlink()
