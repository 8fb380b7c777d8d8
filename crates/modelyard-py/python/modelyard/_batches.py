"""Calls that are given to a method together."""

from __future__ import annotations

from typing import Any

from ._answers import answer, fail
from ._core import Call
from ._routes import Route


class Batch:
    """The calls of a batch whose input fits, and their arguments."""

    def __init__(self, route: Route, calls: list[Call]) -> None:
        self.route = route
        self.members: list[Call] = []
        self._rows: list[tuple[Any, ...]] = []
        bind = route.binding.bind
        for call in calls:
            if not call.begin():
                continue
            try:
                row = bind(call)
            except Exception as error:
                fail(call, error)
            else:
                self.members.append(call)
                self._rows.append(row)

    def arguments(self) -> list[list[Any]]:
        """A list for each parameter."""
        return [list(column) for column in zip(*self._rows, strict=True)]

    def only_call(self) -> Call | None:
        """The call of a batch of one."""
        return self.members[0] if len(self.members) == 1 else None

    def settle(self, results: Any) -> None:
        """Answer each call with its result; an exception among them fails its call only."""
        for call, result in zip(self.members, self._one_each(results), strict=True):
            try:
                if isinstance(result, BaseException):
                    fail(call, result)
                elif not call.answer(result) and answer(call, result) is not None:
                    raise TypeError("a batch cannot answer with streams")
            except Exception as error:
                fail(call, error)

    def fail(self, error: BaseException) -> None:
        """The method raised: every call fails."""
        for call in self.members:
            fail(call, error)

    def _one_each(self, results: Any) -> list[Any]:
        name, size = self.route.name, len(self.members)
        sized = hasattr(results, "__len__") and not isinstance(results, (str, bytes, dict))
        if not sized:
            kind = type(results).__name__
            raise TypeError(f"{name} must return a list with one result for each call, got {kind}")
        if len(results) != size:
            raise ValueError(f"{name} returned {len(results)} results for a batch of {size}")
        return list(results)
