"""Small files in one call."""

from __future__ import annotations

import json
import os
from typing import Any, Literal

FileData = dict[str, Any] | bytes | str
WriteMode = Literal["w", "a"]


def load_json(file_path: str) -> dict[str, Any]:
    """What a file of JSON says. Raises `OSError`, and `ValueError` for what is no JSON."""
    with open(file_path, encoding="utf-8") as file:
        content: dict[str, Any] = json.load(file)
        return content


def save_json(file_path: str, data: dict[str, Any]) -> None:
    """Writes a file of JSON over what was there."""
    with open(file_path, "w", encoding="utf-8") as file:
        json.dump(data, file)


def save(file_path: str, data: FileData, mode: WriteMode = "w") -> Exception | None:
    """Writes bytes, a text or an object, over what was there or (`mode="a"`) after it.

    An object is one JSON document; appended, one line of JSON. Returns the error instead of raising
    it, `None` if all went well.
    """
    return _attempt(file_path, data, mode, durable=False)


def save_jfs(file_path: str, data: FileData, mode: WriteMode = "w") -> Exception | None:
    """The same as `save`, and returns only once the file system has the content for good."""
    return _attempt(file_path, data, mode, durable=True)


async def async_save_jfs(file_path: str, data: FileData, mode: WriteMode = "w") -> Exception | None:
    """The same as `save_jfs`, to be awaited; the loop goes on meanwhile."""
    import asyncio

    return await asyncio.to_thread(save_jfs, file_path, data, mode)


def _attempt(file_path: str, data: FileData, mode: WriteMode, *, durable: bool) -> Exception | None:
    try:
        _write(file_path, data, mode, durable)
    except Exception as error:
        return error
    return None


def _write(file_path: str, data: FileData, mode: WriteMode, durable: bool) -> None:
    if mode not in ("w", "a"):
        raise ValueError(f"a file is written with mode 'w' or 'a', not {mode!r}")
    with open(file_path, f"{mode}b") as file:
        file.write(_content(data, mode))
        if durable:
            file.flush()
            os.fsync(file.fileno())


def _content(data: FileData, mode: WriteMode) -> bytes:
    if isinstance(data, bytes):
        return data
    if isinstance(data, str):
        return data.encode()
    if isinstance(data, dict):
        return (json.dumps(data, ensure_ascii=False) + ("\n" if mode == "a" else "")).encode()
    raise TypeError(f"a file is written from bytes, a text or a dict, not {type(data).__name__}")
