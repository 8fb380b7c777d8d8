"""From a call to the arguments of a method.

One parameter takes the whole JSON body; several take the keys of a body that is an object. A
`bytes` parameter takes the body as it came, whatever its type. Methods without a body (GET, HEAD,
DELETE) take the query parameters instead. `ctx`, or whatever is annotated `Context`, is the call.
"""

from __future__ import annotations

import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from ._core import Call
from ._shapes import ANY, Invalid, Shape, Unreadable, shape_of
from ._shapes.records import Field, read_fields, record
from .context import Context

Bind = Callable[[Call], tuple[Any, ...]]

_BODILESS = ("GET", "HEAD", "DELETE")


@dataclass(frozen=True)
class Parameter:
    """One parameter of a method."""

    name: str
    hint: Any
    required: bool
    default: Any
    is_context: bool

    def shape(self) -> Shape:
        """What its values look like."""
        try:
            return ANY if self.hint is inspect.Parameter.empty else shape_of(self.hint)
        except Unreadable as error:
            raise Unreadable(f"parameter `{self.name}`: {error}") from None

    def field(self) -> Field:
        """It as a key of the body."""
        default = self.default if not self.required else None
        return Field(self.name, self.shape(), self.required, default, not self.required)


def parameters_of(function: Callable[..., Any], *, batched: bool) -> list[Parameter]:
    """The parameters of a bound method; those of a batched one with the type of an item."""
    hints = hints_of(function)
    found = []
    for name, parameter in inspect.signature(function).parameters.items():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise Unreadable(f"parameter `*{name}`: name each parameter")
        hint = hints.get(name, parameter.empty)
        is_context = _is_context(name, hint)
        if batched and not is_context:
            hint = _item_of(name, hint)
        required = parameter.default is parameter.empty
        found.append(Parameter(name, hint, required, parameter.default, is_context))
    return found


def hints_of(function: Callable[..., Any]) -> dict[str, Any]:
    """The type hints of a function, resolved."""
    try:
        return typing.get_type_hints(function, include_extras=True)
    except NameError as error:
        raise Unreadable(f"the type hints cannot be read: {error}") from None


def _is_context(name: str, hint: Any) -> bool:
    if hint is inspect.Parameter.empty:
        return name == "ctx"
    return hint is Context or hint == list[Context]


def _item_of(name: str, hint: Any) -> Any:
    if hint is inspect.Parameter.empty or hint is list or hint is Any:
        return inspect.Parameter.empty
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if isinstance(origin, type) and issubclass(list, origin) and len(arguments) == 1:
        return arguments[0]
    raise Unreadable(f"parameter `{name}` of a batch is a list: write list[...]")


@dataclass(frozen=True)
class Binding:
    """How a method gets its arguments."""

    bind: Bind
    schema: dict[str, Any] | None
    """JSON schema of the body; `None` if it is not JSON."""
    is_plain: bool = False
    """The one argument is the JSON body as it is."""


def binding_of(parameters: list[Parameter], method: str) -> Binding:
    """How a method with these parameters is given a call."""
    places = [index for index, parameter in enumerate(parameters) if parameter.is_context]
    inputs = [parameter for parameter in parameters if not parameter.is_context]
    if method in _BODILESS:
        binding = _from_query(inputs)
    elif not inputs:
        binding = Binding(lambda call: (), None)
    elif len(inputs) == 1:
        binding = _whole(inputs[0])
    else:
        binding = _keys(inputs)
    return _with_context(binding, places) if places else binding


def _with_context(binding: Binding, places: list[int]) -> Binding:
    inner = binding.bind

    def bind(call: Call) -> tuple[Any, ...]:
        arguments = list(inner(call))
        for place in places:
            arguments.insert(place, Context(call))
        return tuple(arguments)

    return Binding(bind, binding.schema)


def _whole(parameter: Parameter) -> Binding:
    if parameter.hint is bytes:
        return Binding(lambda call: (call.body,), None)
    shape = parameter.shape()
    read = _text_or_json if parameter.hint is str else Call.json
    check = shape.check
    if not parameter.required:
        return Binding(_optional(read, check, parameter.default), shape.schema)
    if check is None:
        return Binding(lambda call: (read(call),), shape.schema, is_plain=read is Call.json)
    return Binding(lambda call: (check(read(call)),), shape.schema)


def _text_or_json(call: Call) -> Any:
    if not call.media_type.startswith("text/plain"):
        return call.json()
    try:
        return call.body.decode()
    except UnicodeDecodeError:
        raise Invalid.of("expected text in UTF-8") from None


def _optional(
    read: Callable[[Call], Any], check: Callable[[Any], Any] | None, default: Any
) -> Bind:
    def bind(call: Call) -> tuple[Any, ...]:
        if not call.body:
            return (default,)
        value = read(call)
        return (value if check is None else check(value),)

    return bind


def _keys(parameters: list[Parameter]) -> Binding:
    fields = [parameter.field() for parameter in parameters]
    body = record("body", fields, lambda **values: _in_order(parameters, values))
    check = body.check
    assert check is not None
    schema = {name: value for name, value in body.schema.items() if name != "title"}
    return Binding(lambda call: check(call.json()), schema)


def _in_order(parameters: list[Parameter], values: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(values.get(parameter.name, parameter.default) for parameter in parameters)


def _from_query(parameters: list[Parameter]) -> Binding:
    fields = [parameter.field() for parameter in parameters]

    def bind(call: Call) -> tuple[Any, ...]:
        if not fields:
            return ()
        given = parse_qs(call.query, keep_blank_values=True)
        values = {f.name: _from_text(f.shape, given[f.name]) for f in fields if f.name in given}
        return _in_order(parameters, read_fields(fields, values))

    return Binding(bind, None)


def _from_text(shape: Shape, texts: list[str]) -> Any:
    if shape.schema.get("type") == "array":
        return [_json_or_text(text) for text in texts]
    if shape.schema.get("type") == "string" or str in shape.exact:
        return texts[-1]
    return _json_or_text(texts[-1])


def _json_or_text(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
