"""What a shape is, and how a value that does not fit is told."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NoReturn

Check = Callable[[Any], Any]
Step = "str | int"


class Unreadable(TypeError):
    """A type hint that no JSON value can be turned into; found when the worker starts."""


class Invalid(Exception):
    """A value that does not fit: pairs of a path, innermost step first, and a complaint."""

    def __init__(self, issues: list[tuple[list[str | int], str]]) -> None:
        super().__init__()
        self.issues = issues

    @classmethod
    def of(cls, complaint: str) -> Invalid:
        """A complaint about the value at hand."""
        return cls([([], complaint)])

    def under(self, step: str | int) -> Invalid:
        """The same, seen from one level higher."""
        for path, _ in self.issues:
            path.append(step)
        return self

    def fields(self) -> list[tuple[str, str]]:
        """Each place with its complaint, for example `("items[3].size", "expected ...")`."""
        return [(_dotted(path), complaint) for path, complaint in self.issues]

    def sentence(self) -> str:
        """The first complaint, and how many more there are."""
        place, complaint = self.fields()[0]
        more = f" (and {len(self.issues) - 1} more)" if len(self.issues) > 1 else ""
        if not place or place.startswith("["):
            place = f"body{place}"
        return f"{place}: {complaint}{more}"


def _dotted(path: list[str | int]) -> str:
    text = ""
    for step in reversed(path):
        if isinstance(step, int):
            text += f"[{step}]"
        else:
            text += f".{step}" if text else step
    return text


@dataclass(frozen=True)
class Shape:
    """What a value must look like."""

    one: str
    """In words, as one: `a list of numbers`."""
    many: str
    """In words, as many: `lists of numbers`."""
    schema: dict[str, Any]
    """As JSON schema."""
    check: Check | None = None
    """Gives the value as the code wants it, or raises `Invalid`; `None` if anything will do."""
    exact: frozenset[type] = field(default_factory=frozenset)
    """Values of exactly these types pass unchanged, without a look inside."""

    def refuse(self, value: Any) -> NoReturn:
        """Complain that `value` is something else."""
        raise Invalid.of(f"expected {self.one}, got {kind_of(value)}")


ANY = Shape("a JSON value", "JSON values", {})

_KINDS = {dict: "object", type(None): "null"}


def kind_of(value: Any) -> str:
    """What a value is, in a word for the caller."""
    return _KINDS.get(type(value), type(value).__name__)
