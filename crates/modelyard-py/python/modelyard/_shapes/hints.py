"""From a type hint to its shape."""

from __future__ import annotations

import collections.abc
import enum
import sys
import types
import typing
from typing import Any, get_args, get_origin

from .containers import any_of, list_of, mapping_of, tuple_of
from .foreign import numpy_array, pydantic_model
from .records import is_record, record_of
from .scalars import SCALARS, choice, enumeration
from .shape import ANY, Shape, Unreadable

_ABC = collections.abc
_LISTS = (list, _ABC.Sequence, _ABC.MutableSequence, _ABC.Iterable, _ABC.Collection)
_SETS = (set, frozenset, _ABC.Set, _ABC.MutableSet)
_MAPPINGS = (dict, _ABC.Mapping, _ABC.MutableMapping)


def shape_of(hint: Any) -> Shape:
    """The shape of a type hint.

    Raises `Unreadable` if no JSON value can be turned into it.
    """
    return _Hints().shape(hint)


class _Hints:
    """Remembers the records that are being read, for those that contain themselves."""

    def __init__(self) -> None:
        self.open: dict[type, list[Shape]] = {}

    def shape(self, hint: Any) -> Shape:
        if hint is Any or hint is object or isinstance(hint, typing.TypeVar):
            return ANY
        if hint is None:
            return SCALARS[type(None)]
        if isinstance(hint, str):
            return self.shape(self.named(hint))
        try:
            if hint in SCALARS:
                return SCALARS[hint]
        except TypeError:  # not hashable
            pass
        origin = get_origin(hint)
        return self.generic(hint, origin) if origin is not None else self.plain(hint)

    def named(self, name: str) -> Any:
        """What `list["Node"]` names inside a record; Python 3.10 leaves it unresolved."""
        for kind in reversed(self.open):
            if (found := vars(sys.modules[kind.__module__]).get(name)) is not None:
                return found
        raise Unreadable(f'"{name}" cannot be resolved; write the type without quotes')

    def plain(self, hint: Any) -> Shape:
        if hint in _LISTS:
            return list_of(ANY)
        if hint in _SETS:
            return list_of(ANY, frozenset if hint is frozenset else set)
        if hint in _MAPPINGS:
            return mapping_of(str, ANY)
        if hint is tuple:
            return list_of(ANY, tuple)
        if is_record(hint):
            return self.record(hint)
        if isinstance(hint, type) and issubclass(hint, enum.Enum):
            return enumeration(hint)
        if shape := pydantic_model(hint) or numpy_array(hint, None):
            return shape
        if hasattr(hint, "__supertype__"):  # NewType
            return self.shape(hint.__supertype__)
        if hasattr(hint, "__value__"):  # type X = ...
            return self.shape(hint.__value__)
        raise _unreadable(hint)

    def generic(self, hint: Any, origin: Any) -> Shape:
        arguments = get_args(hint)
        if origin is typing.Annotated:
            return self.shape(arguments[0])
        if origin is typing.Literal:
            return choice({value: value for value in arguments})
        if origin is typing.Union or origin is getattr(types, "UnionType", None):
            return any_of([self.shape(argument) for argument in arguments])
        if origin in _LISTS:
            return list_of(self.shape(arguments[0]))
        if origin in _SETS:
            return list_of(self.shape(arguments[0]), frozenset if origin is frozenset else set)
        if origin in _MAPPINGS:
            return mapping_of(arguments[0], self.shape(arguments[1]))
        if origin is tuple:
            return self.tuple(arguments)
        if shape := numpy_array(hint, origin):
            return shape
        if hasattr(origin, "__value__"):  # type X[T] = ...
            return self.shape(origin.__value__[arguments])
        raise _unreadable(hint)

    def tuple(self, arguments: tuple[Any, ...]) -> Shape:
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return list_of(self.shape(arguments[0]), tuple)
        return tuple_of([self.shape(argument) for argument in arguments if argument != ()])

    def record(self, kind: type) -> Shape:
        if kind in self.open:
            return self.again(kind)
        self.open[kind] = []
        shape = record_of(kind, self.shape)
        self.open.pop(kind).append(shape)
        return shape

    def again(self, kind: type) -> Shape:
        """A record inside itself: its shape is known by the time that a value comes."""
        later = self.open[kind]

        def check(value: Any) -> Any:
            whole = later[0].check
            return value if whole is None else whole(value)

        name = kind.__name__
        return Shape(f"an object ({name})", "objects", {"type": "object", "title": name}, check)


def _unreadable(hint: Any) -> Unreadable:
    name = getattr(hint, "__qualname__", None) or str(hint)
    return Unreadable(
        f"{name} cannot be made from JSON; use plain types, a dataclass, a TypedDict, an Enum, "
        "a pydantic model, or bytes for the raw body"
    )
