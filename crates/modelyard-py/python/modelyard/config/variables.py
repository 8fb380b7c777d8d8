"""One environment variable, and a group of them."""

from __future__ import annotations

import os
from copy import copy
from typing import Any, Generic, TypeVar, overload

T = TypeVar("T")

_TRUE = frozenset({"true", "1", "yes", "on"})


def to_bool(text: str) -> bool:
    """Whether a text means yes: true, 1, yes or on, in any case; everything else is no."""
    return text.lower() in _TRUE


def to_list(text: str, separator: str = ",") -> list[str]:
    """The parts of a text, without the space around them; empty ones are left out."""
    return [part for part in map(str.strip, text.split(separator)) if part]


class EnvVar(Generic[T]):
    """An environment variable with a type and a default, as an attribute of a group.

    class Limits(EnvGroup):
        images = EnvVar("MAX_IMAGES", 4, int, "Images of one request")

    `type_` is one of `str`, `int`, `float`, `bool` and `list` (of texts, separated by commas). The
    value is read when it is first asked for, and kept until `reload`. A number that is none raises
    `ValueError`. `older_names` are looked at in their order where `name` is not set.
    """

    def __init__(
        self,
        name: str,
        default: T = None,  # type: ignore[assignment]
        type_: type = str,
        description: str = "",
        *,
        older_names: tuple[str, ...] = (),
    ) -> None:
        self.name = name
        self.default = default
        self.type_ = type_
        self.description = description
        self.older_names = older_names
        # The value and whether it was set, in one attribute: a thread sees both or neither.
        self._read: tuple[T, bool] | None = None

    @overload
    def __get__(self, obj: None, objtype: Any = None) -> EnvVar[T]: ...

    @overload
    def __get__(self, obj: object, objtype: Any = None) -> T: ...

    def __get__(self, obj: object | None, objtype: Any = None) -> EnvVar[T] | T:
        if obj is None:
            return self
        if isinstance(obj, EnvGroup):
            return obj._own(self).get()
        return self.get()

    def get(self) -> T:
        """The value, or the default where the variable is not set."""
        return self._look()[0]

    @property
    def is_set(self) -> bool:
        """Whether the variable is set, also to an empty text."""
        return self._look()[1]

    def reload(self) -> T:
        """Reads the variable again; returns the new value."""
        self._read = None
        return self.get()

    def _look(self) -> tuple[T, bool]:
        if self._read is None:
            self._read = self._from_environment()
        return self._read

    def _from_environment(self) -> tuple[T, bool]:
        for name in (self.name, *self.older_names):
            text = os.environ.get(name)
            if text is not None:
                return self._convert(name, text), True
        return self.default, False

    def _convert(self, name: str, text: str) -> Any:
        if self.type_ is bool:
            return to_bool(text)
        if self.type_ is list:
            return to_list(text)
        if self.type_ in (int, float):
            try:
                return self.type_(text)
            except ValueError:
                kind = "a whole number" if self.type_ is int else "a number"
                raise ValueError(f"{name} must be {kind}, not {text!r}") from None
        return text

    def __repr__(self) -> str:
        # Without the value: some are passwords.
        return f"EnvVar({self.name!r}, {self.type_.__name__})"


class EnvGroup:
    """Environment variables that belong together, one attribute each.

    Each group keeps what it read for itself, so that two groups of one class may differ in time.
    """

    def __init__(self) -> None:
        self._vars: dict[str, EnvVar[Any]] = {}
        self._by_descriptor: dict[int, EnvVar[Any]] = {}
        for name in dir(type(self)):
            declared = getattr(type(self), name)
            if isinstance(declared, EnvVar):
                own = copy(declared)
                own._read = None
                self._vars[name] = self._by_descriptor[id(declared)] = own

    def _own(self, declared: EnvVar[T]) -> EnvVar[T]:
        # A group whose __init__ does not call ours still works: it reads through its class.
        own: dict[int, EnvVar[T]] = self.__dict__.get("_by_descriptor", {})
        return own.get(id(declared), declared)

    def reload(self) -> None:
        """Reads all variables of the group again."""
        for variable in self._vars.values():
            variable.reload()

    def to_dict(self) -> dict[str, Any]:
        """The values by the names of their attributes, passwords included."""
        return {name: variable.get() for name, variable in self._vars.items()}

    def get_var(self, name: str) -> EnvVar[Any] | None:
        """The variable behind an attribute, `None` if there is none of that name."""
        return self._vars.get(name)

    def is_set(self, name: str) -> bool:
        """Whether the variable behind an attribute is set, also to an empty text."""
        variable = self._vars.get(name)
        return variable is not None and variable.is_set
