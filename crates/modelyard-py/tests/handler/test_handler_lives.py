"""Where a worker listens, and how it begins and ends."""

import os
import signal
import socket
import stat
import urllib.request
from pathlib import Path

import pytest
from served import Worker, served, until


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def hello_over_tcp(port: int) -> bytes:
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/api/v/hello", b"{}") as answer:
        return bytes(answer.read())


def test_hooks_run_before_the_first_and_after_the_last_call() -> None:
    with served("lives") as worker:
        assert worker.noted()[1:] == ["started"]
        assert worker.call("/api/v/hello", {}).json() == "hello"
        assert worker.stop() == 0
        assert worker.noted()[1:] == ["started", "stopped", "returned"]
        assert not worker.socket.exists()


def test_a_hook_that_fails_at_the_start_ends_the_worker() -> None:
    with served("lives", ready=False, FAIL="startup") as worker:
        assert worker.process.wait(20) == 1
        assert "the model is not there" in worker.log()
        assert not worker.socket.exists()


def test_a_hook_that_fails_at_the_end_is_only_told() -> None:
    with served("lives", FAIL="shutdown") as worker:
        assert worker.stop(signal.SIGINT) == 0
        assert "nobody waits" in worker.log()


def test_the_socket_is_for_the_user_and_the_group() -> None:
    with served("lives") as worker:
        assert stat.S_IMODE(worker.socket.stat().st_mode) == 0o660
    with served("lives", MODEL_SERVER_SOCKET_MODE="600") as worker:
        assert stat.S_IMODE(worker.socket.stat().st_mode) == 0o600
    with served("lives", ready=False, MODEL_SERVER_SOCKET_MODE="rw") as worker:
        assert worker.process.wait(20) == 1
        assert "MODEL_SERVER_SOCKET_MODE is octal" in worker.log()


def test_a_socket_that_a_dead_worker_left_is_replaced(tmp_path: Path) -> None:
    path = f"/tmp/{os.getpid()}.stale.sock"
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    with served("lives", ready=False, SOCKET=path) as worker:
        worker.socket = Path(path)
        until(lambda: "started" in worker.noted() and answers(worker))
        assert worker.stop() == 0
    assert not os.path.exists(path)


def answers(worker: Worker) -> bool:
    try:
        return worker.get("/health").status == 200
    except OSError:
        return False


def test_a_socket_on_which_somebody_answers_is_left_alone() -> None:
    with served("lives") as first:
        with served("lives", ready=False, SOCKET=str(first.socket)) as second:
            assert second.process.wait(20) == 1
            assert "another process serves" in second.log()
        assert first.call("/api/v/hello", {}).json() == "hello"


@pytest.mark.parametrize("how", ["argument", "empty socket", "only the port"])
def test_tcp_is_asked_for_in_three_ways(how: str) -> None:
    port = free_port()
    settings = {
        "argument": {"PORT": str(port)},
        "empty socket": {"MODEL_SERVER_SOCKET": "", "MODEL_SERVER_PORT": str(port)},
        "only the port": {"MODEL_SERVER_PORT": str(port)},
    }[how]
    with served("lives", ready=False, unset="MODEL_SERVER_SOCKET", **settings) as worker:
        until(lambda: "listens on" in worker.log())
        assert worker.noted()[0] == f"tcp:127.0.0.1:{port}"
        assert hello_over_tcp(port) == b'"hello"'
        assert worker.stop() == 0


def test_without_a_word_the_socket_is_named_after_the_worker(tmp_path: Path) -> None:
    with served("lives", ready=False, unset="MODEL_SERVER_SOCKET", IEOPS_WORKER_ID="me") as worker:
        worker.socket = worker.folder / "me.sock"
        until(worker.socket.exists)
        assert worker.noted()[0] == f"unix:{worker.folder}/me.sock"
        assert worker.call("/api/v/hello", {}).json() == "hello"
        assert worker.stop() == 0
        assert not worker.socket.exists()


def test_a_port_that_is_taken_is_named() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with served("lives", ready=False, PORT=str(port)) as worker:
            assert worker.process.wait(20) == 1
            assert f"cannot listen on tcp:127.0.0.1:{port}" in worker.log()


def test_a_server_serves_on_a_loop_of_ones_own() -> None:
    with served("lives", HOW="asyncio", SECONDS="1.5") as worker:
        assert worker.call("/api/v/hello", {}).json() == "hello"
        worker.process.wait(20)
        assert worker.noted()[1:] == ["started", "stopped"]
        assert not worker.socket.exists()


def test_a_handler_that_blocks_the_loop_delays_others_and_not_the_health() -> None:
    with served("lives") as worker:
        blocking = worker.send("/api/v/slow_loop", {"s": 1})
        waiting = worker.send("/api/v/hello", {})
        assert worker.get("/health").status == 200
        assert blocking.getresponse().read() == b'"slow"'
        assert waiting.getresponse().read() == b'"hello"'


def test_a_handler_that_wants_to_exit_only_ends_its_call() -> None:
    with served("lives") as worker:
        status, kind, message = worker.call("/api/v/leave", {}).error()
        assert (status, kind) == (500, "api_error")
        assert "sys.exit(3)" in message
        assert worker.call("/api/v/hello", {}).json() == "hello"


def test_a_worker_that_was_killed_leaves_no_trouble() -> None:
    with served("lives") as worker:
        with pytest.raises((ConnectionError, OSError)):
            worker.call("/api/v/vanish", {})
        assert worker.process.wait(20) == 9
        assert worker.socket.exists()
        with served("lives", ready=False, SOCKET=str(worker.socket)) as next_one:
            next_one.socket = worker.socket
            until(lambda: answers(next_one))
            assert next_one.stop() == 0
