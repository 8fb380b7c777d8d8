"""The routes of a class: which methods there are, how each is called, what it tells of itself."""

from __future__ import annotations

import collections.abc
import functools
import inspect
import json
import typing
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ._bind import Binding, binding_of, hints_of, parameters_of
from ._shapes import Unreadable, shape_of
from .markers import Marks, marks_of
from .model import Model

_DEFAULT_NAMES = ("predict", "__call__", "infer")
_ITERATORS = (
    collections.abc.Iterator,
    collections.abc.Iterable,
    collections.abc.Generator,
    collections.abc.AsyncIterator,
    collections.abc.AsyncIterable,
    collections.abc.AsyncGenerator,
)


@dataclass(frozen=True)
class Route:
    """One method that can be called."""

    name: str
    path: str
    method: str
    marks: Marks
    function: Callable[..., Any]
    binding: Binding
    is_async: bool
    """It runs on the event loop."""
    is_generator: bool
    summary: str
    output_schema: dict[str, Any] | None

    @property
    def batched(self) -> bool:
        """Whether it takes many calls at once."""
        return self.marks.batch_size is not None

    @property
    def is_socket(self) -> bool:
        """Whether it talks through a WebSocket."""
        return self.marks.socket

    def declared(self) -> tuple[str, bool, bool]:
        """It as the HTTP side wants to know it."""
        told: dict[str, Any] = {
            "path": self.path,
            "method": self.method,
            "kind": "ws" if self.is_socket else "sse" if self.marks.events else "api",
            "summary": self.summary,
            "timeout_s": self.marks.timeout_s,
            "input_schema": self.binding.schema or None,
            "output_schema": self.output_schema,
        }
        if self.batched:
            told["max_batch_size"] = self.marks.batch_size
            told["max_wait_ms"] = self.marks.batch_wait_ms
        told = {name: value for name, value in told.items() if value is not None}
        return json.dumps(told), self.is_async, self.marks.batch_adaptive


def routes_of(model: Any) -> list[Route]:
    """The routes of a model, the default one first.

    Raises `Unreadable` if a method cannot be a route, or no default can be told.
    """
    if inspect.isroutine(model):
        return [_route(model.__name__, model)]
    names = _method_names(type(model))
    if not names:
        raise Unreadable("the class has no public method; write `def predict(self, ...)`")
    default = _default_name(names, type(model))
    ordered = [default, *(name for name in names if name != default)]
    return [_route(name, getattr(model, name)) for name in ordered]


def _method_names(kind: type) -> list[str]:
    names: dict[str, None] = {}
    for parent in reversed(kind.__mro__):
        if parent in (object, Model):
            continue
        for name, value in vars(parent).items():
            public = not name.startswith("_") or name == "__call__"
            if public and name != "setup" and _is_method(value):
                names[name] = None
    return list(names)


def _is_method(value: Any) -> bool:
    return inspect.isfunction(value) or isinstance(value, (staticmethod, classmethod))


def _default_name(names: list[str], kind: type) -> str:
    marked = [name for name in names if marks_of(getattr(kind, name)).default]
    if len(marked) > 1:
        raise Unreadable(f"{' and '.join(marked)} are both marked as the default route")
    if marked:
        return marked[0]
    for name in _DEFAULT_NAMES:
        if name in names:
            return name
    spoken_to = [name for name in names if not marks_of(getattr(kind, name)).socket] or names
    if len(spoken_to) == 1:
        return spoken_to[0]
    raise Unreadable(
        f"which of {', '.join(names)} is the default route? Name one `predict`, or mark it "
        "with @route(default=True); names with a leading underscore are no routes"
    )


def _route(name: str, function: Callable[..., Any]) -> Route:
    try:
        return _read(name, function)
    except Unreadable as error:
        raise Unreadable(f"{name}: {error}") from None


def _read(name: str, function: Callable[..., Any]) -> Route:
    marks = marks_of(function)
    if marks.socket:
        return _read_socket(name, function, marks)
    batched = marks.batch_size is not None
    is_async_generator = inspect.isasyncgenfunction(function)
    is_generator = is_async_generator or inspect.isgeneratorfunction(function)
    if batched and (is_generator or marks.events):
        raise Unreadable("a batch answers with lists and cannot be a stream; drop one of the two")
    parameters = parameters_of(function, batched=batched)
    return Route(
        name=name,
        path=marks.path or f"/{name.strip('_')}",
        method=marks.method,
        marks=marks,
        function=_by_position(function),
        binding=binding_of(parameters, marks.method),
        is_async=is_async_generator or inspect.iscoroutinefunction(function),
        is_generator=is_generator,
        summary=marks.summary if marks.summary is not None else _summary(function),
        output_schema=_output_schema(function, batched, is_generator),
    )


def _read_socket(name: str, function: Callable[..., Any], marks: Marks) -> Route:
    if marks.batch_size is not None or marks.events or marks.timeout_s is not None:
        raise Unreadable("a WebSocket is no batch, no stream, and has no timeout; drop that")
    parameters = inspect.signature(function).parameters.values()
    required = [p for p in parameters if p.default is p.empty and p.kind is not p.VAR_KEYWORD]
    if not inspect.iscoroutinefunction(function) or len(required) != 1:
        raise Unreadable("a WebSocket is served by `async def` with one parameter, the socket")
    return Route(
        name=name,
        path=marks.path or f"/{name.strip('_')}",
        method="GET",
        marks=marks,
        function=function,
        binding=Binding(lambda call: (), None),
        is_async=True,
        is_generator=False,
        summary=marks.summary if marks.summary is not None else _summary(function),
        output_schema=None,
    )


def _by_position(function: Callable[..., Any]) -> Callable[..., Any]:
    """The function, taking all its parameters by position."""
    parameters = inspect.signature(function).parameters.values()
    named = [p.name for p in parameters if p.kind is p.KEYWORD_ONLY]
    if not named:
        return function
    split = len(parameters) - len(named)

    @functools.wraps(function)
    def call(*arguments: Any) -> Any:
        return function(*arguments[:split], **dict(zip(named, arguments[split:], strict=True)))

    return call


def _summary(function: Callable[..., Any]) -> str:
    paragraph = (inspect.getdoc(function) or "").split("\n\n", 1)[0]
    return " ".join(paragraph.split())


def _output_schema(
    function: Callable[..., Any], batched: bool, is_generator: bool
) -> dict[str, Any] | None:
    hint = hints_of(function).get("return")
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if (batched and origin is list) or (is_generator and origin in _ITERATORS):
        hint = arguments[0]
    if hint is None or hint is Any:
        return None
    try:
        return shape_of(hint).schema or None
    except Unreadable:  # Whatever is returned may still be sent.
        return None
