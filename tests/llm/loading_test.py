"""Models that cannot be loaded say why: at their calls, in the list, and in the terminal."""

import json
import shutil
import subprocess
import time

import pytest
from harness import PROGRAM, READY_SECONDS_MAX, ROOT, serving

FIXTURES = ROOT / "crates/models/tests/fixtures"
NOT_LOADED = "Model not loaded. Please ensure MODEL_PATH is correct and model can be loaded."
# The folder, what is wrong with it, and what the reason must name.
BROKEN = {
    "no-weights": ("no-weights", ["no-weights has no weights", "model.safetensors"]),
    "no-field": ("no-field", ["no-field/config.json", "`hidden_size` is missing"]),
    "too-large": ("qwen3", ["does not fit in memory", "keys and values", "`engine.kv_memory_mb`"]),
}


def copy(folder, name: str):
    """A checkpoint that can be spoilt."""
    shutil.copytree(FIXTURES / "qwen3", folder / name)
    return folder / name


@pytest.fixture(scope="module")
def server(folder):
    for path in copy(folder, "no-weights").glob("*.safetensors"):
        path.unlink()
    config = copy(folder, "no-field") / "config.json"
    fields = json.loads(config.read_text())
    del fields["hidden_size"]
    config.write_text(json.dumps(fields))
    copy(folder, "qwen3")
    tables = [
        f'[models.{name}]\nkind = "llm"\npath = "{path}"\n' for name, (path, _) in BROKEN.items()
    ]
    settings = "\n".join(tables) + "engine = { kv_memory_mb = 10000000 }\n"
    env = {"XDG_CACHE_HOME": str(folder / "cache")}
    with serving(folder, config=settings, env=env) as server:
        yield server


def failing(server, name: str) -> dict:
    """The model's entry in the list, once its worker was given up."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        model = server.get(f"/v1/models/{name}").json()
        if model["status"] == "failing":
            return model
        time.sleep(0.05)
    raise AssertionError(f"{name} is not failing: {model}")


@pytest.mark.parametrize("name", BROKEN)
def test_a_model_that_cannot_be_loaded_is_listed_with_the_cause(server, name):
    reason = failing(server, name)["reason"]
    for words in BROKEN[name][1]:
        assert words in reason


@pytest.mark.parametrize("name", BROKEN)
def test_a_call_of_it_is_told_the_cause(server, name):
    failing(server, name)
    messages = [{"role": "user", "content": "Hello!"}]
    chat = server.post("/v1/chat/completions", {"model": name, "messages": messages})
    plain = server.post("/generate", {"model": name, "prompts": ["Hello!"]})
    assert (chat.status, plain.status) == (503, 503)
    for told in (chat.json()["error"]["message"], plain.json()["error"]):
        assert told.startswith(NOT_LOADED)
        for words in BROKEN[name][1]:
            assert words in told


def test_a_talk_with_it_ends_with_the_cause(server, folder):
    path = folder / "no-weights"
    env = {"XDG_CACHE_HOME": str(folder / "cache"), "PATH": "/usr/bin:/bin"}
    done = subprocess.run(
        [PROGRAM, "chat", path], input="Hello!\n", env=env, capture_output=True, text=True
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert "has no weights" in done.stderr
