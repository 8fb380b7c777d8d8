"""What the benchmarks start, they end, and nothing else."""

import subprocess
import sys
import time

import pytest
from suite import proc
from suite.processes import DidNotStart, running

# Starts a child in a session of its own that ignores the signal to end, as careless servers do.
STUBBORN = """
import signal, subprocess, sys, time
child = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(60)"
subprocess.Popen([sys.executable, "-c", child], start_new_session=True)
time.sleep(60)
"""

BUSY_THEN_IDLE = """
import time
while time.process_time() < 0.3: pass
print("done", flush=True)
time.sleep(60)
"""


def test_a_process_is_ended_with_everything_that_it_started(monkeypatch):
    monkeypatch.setattr("suite.processes._STOP_SECONDS_MAX", 1)
    bystander = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    try:
        with running([sys.executable, "-c", STUBBORN]) as process:
            process.wait_until(lambda: len(process.family()) == 2, seconds_max=20)
            assert process.pid in process.family() and bystander.pid not in process.family()
        assert process.family() == set()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()


def test_a_server_that_ends_at_once_is_told_with_its_last_words():
    with (
        running([sys.executable, "-c", "print('no such port'); raise SystemExit(3)"]) as process,
        pytest.raises(DidNotStart, match=r"(?s)ended with 3.*no such port"),
    ):
        process.wait_until(lambda: False, seconds_max=20)


def test_processor_time_is_that_of_the_processes_that_are_asked_for():
    with running([sys.executable, "-c", BUSY_THEN_IDLE]) as process:
        process.wait_until(lambda: "done" in process.last_lines(), seconds_max=30)
        assert proc.cpu_s({process.pid}) >= 0.29
        assert 0 < proc.memory_mb(process.pid, "RssAnon") < proc.memory_mb(process.pid)
        before = proc.cpu_s({process.pid})
        time.sleep(0.2)
        assert proc.cpu_s({process.pid}) - before < 0.1
