"""Headers whose names may be written in any case."""

from __future__ import annotations

from collections.abc import Iterator, Mapping


class Headers(Mapping[str, str]):
    """Headers by name, in any case. Of a repeated one, the first; `getlist` gives all."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._pairs = pairs

    def __getitem__(self, name: str) -> str:
        wanted = name.lower()
        for own, value in self._pairs:
            if own == wanted:
                return value
        raise KeyError(name)

    def getlist(self, name: str) -> list[str]:
        """All values of a header, in their order."""
        wanted = name.lower()
        return [value for own, value in self._pairs if own == wanted]

    def __iter__(self) -> Iterator[str]:
        return iter(dict(self._pairs))

    def __len__(self) -> int:
        return len(dict(self._pairs))

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and any(own == name.lower() for own, _ in self._pairs)

    def __repr__(self) -> str:
        return f"Headers({self._pairs!r})"
