"""The cases of the benchmarks, without measuring."""

import pytest
from harness import ROOT
from suite import ours
from suite.cases import CASES
from suite.figures import Results


@pytest.mark.parametrize("name", CASES)
def test_a_case_that_measured_nothing_has_tables_without_figures(name):
    text = CASES[name].tables(Results({"samples": [], "failures": []}))
    assert "None" not in text and "nan" not in text


@pytest.mark.parametrize("name", [*CASES, "machine"])
def test_the_page_has_a_place_for_each_case(name):
    page = (ROOT / "docs/benchmarks.md").read_text()
    assert page.count(f"<!-- {name} -->") == 1
    assert page.index(f"<!-- {name} -->") < page.index(f"<!-- /{name} -->")


@pytest.mark.parametrize("peer", sorted({peer for case in CASES.values() for peer in case.PEERS}))
def test_each_peer_is_pinned(peer):
    if peer == "modelyard":
        return
    lines = (ROOT / f"bench/peers/{peer}.txt").read_text().splitlines()
    assert lines and all("==" in line for line in lines)


def test_a_configuration_is_toml():
    tomllib = pytest.importorskip("tomllib")
    config = {"server": {"drain_seconds": 0.5}, "models": {"a-b": {"metadata": {"x": [1, True]}}}}
    assert tomllib.loads(ours.toml(config)) == config
