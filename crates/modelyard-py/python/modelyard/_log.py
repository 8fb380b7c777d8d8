"""Log lines: one JSON object per line under a gateway, text for a person."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
import time
from typing import Any

log = logging.getLogger("modelyard.model")
"""The logger for models. Fields go in `extra`: `log.info("loaded", extra={"layers": 12})`."""

_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "request_id"}


def _request_id() -> str | None:
    from .context import current

    call = current.get()
    return call.request_id if call is not None else None


class _JsonLines(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "timestamp": _timestamp(record.created),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
        }
        if request_id := _request_id():
            line["request_id"] = request_id
        for name, value in vars(record).items():
            if name not in _STANDARD and name not in line:
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str, ensure_ascii=False)


class _Text(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        request_id = _request_id()
        return f"{text} [{request_id}]" if request_id else text


def _timestamp(seconds: float) -> str:
    whole = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    return f"{whole}.{int(seconds % 1 * 1000):03d}Z"


def configure(json_lines: bool) -> str:
    """Send every log line of this process to standard error; returns the level (`LOG_LEVEL`)."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        # What a model prints is read line by line, and should not come minutes later.
        sys.stdout.reconfigure(line_buffering=True)
    level = os.environ.get("LOG_LEVEL", "INFO").upper()
    if level not in ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL"):
        level = "INFO"
    handler = logging.StreamHandler(sys.stderr)
    text = _Text("%(asctime)s | %(levelname)s | %(name)s | %(message)s")
    handler.setFormatter(_JsonLines() if json_lines else text)
    logging.basicConfig(level=level, handlers=[handler])
    return level
