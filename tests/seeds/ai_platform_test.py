"""The calls that the document of `ai-platform` shows, word for word; only host and port differ."""

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from harness import PROGRAM, ROOT, free_port, serving
from seeds.blocks import Blocks, shell

BLOCKS = Blocks("ai_platform", "localhost:80")


@pytest.fixture(scope="module")
def server(folder):
    """Nobody has configured it: the built-in language model answers."""
    with serving(folder, env={"XDG_CACHE_HOME": str(folder / "cache")}) as server:
        yield server


def call(server, name: str) -> dict:
    return shell(BLOCKS.text(name, server.port))


def test_health_is_told(server):
    told = call(server, "health.sh")
    # The registry has a model that waits for its key, which degrades the server.
    assert told["status"] in {"healthy", "degraded"}
    assert told["checks"]["models"]["modelyard-demo"]["status"] == "ready"


def kinds(shown, told, place="answer") -> None:
    """Fails unless what is told has every field that is shown, with a value of the same kind."""
    assert type(told) is type(shown), place
    if isinstance(shown, dict):
        for name, value in shown.items():
            assert name in told, f"{place} has no `{name}`"
            kinds(value, told[name], f"{place}.{name}")
    if isinstance(shown, list):
        for number, value in enumerate(shown):
            kinds(value, told[number], f"{place}[{number}]")


def test_a_conversation_is_answered_in_the_shape_that_is_shown(server):
    told = call(server, "chat.sh")
    shown = json.loads((BLOCKS.folder / "chat_answer.json").read_text())
    kinds(shown, told)
    assert told["id"].startswith("chatcmpl-")
    assert told["object"] == shown["object"]
    assert told["choices"][0]["message"]["role"] == "assistant"
    # The document shows -1: it did not count.
    usage = told["usage"]
    assert min(usage["prompt_tokens"], usage["completion_tokens"]) > 0
    assert usage["total_tokens"] == usage["prompt_tokens"] + usage["completion_tokens"]


def test_prompts_are_continued(server):
    (result,) = call(server, "generate.sh")["results"]
    assert set(result) == {"prompt", "text"}
    assert result["prompt"] == "Hello, how are you?"
    assert result["text"]


def test_the_folder_that_model_path_names_answers(tmp_path):
    env = {"MODEL_PATH": str(ROOT / "crates/llm/demo"), "XDG_CACHE_HOME": str(tmp_path / "cache")}
    with serving(tmp_path, env=env) as server:
        assert call(server, "chat.sh")["model"] == "demo"
        (result,) = call(server, "generate.sh")["results"]
        assert result["text"]


# Stands where the scripts look for the program, and keeps it off the network of this machine.
PROGRAM_OF_SCRIPTS = f"""#!/bin/bash
exec {PROGRAM} "${{@/#0.0.0.0/127.0.0.1}}"
"""


@pytest.fixture
def checkout(tmp_path):
    """A folder with the scripts, as a person has cloned it and built the program."""
    shutil.copytree(ROOT / "scripts", tmp_path / "scripts")
    program = tmp_path / "target/release/modelyard"
    program.parent.mkdir(parents=True)
    program.write_text(PROGRAM_OF_SCRIPTS)
    program.chmod(0o755)
    return tmp_path


class Terminal:
    """Where somebody types the lines of the document, in the folder of the scripts."""

    def __init__(self, checkout: Path):
        self.checkout = checkout
        self.port = free_port()

    def type(self, text: str) -> str:
        done = subprocess.run(
            ["bash", "-ec", text],
            cwd=self.checkout / "scripts",
            env={
                **os.environ,
                "PORT": str(self.port),
                "MODELYARD_DATA_DIR": str(self.checkout / "data"),
            },
            # The server keeps what it was given; nobody waits for its end.
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture
def terminal(checkout):
    terminal = Terminal(checkout)
    yield terminal
    assert terminal.type(block("stop.sh")), "it says whether a server ran"


def block(name: str) -> str:
    return (BLOCKS.folder / name).read_text()


def test_the_scripts_start_and_stop_the_server(terminal):
    assert f"ready at http://127.0.0.1:{terminal.port}" in terminal.type(block("start.sh"))
    health = json.loads(terminal.type(BLOCKS.text("health.sh", terminal.port)))
    assert health["checks"]["models"]["local-echo"]["status"] == "ready"
    assert "has stopped" in terminal.type(block("stop.sh"))
    with pytest.raises(AssertionError):
        terminal.type(BLOCKS.text("health.sh", terminal.port))


def test_one_script_makes_the_certificate_and_the_next_one_uses_it(terminal):
    # A test is nobody's administrator.
    told = terminal.type(block("setup_ssl.sh").removeprefix("sudo "))
    assert "192.168.0.168" in told
    terminal.type(block("start_https.sh"))
    calls = block("https.sh").replace("192.168.1.100", f"127.0.0.1:{terminal.port}")
    health, answer = map(json.loads, split_json(terminal.type(calls)))
    assert health["checks"]["models"]["modelyard-demo"]["status"] == "ready"
    assert answer["choices"][0]["message"]["content"]


def split_json(text: str) -> list[str]:
    """Objects that were printed one behind the other."""
    first, end = json.JSONDecoder().raw_decode(text)
    return [json.dumps(first), text[end:]]
