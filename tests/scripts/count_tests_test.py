"""scripts/count_tests.py: what it makes of the output of each runner."""

import pytest
from harness import ROOT, load

count = load(ROOT / "scripts/count_tests.py").count


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("     Summary [   0.387s] 22 tests run: 20 passed, 2 failed, 0 skipped", (20, 2)),
        ("     Summary [   9.1s] 5/9 tests run: 3 passed (1 slow), 2 timed out, 1 skipped", (3, 2)),
        ("     Summary [   9.1s] 1 test run: 1 passed, 0 skipped", (1, 0)),
        ("test result: FAILED. 3 passed; 1 failed; 0 ignored; 0 measured", (3, 1)),
        ("    test result: FAILED. 0 passed; 1 failed; 0 ignored", (0, 0)),
        ("=== 1 failed, 12 passed, 2 skipped, 1 error in 3.04s ===", (12, 2)),
        ("599 passed, 3 warnings in 75.10s (0:01:15)", (599, 0)),
        ("\x1b[32m\x1b[1m2 passed\x1b[0m\x1b[32m in 0.01s\x1b[0m", (2, 0)),
        ("the model passed 3 tests in 5s", (0, 0)),
    ],
)
def test_the_summary_of_each_runner_is_counted(line, expected):
    assert count([line]) == expected


def test_the_runners_add_up():
    lines = ["test result: ok. 3 passed; 0 failed; 0 ignored", "4 passed, 1 failed in 0.1s"]
    assert count(lines) == (7, 1)
