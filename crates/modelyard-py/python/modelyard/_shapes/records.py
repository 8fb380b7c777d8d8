"""Objects with named fields: dataclasses, typed dicts, named tuples."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .shape import Invalid, Shape

ShapeOf = Callable[[Any], Shape]


@dataclass
class Field:
    """One named field."""

    name: str
    shape: Shape
    required: bool
    default: Any = None
    has_default: bool = False
    """Whether the schema can show the default."""


def is_record(hint: Any) -> bool:
    """Whether the hint is a class with named fields."""
    return isinstance(hint, type) and (
        dataclasses.is_dataclass(hint)
        or typing.is_typeddict(hint)
        or (issubclass(hint, tuple) and hasattr(hint, "_field_defaults"))
    )


def record_of(kind: type, shape_of: ShapeOf) -> Shape:
    """The shape of a class with named fields."""
    fields = _fields(kind, shape_of)
    return record(kind.__name__, fields, dict if typing.is_typeddict(kind) else kind)


def record(name: str, fields: list[Field], build: Callable[..., Any]) -> Shape:
    """An object with these fields; `build` gets them by name."""
    required = [field.name for field in fields if field.required]

    def check(value: Any) -> Any:
        if type(value) is not dict:
            shape.refuse(value)
        done = read_fields(fields, value)
        try:
            return build(**done)
        except ValueError as error:  # from `__post_init__`
            raise Invalid.of(str(error)) from None

    schema: dict[str, Any] = {
        "type": "object",
        "title": name,
        "properties": {field.name: _property(field) for field in fields},
    }
    if required:
        schema["required"] = required
    having = f" with {', '.join(required)}" if required else ""
    shape = Shape(f"an object{having}", f"objects{having}", schema, check)
    return shape


def read_fields(fields: list[Field], value: dict[str, Any]) -> dict[str, Any]:
    """The fields that are there, checked; every complaint is told, not only the first."""
    done: dict[str, Any] = {}
    issues: list[tuple[list[str | int], str]] = []
    for field in fields:
        if field.name not in value:
            if field.required:
                issues.append(([field.name], f"required, expected {field.shape.one}"))
            continue
        item = value[field.name]
        try:
            done[field.name] = item if field.shape.check is None else field.shape.check(item)
        except Invalid as invalid:
            issues += invalid.under(field.name).issues
    if issues:
        raise Invalid(issues)
    return done


def _property(field: Field) -> dict[str, Any]:
    plain = field.has_default and isinstance(field.default, (str, int, float, bool, type(None)))
    return {**field.shape.schema, "default": field.default} if plain else field.shape.schema


def _fields(kind: Any, shape_of: ShapeOf) -> list[Field]:
    if dataclasses.is_dataclass(kind):
        hints = typing.get_type_hints(kind, include_extras=True)
        return [
            _of_dataclass(f, shape_of(hints[f.name])) for f in dataclasses.fields(kind) if f.init
        ]
    if typing.is_typeddict(kind):
        hints = typing.get_type_hints(kind, include_extras=False)
        needed: frozenset[str] = kind.__required_keys__
        return [Field(name, shape_of(hint), name in needed) for name, hint in hints.items()]
    hints = typing.get_type_hints(kind, include_extras=True)
    defaults: dict[str, Any] = kind._field_defaults
    return [
        Field(name, shape_of(hints.get(name, Any)), name not in defaults, defaults.get(name))
        for name in kind._fields
    ]


def _of_dataclass(field: dataclasses.Field[Any], shape: Shape) -> Field:
    plain = field.default is not dataclasses.MISSING
    optional = plain or field.default_factory is not dataclasses.MISSING
    return Field(field.name, shape, not optional, field.default if plain else None, plain)
