"""The life of a worker: start, warm-up, cancelled calls, drain, end."""

from __future__ import annotations

import json
import signal
import time

import pytest

from conftest import until


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("lives:Lives")


def notes(worker):
    return worker.call("/notes").json()["seen"]


def begin(worker, path, name):
    """A call whose code has begun."""
    call = worker.send(path, name)
    until(lambda: f"{name} began" in notes(worker))
    return call


def test_an_async_method_is_cancelled_when_its_client_leaves(worker):
    begin(worker, "/wait", "a").close()
    until(lambda: "a cancelled True" in notes(worker))


def test_a_deadline_cancels_like_a_client_that_leaves(worker):
    answer = worker.call("/wait", "late", headers={"x-deadline-ms": "50"})
    assert (answer.status, answer.json()["code"]) == (504, "deadline_exceeded")
    until(lambda: "late cancelled True" in notes(worker))


def test_synchronous_code_can_see_that_its_client_left(worker):
    begin(worker, "/poll", "b").close()
    until(lambda: "b saw it" in notes(worker))


def test_a_call_keeps_its_place_until_its_code_has_ended(start):
    worker = start("lives:OneAtATime", launch={})
    running = worker.send("/block", 0.6)
    time.sleep(0.1)
    running.close()
    time.sleep(0.1)
    refused = worker.call("/predict", raw=b"")
    assert (refused.status, refused.headers["x-not-begun"]) == (503, "1")
    until(lambda: worker.call("/predict", raw=b"").status == 422)


def test_code_that_will_not_be_cancelled_keeps_its_place_too(start):
    worker = start("lives:OneAtATime", launch={})
    connection = worker.send("/stubborn", 0.4)
    time.sleep(0.1)
    connection.close()
    time.sleep(0.1)
    assert worker.call("/predict", raw=b"").status == 503
    until(lambda: worker.call("/notes", raw=b"").status == 200)
    assert notes(worker) == ["gave in"]


def test_a_call_that_waits_is_given_up_when_its_client_leaves(start):
    worker = start("lives:Lives", launch={"capacity": 3})
    running = worker.send("/block", 0.5)
    time.sleep(0.1)
    worker.send("/poll", "never").close()
    running.getresponse().read()
    time.sleep(0.1)
    assert notes(worker) == ["block began"]


def test_progress_and_usage_can_be_reported_without_a_gateway(worker):
    assert worker.call("/report").json() == "done"


def test_a_drain_finishes_what_runs_and_hands_back_what_waits(start):
    worker = start("lives:Lives")
    running = [worker.send("/block", 0.6), worker.send("/sleep", 0.6)]
    until(lambda: "block began" in notes(worker))
    waiting = worker.send("/block", 0.1)
    time.sleep(0.1)
    worker.process.send_signal(signal.SIGTERM)
    handed_back = waiting.getresponse()
    assert (handed_back.status, handed_back.headers["x-not-begun"]) == (503, "1")
    assert json.load(handed_back)["code"] == "server_draining"
    assert [json.load(call.getresponse()) for call in running] == ["done", "done"]
    assert worker.process.wait(10) == 0


def test_a_second_signal_ends_at_once(start):
    worker = start("lives:Lives")
    running = worker.send("/block", 30)
    until(lambda: "block began" in notes(worker))
    worker.process.send_signal(signal.SIGINT)
    time.sleep(0.2)
    assert worker.process.poll() is None
    worker.process.send_signal(signal.SIGINT)
    assert worker.process.wait(5) == 1
    running.close()


def test_the_worker_is_warmed_up_before_it_is_ready(start):
    worker = start("lives:Lives", launch={"warmup": {"x": 1}})
    assert worker.call("/notes").json()["warm"] == {"x": 1}


def test_a_warm_up_that_fails_stops_the_start(start):
    worker = start("lives:Lives", launch={"warmup": "fail"}, ready=False)
    assert worker.process.wait(20) == 1
    last = worker.output().splitlines()[-1]
    assert "the warm-up call failed" in last
    assert "cold" in last


@pytest.mark.parametrize(
    ("model", "last_line", "above"),
    [
        (
            "lives:FailsInSetup",
            "setup failed in {}: FileNotFoundError: no weights at /nowhere",
            "in setup",
        ),
        ("lives:FailsInSetupLater", "setup failed in {}: MemoryError: too big", "in setup"),
        ("lives:ExitsInSetup", "setup failed in {}: SystemExit: I give up", "in setup"),
        ("lives:NeedsArguments", "cannot create {}: TypeError: ", "Traceback"),
        ("lives:NoDefault", "cannot serve {}: Unreadable: which of one, two", "Traceback"),
        ("lives:Nothing", "cannot serve {}: Unreadable: the class has no public", "Traceback"),
        ("lives:Absent", "cannot load {}: LoadError: ", "Traceback"),
        ("absent:Any", "cannot load {}: LoadError: there is no file", "Traceback"),
        ("broken:Any", "cannot load {}: ModuleNotFoundError: No module named", "import nowhere"),
    ],
)
def test_a_start_that_fails_says_why_in_its_last_line(start, model, last_line, above):
    worker = start(model, ready=False)
    assert worker.process.wait(20) == 1
    lines = worker.output().splitlines()
    implementation = worker.process.args[3]
    assert lines[-1].startswith(f"modelyard: {last_line.format(implementation)}")
    assert any(above in line for line in lines[:-1])


def test_an_address_in_use_says_so(start):
    first = start("lives:Lives")
    second = start("lives:Lives", "--unix", first.path, ready=False)
    assert second.process.wait(20) == 1
    assert "another process serves" in second.output().splitlines()[-1]


def test_setup_may_fork(start):
    worker = start("lives:Forks")
    assert worker.call("/predict").json() == [1, 1, 7]


def test_under_a_gateway_every_line_of_ours_is_json(start):
    worker = start("lives:Lives", launch={})
    worker.call("/speak", headers={"x-request-id": "r-5"})
    output = worker.wait_for_output("logged well")
    lines = [json.loads(line) for line in output.splitlines() if line != "printed"]
    assert all({"timestamp", "level", "message"} <= set(line) for line in lines)
    logged = next(line for line in lines if line["message"] == "logged well")
    assert logged["logger"] == "modelyard.model"
    assert (logged["level"], logged["request_id"], logged["size"]) == ("WARNING", "r-5", 3)


def test_what_is_printed_is_not_held_back(start):
    worker = start("lives:Lives")
    worker.call("/speak")
    worker.wait_for_output("printed", seconds=3)


def test_a_worker_ends_with_the_gateway_that_started_it(start):
    worker = start("lives:Lives", launch={}, lifeline="stdin")
    running = worker.send("/sleep", 60)
    worker.process.stdin.close()
    worker.process.wait(5)
    running.close()
