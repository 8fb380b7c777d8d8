"""Turns values into ones that JSON knows, as generously as FastAPI does."""

from __future__ import annotations

import decimal
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from modelyard._plain import plain

_PLAIN = (str, int, float, bool, type(None))


def jsonable(value: Any) -> Any:
    """A stand-in that holds dicts, lists and plain values only.

    Raises `TypeError` for what has none, `RecursionError` for a value that holds itself.
    """
    if type(value) in _PLAIN:
        return value
    if isinstance(value, Mapping):
        return {_key(key): jsonable(item) for key, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset, deque, Iterator)):
        return [jsonable(item) for item in value]
    if isinstance(value, (bytes, bytearray)):
        # As text, which is what FastAPI does; base64 would surprise its users.
        return value.decode()
    if isinstance(value, decimal.Decimal):
        exponent = value.as_tuple().exponent
        return int(value) if isinstance(exponent, int) and exponent >= 0 else float(value)
    try:
        return jsonable(plain(value))
    except TypeError:
        if not hasattr(value, "__dict__"):
            raise
        return jsonable(vars(value))


def _key(key: Any) -> Any:
    return key if type(key) in _PLAIN else jsonable(key)
