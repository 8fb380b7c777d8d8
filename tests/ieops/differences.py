"""The differences from the reference that docs/compat/ieops.md admits."""

import re

from harness import ROOT
from ieops.yard import VERSIONS

PAGES = (ROOT / "docs/compat/ieops.md", ROOT / "docs/compat/ieops.zh-CN.md")

# | `question` | `version` or `all` | theirs | ours | why |
_ROW = re.compile(r"^\| `(?P<question>[^`]+)` \| `(?P<version>[^`]+)` \|(?P<rest>.*)\|$")


def listed(page) -> set[tuple[str, str]]:
    """Question and version of each row of the page's table."""
    found: set[tuple[str, str]] = set()
    for line in page.read_text().splitlines():
        if row := _ROW.match(line):
            cells = row["rest"].split(" | ")
            assert len(cells) == 3 and all(cell.strip() for cell in cells), f"not whole: {line}"
            versions = VERSIONS if row["version"] == "all" else (row["version"],)
            for version in versions:
                assert version in VERSIONS, f"no such version: {line}"
                assert (row["question"], version) not in found, f"twice: {line}"
                found.add((row["question"], version))
    return found
