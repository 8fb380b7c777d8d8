"""Child processes of workers, with real processes: start, health, output, end, and no orphans."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from modelyard.utils import SubprocessManager, create_http_health_check, log

WAIT_SECONDS_MAX = 30


@pytest.fixture(autouse=True)
def lines(capsys):
    log.set_logger(app_name="child", file_enabled=False)
    yield lambda: capsys.readouterr().out
    log.set_logger(app_name="ieops", file_enabled=False)


def manager(folder: Path, command: str, **options) -> SubprocessManager:
    quick = {"health_check_interval": 0.02, "monitor_interval": 0.02, "exit_on_failure": False}
    return SubprocessManager(command, str(folder), **{**quick, **options})


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"


def until(condition) -> None:
    deadline = time.monotonic() + WAIT_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def test_a_command_runs_until_it_is_stopped(tmp_path, lines):
    async def life():
        child = manager(
            tmp_path,
            "echo hello from $GREETER; exec sleep 60",
            extra_env={"GREETER": "the child"},
            name="voice",
        )
        assert (child.is_running, child.is_ready, child.exit_code, child.pid) == (
            False,
            False,
            None,
            None,
        )
        await child.start()
        pid = child.pid
        assert child.is_running and child.is_ready and child.exit_code is None and alive(pid)
        with pytest.raises(RuntimeError, match="runs already"):
            await child.start()
        await child.stop()
        assert not child.is_running and not child.is_ready and child.pid is None
        assert child.exit_code == -signal.SIGTERM
        assert not alive(pid)
        await child.stop()

    asyncio.run(life())
    assert "--- [voice] hello from the child\n" in lines()


def test_the_command_starts_in_its_folder_and_its_last_words_are_heard(tmp_path, lines):
    async def life():
        child = manager(tmp_path, "pwd; printf 'no newline'; printf '\\377' >&2", log_prefix="out:")
        await child.start()
        while child.is_running:
            await asyncio.sleep(0.02)
        await child.stop()
        assert child.exit_code == 0

    asyncio.run(life())
    said = lines()
    assert f"--- out: {tmp_path}\n" in said
    assert "--- out: no newline\ufffd\n" in said


def test_it_is_ready_once_the_health_check_says_so(tmp_path):
    answers = iter([False, OSError("not yet"), True])

    async def check():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def life():
        child = manager(tmp_path, "exec sleep 60", health_check=check)
        await child.start()
        assert child.is_ready
        await child.stop()

    asyncio.run(life())
    assert next(answers, "all asked") == "all asked"


async def never() -> bool:
    return False


def test_a_command_that_dies_before_it_is_ready_is_an_error(tmp_path):
    child = manager(tmp_path, "exit 3", health_check=never)
    with pytest.raises(RuntimeError, match="exit code 3"):
        asyncio.run(child.start())
    assert child.exit_code == 3


def test_a_command_that_is_never_ready_is_ended(tmp_path):
    child = manager(tmp_path, "exec sleep 60", health_check=never, startup_timeout=0.2)
    with pytest.raises(TimeoutError, match=r"within 0\.2s"):
        asyncio.run(child.start())
    assert child.exit_code == -signal.SIGKILL


@pytest.mark.parametrize("command", ["exit 3", "exec sleep 60"])
def test_the_process_ends_with_a_command_that_does_not_start(tmp_path, command):
    child = manager(
        tmp_path, command, health_check=never, startup_timeout=0.3, exit_on_failure=True
    )
    with pytest.raises(SystemExit) as ended:
        asyncio.run(child.start())
    assert ended.value.code == 1


def test_a_start_that_is_cancelled_leaves_nothing(tmp_path):
    async def life():
        child = manager(tmp_path, "exec sleep 60", health_check=never)
        start = asyncio.create_task(child.start())
        while not child.is_running:
            await asyncio.sleep(0.01)
        pid = child.pid
        start.cancel()
        with pytest.raises(asyncio.CancelledError):
            await start
        assert not alive(pid)

    asyncio.run(life())


STUBBORN = (
    "trap '' TERM; (trap '' TERM; echo $$ >/dev/null; exec sleep 61) & echo $! >rest; "
    "while :; do sleep 0.05; done"
)


def test_a_command_that_does_not_listen_is_killed_with_all_it_started(tmp_path):
    async def life():
        child = manager(tmp_path, STUBBORN, graceful_shutdown_timeout=0.3)
        await child.start()
        rest = tmp_path / "rest"
        while not (rest.exists() and rest.read_text().strip()):
            await asyncio.sleep(0.02)
        other = int(rest.read_text())
        assert alive(other)
        await child.stop()
        assert child.exit_code == -signal.SIGKILL
        until(lambda: not alive(other))

    asyncio.run(life())


def test_what_a_finished_command_left_behind_is_ended_too(tmp_path):
    async def life():
        child = manager(tmp_path, "sleep 62 & echo $! >rest; exit 0")
        await child.start()
        while child.is_running:
            await asyncio.sleep(0.02)
        other = int((tmp_path / "rest").read_text())
        await child.stop()
        until(lambda: not alive(other))

    asyncio.run(life())


OWNER = """
    import asyncio, sys
    from modelyard.utils import SubprocessManager

    async def main():
        child = SubprocessManager({command!r}, ".", monitor_interval=0.05)
        await child.start()
        print("pid", child.pid, flush=True)
        {then}

    asyncio.run(main())
"""


def owner(command: str, then: str) -> subprocess.Popen[str]:
    code = textwrap.dedent(OWNER.format(command=command, then=then))
    return subprocess.Popen(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def pid_from(process: subprocess.Popen[str]) -> int:
    for line in process.stdout:
        if line.startswith("pid "):
            return int(line.split()[1])
    raise AssertionError(process.stderr.read())


def test_the_process_ends_with_its_command():
    process = owner("sleep 0.3; exit 5", "await asyncio.sleep(60)")
    pid_from(process)
    output, _ = process.communicate(timeout=WAIT_SECONDS_MAX)
    assert process.returncode == 1
    assert "exited unexpectedly with code 5" in output


def test_the_command_ends_with_the_process():
    process = owner("exec sleep 63", "return")
    pid = pid_from(process)
    process.communicate(timeout=WAIT_SECONDS_MAX)
    until(lambda: not alive(pid))


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's end")
def test_the_command_ends_with_a_process_that_is_killed():
    process = owner("exec sleep 64", "await asyncio.sleep(60)")
    pid = pid_from(process)
    process.kill()
    process.communicate(timeout=WAIT_SECONDS_MAX)
    until(lambda: not alive(pid))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(int(self.path.strip("/")))
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def test_a_health_check_asks_a_url(monkeypatch):
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    server = HTTPServer(("127.0.0.1", 0), Answers)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    url = f"http://127.0.0.1:{server.server_port}"

    def healthy(*arguments, **options):
        return asyncio.run(create_http_health_check(*arguments, **options)())

    try:
        assert healthy(f"{url}/200")
        assert not healthy(f"{url}/503")
        assert healthy(f"{url}/503", expected_status=503)
    finally:
        server.shutdown()
        server.server_close()
    assert not healthy(f"{url}/200", timeout=1.0)
    assert not healthy("no url")
