"""What a gateway hears of a worker and of its calls."""

from __future__ import annotations

import pytest

from conftest import until

CALL = "00000000-0000-7000-8000-00000000000c"


@pytest.fixture
def worker(start, gateway):
    launch = {"gateway": gateway.address, "join_token": "secret", "heartbeat_ms": 50}
    worker = start("lives:Lives", launch=launch)
    until(lambda: gateway.heartbeats > 0)
    return worker


def test_a_worker_registers_and_leaves(worker, gateway):
    told = gateway.registrations[0]
    assert (told["model"], told["version"]) == ("tested", "7")
    assert told["auth"] == "Bearer secret"
    assert told["address"] == f"unix:{worker.path}"
    assert told["description"]["default_route"] == "/predict"
    assert told["description"]["capacity"] == 64
    worker.process.terminate()
    assert gateway.left.wait(10)
    assert worker.process.wait(10) == 0


def test_progress_and_usage_reach_the_gateway(worker, gateway):
    worker.call("/report", headers={"x-call-id": CALL})
    until(lambda: bool(gateway.ends()))
    progress = next(report for report in gateway.reports if report["kind"] == "progress")
    assert progress == {
        "kind": "progress",
        "call_id": CALL,
        "fraction": 0.5,
        "message": "half way",
        "partial": {"so": "far"},
    }
    assert gateway.ends() == [
        {"kind": "ended", "call_id": CALL, "outcome": "completed", "usage": {"tokens": 3}}
    ]


def test_code_that_outlives_its_client_is_told_until_it_ends(worker, gateway):
    call = worker.send("/block", 0.5, headers={"x-call-id": CALL})
    until(lambda: [running["call_id"] for running in gateway.running] == [CALL])
    call.close()
    until(lambda: bool(gateway.ends()))
    assert gateway.ends() == [{"kind": "ended", "call_id": CALL, "outcome": "cancelled"}]
    until(lambda: gateway.running == [])
