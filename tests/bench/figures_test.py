"""How figures are made of samples, and put into the page."""

import pytest
import report
from suite.figures import Results, Spread, at_least, at_most, judged, table
from suite.session import TROUBLES


def results(*samples, failures=()):
    fields = ("round", "contender", "kind", "rps")
    rows = [dict(zip(fields, sample, strict=True)) for sample in samples]
    raw = {"mode": "all", "date": "2026-11-20", "seconds": 10, "busy_max": 0.01}
    return Results({**raw, "samples": rows, "failures": list(failures)})


def test_a_figure_is_the_median_with_its_range():
    assert Spread((3.0, 1.0, 2.0)).show() == "2 (1–3)"
    assert Spread((12345.6,)).show(0) == "12,346"
    assert Spread((0.125,)).show() == "0.12"


def test_a_ratio_compares_what_ran_in_the_same_round():
    # The machine was twice as fast in round 2, and the ratio is the same.
    seen = results(
        (1, "ours", "load", 30), (1, "peer", "load", 10),
        (2, "ours", "load", 60), (2, "peer", "load", 20),
        (3, "ours", "load", 30),
    )  # fmt: skip
    ratio = seen.ratio(("ours", "load", "rps"), ("peer", "load", "rps"))
    assert ratio.values == (3, 3)


def test_what_was_not_measured_is_left_out_and_not_made_up():
    seen = results((1, "ours", "load", 30))
    assert seen.spread("peer", "load", "rps") is None
    assert seen.ratio(("ours", "load", "rps"), ("peer", "load", "rps")) is None
    assert at_least("faster", None, 1.5) == []
    assert judged([]) == ""


@pytest.mark.parametrize(
    ("judgements", "met"),
    [
        (at_least("a", Spread((1.4, 1.5, 9.0)), 1.5), True),
        (at_least("a", Spread((1.49,)), 1.5), False),
        (at_most("a", Spread((8.0,)), 8, "ms"), True),
        (at_most("a", Spread((8.1,)), 8, "ms"), False),
    ],
)
def test_a_target_is_met_by_the_median(judgements, met):
    assert [judgement.met for judgement in judgements] == [met]


def test_errors_of_a_run_are_told():
    seen = results((1, "ours", "load", 30), failures=["peer: it ended with 1:\nlong text"])
    seen.raw["samples"][0]["errors"] = 2
    assert seen.troubles(TROUBLES) == ["ours, load, round 1: 2 errors", "peer: it ended with 1:"]


def test_a_reader_is_told_of_a_machine_that_was_busy():
    seen = results((1, "modelyard", "idle", 1))
    assert "Not clean" not in report.section("idle", seen)
    seen.raw["busy_max"] = 0.5
    assert "others took 50% of the processors" in report.section("idle", seen)


def test_a_table_of_the_page_is_replaced_and_the_others_stay():
    page = "# A\n<!-- echo -->\nold\n<!-- /echo -->\n<!-- idle -->\nkept\n<!-- /idle -->\n"
    page = report.replaced(page, "echo", table(("a",), [("1",)]))
    assert page == (
        "# A\n<!-- echo -->\n\n| a |\n| --- |\n| 1 |\n\n<!-- /echo -->\n"
        "<!-- idle -->\nkept\n<!-- /idle -->\n"
    )
    with pytest.raises(SystemExit, match="no place for `tasks`"):
        report.replaced(page, "tasks", "")
