"""How a log line looks, and what its levels are called."""

from __future__ import annotations

import logging
import os
import time

LEVELS = {
    "TRACE": 5,
    "DEBUG": 10,
    "INFO": 20,
    "SUCCESS": 25,
    "WARNING": 30,
    "ERROR": 40,
    "CRITICAL": 50,
}
# Five letters each, so that lines of the common levels stand below each other.
_SHOWN = {20: "INFOO", 30: "WARNN"} | {
    number: name for name, number in LEVELS.items() if name not in ("INFO", "WARNING")
}


def level_number(level: str | int) -> int:
    """The number of a level. Raises `ValueError` for a name that is none."""
    if isinstance(level, int):
        return level
    try:
        return LEVELS[level.upper()]
    except KeyError:
        names = ", ".join(LEVELS)
        raise ValueError(f"the log level must be one of {names}, not {level!r}") from None


class Line(logging.Formatter):
    """`[INFOO] [2026-11-21 10:00:00.123] pid:7|worker.py:12|trace_id:t|app:chat --- hello`."""

    def __init__(self, app_name: str) -> None:
        super().__init__()
        self._app_name = app_name

    def format(self, record: logging.LogRecord) -> str:
        """The line of a record, followed by its traceback if it has one."""
        fields = getattr(record, "fields", {})
        moment = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(record.created))
        trace = f"|trace_id:{fields['trace_id']}" if "trace_id" in fields else ""
        line = (
            f"[{_SHOWN.get(record.levelno, record.levelname)}] "
            f"[{moment}.{int(record.created % 1 * 1000):03d}] "
            f"pid:{record.process or os.getpid()}|{record.filename}:{record.lineno}{trace}"
            f"|app:{fields.get('app_name', self._app_name)} --- {record.getMessage()}"
        )
        if record.exc_info:
            line = f"{line}\n{self.formatException(record.exc_info)}"
        return line
