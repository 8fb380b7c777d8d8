"""What kind of code a handler is."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from enum import Enum
from typing import Any


class Shape(Enum):
    """How a handler is run."""

    ASYNC_GENERATOR = "async generator"
    GENERATOR = "generator"
    COROUTINE = "async function"
    FUNCTION = "function"

    @property
    def on_loop(self) -> bool:
        """It runs on the event loop; the others run on threads."""
        return self in (Shape.ASYNC_GENERATOR, Shape.COROUTINE)


def shape_of(handler: Callable[..., Any]) -> Shape:
    """The shape of a function, a method, a partial, or an object that can be called.

    Raises `TypeError` if `handler` cannot be called.
    """
    if not callable(handler):
        raise TypeError(f"a handler is something that can be called, not {handler!r}")
    code = handler
    while isinstance(code, functools.partial):
        code = code.func
    if not inspect.isroutine(code) and not inspect.isclass(code):
        code = type(code).__call__
    if inspect.isasyncgenfunction(code):
        return Shape.ASYNC_GENERATOR
    if inspect.isgeneratorfunction(code):
        return Shape.GENERATOR
    if inspect.iscoroutinefunction(code):
        return Shape.COROUTINE
    return Shape.FUNCTION
