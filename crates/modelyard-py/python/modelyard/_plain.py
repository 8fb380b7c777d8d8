"""Turns what JSON does not know into what it does."""

from __future__ import annotations

import base64
import dataclasses
import datetime
import decimal
import enum
import os
import sys
import uuid
from typing import Any


def plain(value: Any) -> Any:
    """A JSON-able stand-in for `value`, which may hold such values again.

    Raises `TypeError` if there is none. Called for types that are not plain themselves.
    """
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: getattr(value, f.name) for f in dataclasses.fields(value)}
    for kind, convert in _BUILTIN:
        if isinstance(value, kind):
            return convert(value)
    if hasattr(value, "model_dump"):  # pydantic
        return value.model_dump(mode="json")
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return value.tolist()
    if hasattr(value, "detach") and hasattr(value, "tolist"):  # a tensor
        return value.tolist()
    raise TypeError(f"{_article(type(value).__name__)} has no JSON form")


# Subclasses of plain types come here too, so the order is from the narrow to the wide.
_BUILTIN: list[tuple[Any, Any]] = [
    (str, lambda text: str.__str__(text)),
    (bool, bool),
    (int, lambda number: int.__int__(number)),
    (float, lambda number: float.__float__(number)),
    (dict, lambda mapping: dict(mapping.items())),
    ((list, tuple), list),
    ((datetime.datetime, datetime.date, datetime.time), lambda moment: moment.isoformat()),
    (datetime.timedelta, lambda span: span.total_seconds()),
    ((uuid.UUID, decimal.Decimal), str),
    (os.PathLike, os.fspath),
    ((bytes, bytearray, memoryview), lambda data: base64.b64encode(data).decode()),
]


def _article(name: str) -> str:
    return f"an object of type {name}"
