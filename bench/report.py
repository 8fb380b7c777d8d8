"""Lays out what was measured: `report.py [--write] [case…]`.

Prints the tables; with `--write` it puts them into `docs/benchmarks.md`, each between the
comments that name its case. Tables of cases that were not measured stay as they are.
"""

import argparse
import re
import sys
from pathlib import Path

from suite.cases import CASES, case_name
from suite.figures import Results, table
from suite.places import RESULTS, ROOT
from suite.session import TROUBLES

_PAGE = ROOT / "docs/benchmarks.md"

# A machine that does nothing else still has its own chores.
_BUSY_MAX = 0.1


def main() -> int:
    arguments = _arguments()
    measured = {name: Results.read(file) for name, file in _files(arguments.case).items()}
    if not measured:
        print("nothing was measured yet; run bench/run.sh", file=sys.stderr)
        return 1
    if not arguments.write:
        for name, results in measured.items():
            print(f"## {CASES[name].TITLE}\n\n{section(name, results)}\n")
        return 0
    page = _PAGE.read_text()
    for name, results in measured.items():
        page = replaced(page, name, section(name, results))
    newest = max(measured.values(), key=lambda results: results.raw["date"])
    _PAGE.write_text(replaced(page, "machine", machine(newest)))
    return 0


def section(name: str, results: Results) -> str:
    """The tables of one case, when and how they were made, and what went wrong."""
    raw = results.raw
    rounds = max((sample["round"] for sample in raw["samples"]), default=0)
    how = f"`bench/run.sh {raw['mode']} {name}`, {raw['date']}, rounds: {rounds}"
    run = getattr(CASES[name], "RUN", f"each run {raw['seconds']:g} s")
    how += f", {run}."
    return "\n\n".join([how, CASES[name].tables(results), *_doubts(results)]).rstrip()


def _doubts(results: Results) -> list[str]:
    """Why a reader should not believe the tables, if there is a reason."""
    troubles = results.troubles(TROUBLES)
    busy = results.raw["busy_max"]
    if busy > _BUSY_MAX:
        troubles.append(f"before a round, others took {busy:.0%} of the processors")
    return ["Not clean:\n\n" + "\n".join(f"- {text}" for text in troubles)] if troubles else []


def machine(results: Results) -> str:
    """The machine as a table."""
    return table(("machine", ""), results.raw["machine"].items())


def replaced(page: str, name: str, text: str) -> str:
    """The page with `text` between the two comments of `name`."""
    begin, end = f"<!-- {name} -->", f"<!-- /{name} -->"
    pattern = re.compile(re.escape(begin) + ".*?" + re.escape(end), re.DOTALL)
    if not pattern.search(page):
        raise SystemExit(f"docs/benchmarks.md has no place for `{name}`: {begin} {end}")
    return pattern.sub(lambda _: f"{begin}\n\n{text}\n\n{end}", page)


def _files(names: list[str]) -> dict[str, Path]:
    files = {name: RESULTS / f"{name}.json" for name in names or CASES}
    return {name: file for name, file in files.items() if file.exists()}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("case", nargs="*", type=case_name, help="default: all measured")
    parser.add_argument("--write", action="store_true", help="into docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
