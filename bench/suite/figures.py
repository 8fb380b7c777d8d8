"""From samples to figures: medians, ranges, ratios, and whether a target is met."""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median


@dataclass(frozen=True)
class Spread:
    """The values of several rounds."""

    values: tuple[float, ...]

    @property
    def median(self) -> float:
        return median(self.values)

    def show(self, digits: int = 2) -> str:
        """The median, and the range in brackets."""
        low, high = min(self.values), max(self.values)
        shown = _number(self.median, digits)
        if len(self.values) == 1:
            return shown
        return f"{shown} ({_number(low, digits)}–{_number(high, digits)})"


@dataclass(frozen=True)
class Judgement:
    """One target, and whether it was met."""

    what: str
    target: str
    measured: str
    met: bool


class Results:
    """The raw results of one case."""

    def __init__(self, raw: dict):
        self.raw = raw
        self._samples: list[dict] = raw["samples"]

    @classmethod
    def read(cls, file: Path) -> "Results":
        return cls(json.loads(file.read_text()))

    def by_round(self, contender: str, kind: str, name: str) -> dict[int, float]:
        """One field of one contender's samples."""
        return {
            sample["round"]: sample[name]
            for sample in self._samples
            if sample["contender"] == contender and sample["kind"] == kind and name in sample
        }

    def spread(self, contender: str, kind: str, name: str) -> Spread | None:
        """One field over all rounds; `None` if it was not measured."""
        return _spread(self.by_round(contender, kind, name).values())

    def ratio(self, upper: tuple[str, str, str], lower: tuple[str, str, str]) -> Spread | None:
        """Round by round, because a noisy machine is noisy for both of a round."""
        return self._pairs(upper, lower, lambda one, other: one / other)

    def difference(self, one: tuple[str, str, str], less: tuple[str, str, str]) -> Spread | None:
        """Round by round."""
        return self._pairs(one, less, lambda one, less: one - less)

    def troubles(self, names: Sequence[str]) -> list[str]:
        """Sentences about runs that had errors, and about contenders that failed."""
        found = [
            f"{sample['contender']}, {sample['kind']}, round {sample['round']}: "
            + ", ".join(f"{sample[name]} {name}" for name in names if sample.get(name))
            for sample in self._samples
            if any(sample.get(name) for name in names)
        ]
        return found + [text.splitlines()[0] for text in self.raw["failures"]]

    def _pairs(self, one, other, combine) -> Spread | None:
        first, second = self.by_round(*one), self.by_round(*other)
        both = [number for number in first if number in second]
        return _spread(combine(first[number], second[number]) for number in both)


def at_least(what: str, spread: Spread | None, target: float, unit: str = "x") -> list[Judgement]:
    """A judgement on a figure that should be high; none if it was not measured."""
    if spread is None:
        return []
    shown = f"≥ {_number(target, 2)}{_unit(unit)}"
    met = spread.median >= target
    return [Judgement(what, shown, f"{spread.show()}{_unit(unit)}", met)]


def at_most(what: str, spread: Spread | None, target: float, unit: str) -> list[Judgement]:
    """A judgement on a figure that should be low; none if it was not measured."""
    if spread is None:
        return []
    shown = f"≤ {_number(target, 2)}{_unit(unit)}"
    met = spread.median <= target
    return [Judgement(what, shown, f"{spread.show()}{_unit(unit)}", met)]


def judged(judgements: Sequence[Judgement]) -> str:
    """The targets as a table."""
    rows = [
        (judgement.what, judgement.target, judgement.measured, "yes" if judgement.met else "**no**")
        for judgement in judgements
    ]
    return table(("figure", "target", "measured", "met"), rows) if rows else ""


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table of Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)


def cell(spread: Spread | None, digits: int = 2) -> str:
    """A spread, or a dash where nothing was measured."""
    return "–" if spread is None else spread.show(digits)


def _spread(values: Iterable[float]) -> Spread | None:
    values = tuple(values)
    return Spread(values) if values else None


def _unit(unit: str) -> str:
    return unit if unit in {"x", "%"} else f" {unit}"


def _number(value: float, digits: int) -> str:
    """Three figures are enough; thousands are grouped."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    text = f"{value:.{digits}f}" if abs(value) < 10 else f"{value:.1f}"
    return text.rstrip("0").rstrip(".") if "." in text else text
