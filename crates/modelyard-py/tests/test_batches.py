"""Batches: how they are closed, answered and given up."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import until


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("batches:Batches")


def together(worker, path, bodies):
    """Send calls at the same time; the answers in their order."""
    with ThreadPoolExecutor(len(bodies)) as pool:
        return list(pool.map(lambda body: worker.call(path, body), bodies))


@pytest.mark.parametrize("path", ["/predict", "/later"])
def test_a_full_batch_goes_at_once_and_each_call_gets_its_own_result(worker, path):
    answers = together(worker, path, [{"n": n} for n in range(4)])
    assert [answer.json() for answer in answers] == [{"n": n, "of": 4} for n in range(4)]


def test_a_lonely_call_goes_when_its_wait_is_over(worker):
    begun = time.monotonic()
    assert worker.call("/lonely", 7).json() == 1
    assert time.monotonic() - begun >= 0.05
    assert worker.call("/adaptive", 7).json() == 1


def test_a_call_that_does_not_fit_leaves_the_batch_to_the_others(worker):
    bodies = [{"n": 1}, {"n": "x"}, {"n": 3}, {"n": 4}]
    answers = together(worker, "/predict", bodies)
    assert [answer.status for answer in answers] == [200, 422, 200, 200]
    assert answers[1].json()["detail"] == "n: expected an integer, got str"
    assert answers[2].json() == {"n": 3, "of": 3}


def test_several_parameters_are_lists_each(worker):
    answer = worker.call("/two", {"left": 1, "right": 2}, headers={"x-request-id": "r-1"})
    assert answer.json() == [3, "r-1"]


def test_an_exception_among_the_results_fails_its_call_only(worker):
    answers = together(worker, "/some_fail", [0, 1, 2])
    assert [answer.status for answer in answers] == [500, 409, 200]
    assert answers[0].json()["detail"] == "zero"
    assert answers[1].json()["detail"] == "one"


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/raises", "the whole batch"),
        ("/too_few", "too_few returned 0 results for a batch of 2"),
        ("/no_list", "no_list must return a list with one result for each call, got str"),
    ],
)
def test_a_batch_that_fails_fails_every_call(worker, path, detail):
    answers = together(worker, path, [1, 2])
    assert {answer.status for answer in answers} == {500}
    assert {answer.json()["detail"] for answer in answers} == {detail}


def test_results_may_be_an_array(worker):
    pytest.importorskip("numpy")
    assert worker.call("/array", 1.5).json() == 3.0


def test_while_the_code_is_busy_the_next_batch_fills_up(worker):
    first = worker.send("/gated", -1)
    time.sleep(0.1)
    others = [worker.send("/gated", n) for n in range(20)]
    time.sleep(0.1)
    worker.call("/open_gate")
    assert json.load(first.getresponse()) == 1
    assert [json.load(call.getresponse()) for call in others] == [20] * 20


def test_a_batch_is_cancelled_once_all_its_members_left(worker):
    before = worker.call("/cancelled_batches").json()
    first, second = worker.send("/endless", 1), worker.send("/endless", 2)
    time.sleep(0.1)
    first.close()
    time.sleep(0.1)
    assert worker.call("/cancelled_batches").json() == before
    second.close()
    until(lambda: worker.call("/cancelled_batches").json() == before + 1)


def test_the_limits_of_the_launch_go_before_those_of_the_code(start):
    worker = start("batches:Limits", launch={"max_batch_size": 3, "max_wait_ms": 9})
    told = worker.call("/-/describe", method="GET").json()
    route = told["routes"][0]
    assert (route["max_batch_size"], route["max_wait_ms"]) == (3, 9)
    assert told["capacity"] == 6


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("NotAList", "predict: parameter `number` of a batch is a list: write list[...]"),
        ("Stream", "predict: a batch answers with lists and cannot be a stream"),
    ],
)
def test_a_batch_that_cannot_work_stops_the_start(start, model, text):
    worker = start(f"batches:{model}", ready=False)
    assert worker.process.wait(20) == 1
    assert text in worker.output().splitlines()[-1]
