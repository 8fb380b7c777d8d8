"""examples/llm-servers: the recipes, run with a program that takes the same arguments."""

import json
import os
import sys
from pathlib import Path

import pytest
from harness import EXAMPLES, serving

STAND_IN = Path(__file__).parent / "stand_in"
PROGRAM = f"#!{sys.executable}\nimport sys\nsys.path.insert(0, {str(STAND_IN)!r})\n"


def install(folder: Path) -> dict[str, str]:
    """Puts the stand-ins where the recipes look for the servers."""
    programs, packages = folder / "bin", folder / "packages"
    programs.mkdir()
    for name in ("vllm", "llama-server"):
        path = programs / name
        path.write_text(PROGRAM + f"from llm_server import main\nmain({name!r})\n")
        path.chmod(0o755)
    module = packages / "sglang"
    module.mkdir(parents=True)
    (module / "__init__.py").touch()
    (module / "launch_server.py").write_text(
        PROGRAM + "from llm_server import main\nmain('sglang')\n"
    )
    return {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "PYTHONPATH": str(packages),
        "MODELYARD_WORKERS__GPUS": '["0", "1"]',
    }


@pytest.fixture(scope="module")
def server(folder):
    config = (EXAMPLES / "llm-servers/modelyard.toml").read_text()
    with serving(folder, config=config, env=install(folder)) as server:
        yield server


def chat(server, **more):
    body = {"messages": [{"role": "user", "content": "one two three"}], **more}
    return server.post("/v1/chat/completions", body)


@pytest.mark.parametrize("model", ["vllm", "sglang", "llama-cpp"])
def test_a_server_answers_under_its_name_here(server, model):
    answer = chat(server, model=model)
    assert answer.status == 200, answer.text()
    assert answer.json()["model"] == model


def test_each_server_has_a_gpu_of_its_own(server):
    texts = {
        chat(server, model=model).json()["choices"][0]["message"]["content"]
        for model in ("vllm", "sglang")
    }
    assert texts == {"one two three on 0", "one two three on 1"}


def test_an_answer_streams_through(server):
    answer = chat(server, model="vllm", stream=True)
    events = [line[6:] for line in answer.text().splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    words = [json.loads(event)["choices"][0]["delta"]["content"] for event in events]
    assert words == ["one", "two", "three"]


def test_a_model_of_other_people_is_listed_with_what_it_can_do(server):
    models = {model["id"]: model for model in server.get("/v1/models").json()["data"]}
    assert models["vllm"]["capabilities"] == ["chat"]
