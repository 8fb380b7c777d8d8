"""The calls that the document of `ai-platform` shows, word for word; only host and port differ.

Its calls over TLS come with TLS.
"""

import json

import pytest
from harness import ROOT, serving
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
