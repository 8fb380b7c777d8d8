"""Log lines with the trace id of a call, in the style of loguru and in the format of ieops.

    [INFOO] [2026-11-21 10:00:00.123] pid:7|worker.py:12|trace_id:traceid-a1|app:chat --- hello

They go through the standard library's logger `modelyard.lines`, so whoever collects log records
sees them, with their fields in `record.fields`.
"""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

from ._log_files import RotatedFile, Rules
from ._log_lines import LEVELS, Line, level_number
from .util import randstr

uvicorn_logger = logging.getLogger("uvicorn.error")
"""The standard logger that servers write to; its lines look as those of `log`."""

_lines = logging.getLogger("modelyard.lines")
_context: ContextVar[Mapping[str, Any]] = ContextVar(
    "modelyard_log_fields",
    default=MappingProxyType({}),
)


@dataclass(frozen=True)
class _Options:
    exception: Any = None
    lazy: bool = False
    depth: int = 0


_NO_OPTIONS = _Options()


class BoundLogger:
    """Writes lines, with the fields that are bound to it.

    A message with arguments is formatted by `str.format`; without, it is taken as it is.
    """

    __slots__ = ("_fields", "_options")

    def __init__(
        self, fields: Mapping[str, Any] | None = None, options: _Options = _NO_OPTIONS
    ) -> None:
        self._fields = fields or {}
        self._options = options

    def bind(self, **fields: Any) -> BoundLogger:
        """A logger whose lines have these fields too; `trace_id` is shown in the line."""
        return BoundLogger({**self._fields, **fields}, self._options)

    @contextmanager
    def contextualize(self, **fields: Any) -> Iterator[None]:
        """Gives fields to all lines of this thread or task within the block."""
        token = _context.set({**_context.get(), **fields})
        try:
            yield
        finally:
            _context.reset(token)

    def opt(
        self, *, exception: Any = None, lazy: bool = False, depth: int = 0, **_: Any
    ) -> BoundLogger:
        """A logger that writes its lines in another way.

        `exception` is an exception, or `True` for the one that is being handled; its traceback
        follows the line. With `lazy`, arguments are functions, called only if the line is written.
        `depth` names a caller further up. loguru's other options are accepted, and change nothing.
        """
        return BoundLogger(
            self._fields, replace(self._options, exception=exception, lazy=lazy, depth=depth)
        )

    def trace(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level TRACE, below DEBUG."""
        self._write(LEVELS["TRACE"], message, args, fields)

    def debug(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level DEBUG."""
        self._write(LEVELS["DEBUG"], message, args, fields)

    def info(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level INFO."""
        self._write(LEVELS["INFO"], message, args, fields)

    def success(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level SUCCESS, between INFO and WARNING."""
        self._write(LEVELS["SUCCESS"], message, args, fields)

    def warning(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level WARNING."""
        self._write(LEVELS["WARNING"], message, args, fields)

    def error(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level ERROR."""
        self._write(LEVELS["ERROR"], message, args, fields)

    def critical(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level CRITICAL."""
        self._write(LEVELS["CRITICAL"], message, args, fields)

    def exception(self, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of level ERROR, and the traceback of the exception being handled."""
        shown = BoundLogger(self._fields, replace(self._options, exception=True))
        shown._write(LEVELS["ERROR"], message, args, fields)

    def log(self, level: str | int, message: Any, *args: Any, **fields: Any) -> None:
        """Writes a line of a level given by its name or number."""
        self._write(level_number(level), message, args, fields)

    def _write(
        self, level: int, message: Any, args: tuple[Any, ...], fields: dict[str, Any]
    ) -> None:
        if not _lines.isEnabledFor(level):
            return
        if self._options.lazy:
            args = tuple(_called(argument) for argument in args)
            fields = {name: _called(argument) for name, argument in fields.items()}
        text = str(message)
        if args or fields:
            text = text.format(*args, **fields)
        known = {**_context.get(), **self._fields, **fields}
        _lines.log(
            level,
            "%s",
            text,
            exc_info=self._options.exception or None,
            stacklevel=3 + self._options.depth,
            extra={"fields": known},
        )


def _called(argument: Any) -> Any:
    return argument() if isinstance(argument, Callable) else argument  # type: ignore[arg-type]


class Logger(BoundLogger):
    """The logger of this process, and where its lines go."""

    __slots__ = ()

    def get_logger(self, trace_id: str | None = None) -> BoundLogger:
        """A logger whose lines show a trace id, if there is one."""
        return self.bind(trace_id=trace_id) if trace_id else BoundLogger()

    def set_logger(
        self,
        log_path: str = "/var/log/ieops",
        app_name: str = "gmi-ieops-sdk",
        log_level: str = "INFO",
        retention: str | int | None = "3 days",
        rotation: str | None = "00:00",
        compression: str | None = "zip",
        file_enabled: bool = True,
    ) -> None:
        """Says where lines go: always to standard output, with `file_enabled` also to a file.

        The file is `{log_path}/{app_name}.{10 random characters}.log`; the folder is made if need
        be. `rotation` is a time of day (`"00:00"`) or a size (`"100 MB"`), `retention` an age
        (`"3 days"`) or a number of files, `compression` is `"zip"` or `"gz"`. Raises `ValueError`
        for words that mean nothing, `OSError` where the file cannot be made.
        """
        level = level_number(log_level)
        handlers: list[logging.Handler] = [_StandardOutput()]
        if file_enabled:
            rules = Rules.read(rotation, retention, compression)
            name = app_name.replace(os.sep, "-")
            handlers.append(RotatedFile(log_path, f"{name}.{randstr(10)}", rules))
        formatter = Line(app_name)
        for handler in handlers:
            handler.setFormatter(formatter)
        _install(_lines, handlers, level)
        _install(uvicorn_logger, handlers, level)


class _StandardOutput(logging.StreamHandler):  # type: ignore[type-arg]
    # Looks the stream up for each line: tests, and notebooks, put another in its place.
    def __init__(self) -> None:
        logging.Handler.__init__(self)

    @property
    def stream(self) -> Any:
        return sys.stdout

    @stream.setter
    def stream(self, value: Any) -> None:
        raise AttributeError("these lines always go to standard output")


def _install(logger: logging.Logger, handlers: list[logging.Handler], level: int) -> None:
    # Only handlers of an earlier call are taken away; those that others added stay.
    for old in [handler for handler in logger.handlers if isinstance(handler.formatter, Line)]:
        logger.removeHandler(old)
        old.close()
    for handler in handlers:
        logger.addHandler(handler)
    logger.setLevel(level)
    logger.propagate = False


log = Logger()
"""The logger of this process."""
