"""Programs that are run to their end."""

import sys

import pytest
from suite.commands import Failed, run

HOLDS = "held = bytearray(64_000_000); held[::4096] = b'x' * len(held[::4096]); print('held')"


def test_a_program_is_told_with_its_output_its_time_and_its_memory_at_its_largest():
    small = run([sys.executable, "-c", "print('small')"], seconds_max=60)
    large = run([sys.executable, "-c", HOLDS], seconds_max=60)
    assert (small.output, large.output) == ("small\n", "held\n")
    # A process counts what its parent held when it was forked, so the small one may look large.
    assert large.peak_rss_mb > 64 and small.peak_rss_mb > 0
    assert small.wall_s > 0 and 0 <= small.others <= 1


def test_a_program_that_fails_is_told_with_its_last_words_and_without_its_path():
    words = "import sys; print('one', file=sys.stderr); sys.exit('no such model')"
    with pytest.raises(Failed, match=r"^python\S* ended with 1: one / no such model$"):
        run([sys.executable, "-c", words], seconds_max=60)


def test_a_program_that_takes_too_long_is_killed():
    with pytest.raises(Failed, match="ended with -9"):
        run([sys.executable, "-c", "import time; time.sleep(60)"], seconds_max=0.5)
