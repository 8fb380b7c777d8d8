"""Text, numbers, flags, choices, and what is written as text."""

from __future__ import annotations

import base64
import binascii
import datetime
import decimal
import enum
import json
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

from .shape import Invalid, Shape, kind_of


def _exactly(one: str, many: str, name: str, kind: type) -> Shape:
    def check(value: Any) -> Any:
        return value if type(value) is kind else shape.refuse(value)

    shape = Shape(one, many, {"type": name}, check, frozenset({kind}))
    return shape


def _integer() -> Shape:
    def check(value: Any) -> Any:
        if type(value) is int:
            return value
        if type(value) is float and value.is_integer():
            return int(value)
        shape.refuse(value)

    shape = Shape("an integer", "integers", {"type": "integer"}, check, frozenset({int}))
    return shape


def _number() -> Shape:
    def check(value: Any) -> Any:
        if type(value) is float:
            return value
        if type(value) is int:
            return float(value)
        shape.refuse(value)

    shape = Shape("a number", "numbers", {"type": "number"}, check, frozenset({float}))
    return shape


def _written(one: str, many: str, schema: dict[str, Any], read: Callable[[str], Any]) -> Shape:
    """A value that JSON writes as text."""

    def check(value: Any) -> Any:
        if type(value) is not str:
            shape.refuse(value)
        try:
            return read(value)
        except (ValueError, ArithmeticError, binascii.Error):
            raise Invalid.of(f"expected {one}, got {shown(value)}") from None

    shape = Shape(one, many, {"type": "string", **schema}, check)
    return shape


def shown(value: Any) -> str:
    """A value for a message, cut short."""
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _moment(text: str) -> datetime.datetime:
    # Before Python 3.11 `fromisoformat` does not know the Z.
    return datetime.datetime.fromisoformat(text[:-1] + "+00:00" if text.endswith("Z") else text)


def choice(values: dict[Any, Any]) -> Shape:
    """One of a few JSON values; the code gets what it stands for."""
    words = ", ".join(shown(value) for value in values)
    one = f"one of {words}" if len(values) > 1 else words

    def check(value: Any) -> Any:
        for candidate, meaning in values.items():
            if candidate == value and type(candidate) is type(value):
                return meaning
        got = shown(value) if isinstance(value, (str, int, float)) else kind_of(value)
        raise Invalid.of(f"expected {one}, got {got}")

    return Shape(one, f"values out of {words}", {"enum": list(values)}, check)


def enumeration(kind: type[enum.Enum]) -> Shape:
    """A member of an `Enum`, written as its value."""
    return choice({member.value: member for member in kind})


SCALARS: dict[Any, Shape] = {
    str: _exactly("text", "texts", "string", str),
    bool: _exactly("true or false", "flags", "boolean", bool),
    int: _integer(),
    float: _number(),
    type(None): _exactly("null", "nulls", "null", type(None)),
    bytes: _written(
        "base64 text",
        "base64 texts",
        {"contentEncoding": "base64"},
        lambda text: base64.b64decode(text, validate=True),
    ),
    datetime.datetime: _written(
        "a date and time like 2026-01-31T12:00:00Z", "times", {"format": "date-time"}, _moment
    ),
    datetime.date: _written(
        "a date like 2026-01-31", "dates", {"format": "date"}, datetime.date.fromisoformat
    ),
    uuid.UUID: _written("a UUID", "UUIDs", {"format": "uuid"}, uuid.UUID),
    decimal.Decimal: _written("a decimal as text", "decimals", {}, decimal.Decimal),
    pathlib.Path: _written("a path", "paths", {}, pathlib.Path),
}
