"""The table of servers that were given the same closed load."""

from collections.abc import Sequence
from dataclasses import dataclass

from suite.figures import Results, cell, table


@dataclass(frozen=True)
class Label:
    """What a contender is called in a table."""

    key: str
    text: str


def comparison(
    results: Results,
    labels: Sequence[Label],
    references: Sequence[tuple[str, str]],
    kind: str = "loadgen",
    cross_check: str | None = "wrk",
) -> str:
    """Requests a second and latencies; for each reference, how many times faster it was.

    `references` are pairs of a name for the column and a contender.
    """
    header = ["server", "req/s", "p50 ms", "p99 ms"]
    header += [f"{name} ÷ it" for name, _ in references]
    header += [f"req/s with {cross_check}"] if cross_check else []
    rows = []
    for label in labels:
        if results.spread(label.key, kind, "rps") is None:
            continue
        row = [label.text, *_seen(results, label.key, kind)]
        for _, reference in references:
            ratio = results.ratio((reference, kind, "rps"), (label.key, kind, "rps"))
            row.append("" if label.key.startswith("modelyard") else cell(ratio))
        row += [cell(results.spread(label.key, cross_check, "rps"), 0)] if cross_check else []
        rows.append(row)
    return table(header, rows)


def _seen(results: Results, key: str, kind: str) -> list[str]:
    rps = results.spread(key, kind, "rps")
    latencies = [results.spread(key, kind, name) for name in ("p50_ms", "p99_ms")]
    return [cell(rps, 0), *map(cell, latencies)]
