"""Sums up what cargo-nextest, cargo test and pytest said: reads their output, prints one line."""

import re
import sys

# `Summary [ 0.387s] 22 tests run: 20 passed (1 slow), 2 failed, 0 skipped`
NEXTEST = re.compile(r"^\s*Summary \[.*\] +\d+(?:/\d+)? tests? run: (.*)$")
# `test result: FAILED. 3 passed; 1 failed; 0 ignored; …`
CARGO = re.compile(r"^test result: \w+\. (\d+) passed; (\d+) failed;")
# `==== 1 failed, 12 passed, 1 error in 3.04s ====`, or the same without `=` when quiet
PYTEST = re.compile(r"^(?:=+ )?((?:\d+ [a-z]+,? )+)in [\d.]+s")
COLOUR = re.compile(r"\x1b\[[\d;]*m")

FAILURES = ("failed", "error", "errors", "timed out", "exec failed")


def counted(words: str) -> tuple[int, int]:
    """`20 passed (1 slow), 2 failed` as (20, 2)."""
    passed = failed = 0
    for number, word in re.findall(r"(\d+) (exec failed|timed out|[a-z]+)", words):
        if word == "passed":
            passed += int(number)
        elif word in FAILURES:
            failed += int(number)
    return passed, failed


def count(lines: list[str]) -> tuple[int, int]:
    """All tests that passed and that failed in the output of the runners."""
    total_passed = total_failed = 0
    for line in lines:
        line = COLOUR.sub("", line)
        if found := CARGO.match(line):
            passed, failed = int(found[1]), int(found[2])
        elif found := NEXTEST.match(line) or PYTEST.match(line):
            passed, failed = counted(found[1])
        else:
            continue
        total_passed += passed
        total_failed += failed
    return total_passed, total_failed


if __name__ == "__main__":
    print(*count(sys.stdin.readlines()))
