"""Lists, tuples, sets, objects with free keys, and alternatives."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .scalars import SCALARS
from .shape import ANY, Check, Invalid, Shape, Unreadable, kind_of


def list_of(item: Shape, build: Callable[[list[Any]], Any] | None = None) -> Shape:
    """A list; `build` makes something else of it, for example a set."""
    exact, inner = item.exact, item.check

    def items(value: Any) -> Any:
        if type(value) is not list:
            shape.refuse(value)
        if inner is None or (exact and exact.issuperset(map(type, value))):
            return value
        return _each(value, inner)

    def built(value: Any) -> Any:
        assert build is not None
        return build(items(value))

    words = "" if item is ANY else f" of {item.many}"
    schema = {"type": "array"} if item is ANY else {"type": "array", "items": item.schema}
    passes = frozenset({list}) if inner is None and build is None else frozenset[type]()
    check = items if build is None else built
    shape = Shape(f"a list{words}", f"lists{words}", schema, check, passes)
    return shape


def _each(values: list[Any], check: Check) -> list[Any]:
    done: list[Any] = []
    try:
        for value in values:
            done.append(check(value))
    except Invalid as invalid:
        raise invalid.under(len(done)) from None
    return done


def tuple_of(items: Sequence[Shape]) -> Shape:
    """A list of fixed length, each place with a shape of its own."""
    checks = [item.check for item in items]
    words = f"a list of {len(items)}: {', '.join(item.one for item in items)}"

    def check(value: Any) -> Any:
        if type(value) is not list:
            shape.refuse(value)
        if len(value) != len(checks):
            raise Invalid.of(f"expected {words}, got {len(value)} items")
        done = []
        for index, (inner, item) in enumerate(zip(checks, value, strict=True)):
            try:
                done.append(item if inner is None else inner(item))
            except Invalid as invalid:
                raise invalid.under(index) from None
        return tuple(done)

    bounds = {"minItems": len(items), "maxItems": len(items)}
    schema = {"type": "array", "prefixItems": [item.schema for item in items], **bounds}
    shape = Shape(words, "lists of fixed length", schema, check)
    return shape


def mapping_of(key: Any, item: Shape) -> Shape:
    """An object with free keys. Integer keys are written as text."""
    if key not in (str, int, Any):
        raise Unreadable("the keys of a dict are text; write dict[str, ...]")
    inner = item.check

    def check(value: Any) -> Any:
        if type(value) is not dict:
            shape.refuse(value)
        if inner is None and key is not int:
            return value
        return _entries(value, int if key is int else None, inner)

    words = "" if item is ANY else f" of {item.many}"
    schema = {"type": "object"}
    if item is not ANY:
        schema["additionalProperties"] = item.schema  # type: ignore[assignment]
    passes = frozenset({dict}) if inner is None and key is not int else frozenset[type]()
    shape = Shape(f"an object{words}", f"objects{words}", schema, check, passes)
    return shape


def _entries(value: dict[str, Any], key: type[int] | None, inner: Check | None) -> dict[Any, Any]:
    done: dict[Any, Any] = {}
    for name, item in value.items():
        try:
            read: Any = name if key is None else key(name)
        except ValueError:
            raise Invalid.of("expected an integer as the key").under(name) from None
        try:
            done[read] = item if inner is None else inner(item)
        except Invalid as invalid:
            raise invalid.under(name) from None
    return done


def any_of(options: Sequence[Shape]) -> Shape:
    """One of several shapes; the first that fits."""
    if any(option.check is None for option in options):
        return ANY
    exact = frozenset[type]().union(*(option.exact for option in options))
    null = SCALARS[type(None)]
    others = [option for option in options if option is not null]

    def check(value: Any) -> Any:
        if type(value) in exact:
            return value
        failures = []
        for option in others:
            assert option.check is not None
            try:
                return option.check(value)
            except Invalid as invalid:
                failures.append(invalid)
        if len(failures) == 1 and failures[0].issues[0][0]:
            raise failures[0]  # It says more: what is wrong inside.
        raise Invalid.of(f"expected {one}, got {kind_of(value)}")

    one = " or ".join(option.one for option in options)
    many = " or ".join(option.many for option in options)
    return Shape(one, many, {"anyOf": [option.schema for option in options]}, check, exact)
