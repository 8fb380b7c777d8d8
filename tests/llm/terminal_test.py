"""`modelyard chat` with lines from a pipe: at a running server, and with one of its own."""

import os
import subprocess

from harness import PROGRAM, ROOT, free_port

DEMO = ROOT / "crates/llm/demo"


def talk(*arguments: object, lines: str, **env: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [PROGRAM, "chat", *map(str, arguments)],
        input=lines,
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        timeout=90,
    )


def test_each_line_is_answered_by_the_server(server):
    done = talk("--url", server.url, lines="What is 17 + 25?\n\nWhat is 17 + 25?\n")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert "17 + 25 = 42" in lines[0]
    assert len(lines) >= 2


def test_the_talk_so_far_is_kept_and_can_be_forgotten(server):
    lines = "What is 17 + 25?\n/history\n/clear\n/history\n/nonsense\n/quit\nHello!\n"
    done = talk("modelyard-demo", "--url", server.url, "--max-tokens", "20", lines=lines)
    answer, *history = done.stdout.splitlines()
    assert history == ["you: What is 17 + 25?", f"model: {answer}"]
    assert "there is no /nonsense" in done.stderr


def test_what_the_server_refuses_ends_a_talk_that_nobody_watches(server):
    done = talk("gpt-17", "--url", server.url, lines="Hello!\nHello!\n")
    assert done.returncode == 1
    assert done.stdout == ""
    assert "model gpt-17 not found" in done.stderr


def test_a_folder_is_served_for_one_talk(tmp_path):
    scratch = tmp_path / "scratch"
    scratch.mkdir()
    folders = {"TMPDIR": str(scratch), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    done = talk(DEMO, lines="What is 17 + 25?\n", **folders)
    assert done.returncode == 0, done.stderr
    assert "17 + 25 = 42" in done.stdout
    assert done.stderr.startswith("loading ")
    # Its server ended with it, and left nothing behind.
    assert list(scratch.iterdir()) == []


def test_a_server_that_is_named_is_not_replaced_by_an_own_one():
    address = f"127.0.0.1:{free_port()}"
    done = talk("--url", f"http://{address}", lines="Hello!\n")
    assert done.returncode == 1
    assert f"could not connect to {address}" in done.stderr
