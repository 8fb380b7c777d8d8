"""Stands where a name of gmi-ieops is that Modelyard deliberately does not have."""

from __future__ import annotations

from typing import Any, NoReturn


class Absent:
    """Can be imported; whoever calls it, or makes a class of it, hears why it is not there."""

    def __init__(self, name: str, reason: str) -> None:
        self._message = f"{name} of gmi-ieops is not part of Modelyard: {reason}"

    def __call__(self, *_: Any, **__: Any) -> NoReturn:
        raise NotImplementedError(self._message)

    def __mro_entries__(self, _: tuple[Any, ...]) -> NoReturn:
        raise NotImplementedError(self._message)

    def __repr__(self) -> str:
        return f"<{self._message}>"
