"""Whatever fails, each acknowledged task ends once, with its one answer and its one effect."""

import pytest

from faults import campaign

# With both stores more than fifty.
FAULTS = 28


@pytest.mark.parametrize("store", campaign.KINDS)
def test_no_acknowledged_task_is_lost_changed_or_done_twice(store, tmp_path):
    report = campaign.run(tmp_path, store, FAULTS, seed=1)
    assert report.broken == []
    assert sum(report.faults.values()) == FAULTS
    # It would prove nothing if nothing had happened.
    assert report.acknowledged > 100
    assert report.later_attempts > 0
    assert report.effects >= report.acknowledged
