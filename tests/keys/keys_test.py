"""A server that has keys: what is open, what is not, and how it says so."""

import os
import subprocess

import openai
import pytest
from harness import PROGRAM, serving

CONFIG = """
[models.modelyard-demo]
[models.local-echo]
[models.headers]
implementation = "headers.py:Headers"
"""
MODEL = """
class Headers:
    def predict(self, ctx):
        return dict(ctx.headers)
"""
OPEN = {"/", "/health", "/healthz", "/health/live", "/health/ready", "/openapi.json", "/docs"}
QUESTION = [{"role": "user", "content": "What is 2 + 3?"}]


def make_key(folder, *arguments: str) -> str:
    env = {**os.environ, "MODELYARD_DATA_DIR": str(folder / "data")}
    command = [PROGRAM, "key", "create", *arguments]
    made = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return made.stdout.strip()


@pytest.fixture(scope="module")
def key(folder) -> str:
    return make_key(folder, "alice")


@pytest.fixture(scope="module")
def hurried(folder) -> str:
    return make_key(folder, "bob", "--qps", "2")


@pytest.fixture(scope="module")
def server(folder, key, hurried):
    env = {"XDG_CACHE_HOME": str(folder / "cache")}
    (folder / "headers.py").write_text(MODEL)
    with serving(folder, config=CONFIG, env=env) as server:
        yield server


def test_every_described_path_but_the_open_ones_asks_for_a_key(server):
    described = server.get("/openapi.json").json()["paths"]
    assert len(described) > 20
    for path, methods in described.items():
        concrete = path.replace("{model}", "local-echo").replace("{", "").replace("}", "")
        for method in methods:
            answer = server.call(method.upper(), concrete)
            if path in OPEN:
                assert answer.status != 401, (method, path)
            else:
                assert answer.status == 401, (method, path, answer.text())
                assert answer.headers["www-authenticate"] == "Bearer"


def test_the_refusals_have_the_shape_of_their_family(server):
    body = {"messages": QUESTION}
    refused = server.post("/v1/chat/completions", body).json()["error"]
    words = "No API key provided. Include it in 'Authorization' header"
    assert (refused["message"], refused["type"]) == (words, "auth_error")
    wrong = {"authorization": "Bearer sk-wrong"}
    refused = server.post("/v1/chat/completions", body, headers=wrong).json()["error"]
    assert (refused["message"], refused["type"]) == ("Invalid API key", "auth_error")
    assert server.post("/invoke/local-echo", {}).json()["code"] == "unauthorized"


def test_the_official_client_is_let_in(server, key):
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=key) as client:
        answer = client.chat.completions.create(model="modelyard-demo", messages=QUESTION)
    assert "5" in answer.choices[0].message.content


@pytest.mark.parametrize("header", ["authorization", "x-api-key"])
def test_a_bare_key_is_taken_too(server, key, header):
    assert server.post("/invoke/local-echo", {"a": 1}, headers={header: key}).status == 200


def test_a_key_that_calls_too_often_is_told_to_wait(server, hurried):
    headers = {"x-api-key": hurried}
    answers = [server.get("/v1/models", headers=headers) for _ in range(20)]
    refused = [answer for answer in answers if answer.status == 429]
    assert len(refused) >= 10
    error = refused[0].json()["error"]
    assert (error["message"], error["type"]) == ("API rate limit exceeded", "rate_limit_error")
    assert refused[0].headers["retry-after"] == "1"


def test_the_key_does_not_reach_the_model(server, key):
    headers = {"authorization": f"Bearer {key}", "x-of-the-caller": "stays"}
    answer = server.post("/invoke/headers", {}, headers=headers)
    assert answer.status == 200, answer.text()
    seen = answer.json()["result"]
    assert seen["x-of-the-caller"] == "stays"
    assert key not in str(seen)


def test_a_revocation_that_meets_nobody_closes_nothing(tmp_path):
    env = {**os.environ, "MODELYARD_DATA_DIR": str(tmp_path / "data")}
    command = [PROGRAM, "key", "revoke", "nobody"]
    revoked = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True)
    assert revoked.returncode == 64
    assert not (tmp_path / "data/keys.json").exists()
