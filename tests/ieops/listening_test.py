"""Where the same worker file listens, by its variables, on gmi-ieops and on ours."""

import os
import re
import socket
import stat
import time

import pytest
from harness import READY_SECONDS_MAX, free_port
from ieops.conversation import Request
from ieops.yard import VERSIONS, Yard, ask, process_of, wait_until_ready

EVERYBODY = ("ours", *VERSIONS)
HOME = Request("", "GET", "/")


def appearing(folder, pattern):
    """The socket whose name fits, once it is there."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        for path in folder.iterdir():
            if re.fullmatch(pattern, path.name) and stat.S_ISSOCK(path.stat().st_mode):
                return path
        time.sleep(0.02)
    raise AssertionError(f"no {pattern} in {folder}: {list(folder.iterdir())}")


def served_over(process, log, path):
    """Asks the worker at a socket until it answers."""
    yard = Yard(process, log, socket=str(path))
    wait_until_ready(yard)
    return ask(yard, HOME)


# The variable of 0.2.9 makes no difference to 0.5.8, which knows only the port and the folder.
@pytest.mark.parametrize(
    ("who", "variable"),
    [
        ("ours", None),
        ("0.2.9", None),
        ("0.5.8", None),
        ("ours", "MODEL_SERVER_SOCKET_DIR"),
        ("0.5.8", "MODEL_SERVER_SOCKET_DIR"),
    ],
)
def test_without_a_port_it_listens_on_a_socket_with_the_name_of_its_process(
    tmp_path, who, variable
):
    folder = tmp_path / "sockets" if variable else tmp_path
    folder.mkdir(exist_ok=True)
    env = {variable: str(folder)} if variable else {}
    with process_of(who, tmp_path, env) as (process, log):
        path = appearing(folder, r"compared\.[A-Za-z0-9]{8}\.sock")
        assert served_over(process, log, path)["status"] == 200
    assert not path.exists(), "the socket is there after the end"
    assert process.returncode == 0


@pytest.mark.parametrize("who", ["ours", "0.5.8"])
def test_the_id_of_the_worker_names_the_socket(tmp_path, who):
    with process_of(who, tmp_path, {"IEOPS_WORKER_ID": "worker-7"}) as (process, log):
        path = appearing(tmp_path, r"worker-7\.sock")
        assert served_over(process, log, path)["status"] == 200


@pytest.mark.parametrize("who", ["ours", "0.2.9"])
def test_a_socket_that_is_named_is_taken(tmp_path, who):
    path = tmp_path / "named.sock"
    # Left behind by a worker that was killed; nobody answers on it.
    with socket.socket(socket.AF_UNIX) as stale:
        stale.bind(str(path))
    with process_of(who, tmp_path, {"MODEL_SERVER_SOCKET": str(path)}) as (process, log):
        assert served_over(process, log, path)["status"] == 200
    assert not path.exists()


def test_ours_takes_no_socket_from_somebody_who_answers(tmp_path):
    path = tmp_path / "named.sock"
    with process_of("ours", tmp_path, {"MODEL_SERVER_SOCKET": str(path)}) as (first, log):
        assert served_over(first, log, path)["status"] == 200
        with process_of("ours", tmp_path / "second", {"MODEL_SERVER_SOCKET": str(path)}) as (
            second,
            _,
        ):
            assert second.wait(READY_SECONDS_MAX) != 0
        assert served_over(first, log, path)["status"] == 200


def test_our_socket_is_for_owner_and_group(tmp_path):
    path = tmp_path / "named.sock"
    with process_of("ours", tmp_path, {"MODEL_SERVER_SOCKET": str(path)}) as (process, log):
        served_over(process, log, path)
        assert stat.S_IMODE(os.stat(path).st_mode) == 0o660


# The two documents say TCP in different words; ours understands both.
@pytest.mark.parametrize("who", EVERYBODY)
def test_with_a_port_and_no_socket_it_listens_on_the_port(tmp_path, who):
    port = free_port()
    env = {"MODEL_SERVER_PORT": str(port)}
    if who == "0.2.9":
        env["MODEL_SERVER_SOCKET"] = ""
    with process_of(who, tmp_path, env) as (process, log):
        yard = Yard(process, log, port=port)
        wait_until_ready(yard)
        assert ask(yard, HOME)["status"] == 200
        assert not list(tmp_path.glob("*.sock"))


@pytest.mark.parametrize("who", EVERYBODY)
def test_hooks_run_once_at_the_start_and_once_at_the_end(tmp_path, who):
    env = {"MODEL_SERVER_SOCKET": "", "MODEL_SERVER_PORT": str(free_port())}
    with process_of(who, tmp_path, env) as (process, log):
        wait_until_ready(Yard(process, log, port=int(env["MODEL_SERVER_PORT"])))
        assert log.read_text().splitlines().count("started") == 1
    said = log.read_text().splitlines()
    assert (said.count("started"), said.count("stopped")) == (1, 1)
