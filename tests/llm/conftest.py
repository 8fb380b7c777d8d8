"""One server with a language model and a model for embeddings, and the official client."""

from collections.abc import Callable, Iterator

import openai
import pytest
from harness import ROOT, Server, serving

MODEL = "modelyard-demo"
BERT = ROOT / "crates/models/tests/fixtures/bert-mean"
# Beside models of one's own the built-in one is served only if it is named. The second has the
# same weights and computes every prompt anew.
CONFIG = f"""
[server]
default_model = "{MODEL}"

# Workers tell their counts with their heartbeats.
[workers]
heartbeat_seconds = 0.2

[models.{MODEL}]

[models.uncached]
kind = "llm"
path = "{ROOT}/crates/llm/demo"
engine = {{ prefix_cache = false, kv_memory_mb = 64 }}

[models.bert]
kind = "llm"
path = "{BERT}"
"""


@pytest.fixture(scope="session")
def server(tmp_path_factory) -> Iterator[Server]:
    """The program, ready, with all of them."""
    folder = tmp_path_factory.mktemp("llm")
    env = {"XDG_CACHE_HOME": str(folder / "cache")}
    with serving(folder, config=CONFIG, env=env) as server:
        yield server


@pytest.fixture(scope="session")
def client(server) -> Iterator[openai.OpenAI]:
    """The client that most programs use, pointed at the server."""
    options = {"api_key": "sk-any", "max_retries": 0, "timeout": 60}
    with openai.OpenAI(base_url=f"{server.url}/v1", **options) as client:
        yield client


@pytest.fixture(scope="session")
def chat(client) -> Callable:
    """Asks one question; the options are those of the client."""

    def ask(text: str, *, model: str = MODEL, **options):
        messages = [{"role": "user", "content": text}]
        return client.chat.completions.create(model=model, messages=messages, **options)

    return ask


@pytest.fixture(scope="session")
def tokenize(server) -> Callable:
    """The tokens of a text (`prompt=`) or of a conversation (`messages=`)."""

    def tokens(**body) -> list[int]:
        answer = server.post(f"/invoke/{MODEL}/tokenize", body)
        assert answer.status == 200, answer.text()
        return answer.json()["tokens"]

    return tokens
