"""examples/external: three models that run elsewhere, called as its README calls them."""

import json

import pytest
from harness import EXAMPLES, serving

FOLDER = EXAMPLES / "external"
ORDER = {"prompt": "cute corgi astronaut", "image_urls": ["https://example.com/reference.jpg"]}


def variables(provider: int) -> dict[str, str]:
    """`env.example` with the port of this run."""
    text = (FOLDER / "env.example").read_text().replace("9100", str(provider))
    pairs = (line.split("=", 1) for line in text.splitlines() if "=" in line and line[0] != "#")
    return {name: value.strip('"') for name, value in pairs}


@pytest.fixture(scope="module")
def server(folder, provider):
    config = (FOLDER / "modelyard.toml").read_text()
    with serving(folder, config=config, env=variables(provider)) as server:
        yield server


def test_an_http_api_answers_through_us(server):
    answer = server.post("/invoke/sentiment", {"text": "what a lovely, great day"})
    assert answer.status == 200, answer.text()
    assert answer.json()["result"]["label"] == "positive"


def test_an_openai_server_streams_through_us(server):
    messages = [{"role": "user", "content": "one word at a time"}]
    body = {"model": "chat", "stream": True, "messages": messages}
    answer = server.post("/v1/chat/completions", body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    events = [line[6:] for line in answer.text().splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    deltas = [json.loads(event)["choices"][0]["delta"] for event in events]
    assert "one word at a time" in "".join(delta.get("content", "") for delta in deltas)


def test_an_image_is_ordered_and_fetched(server):
    answer = server.post("/invoke/nanobanana-image", {**ORDER, "size": "3:4"})
    assert answer.status == 200, answer.text()
    image = answer.json()["result"]["result"]
    assert (image["status"], image["image_url"][:4]) == ("completed", "http")


def test_the_same_as_a_task(server):
    accepted = server.post("/tasks/nanobanana-image", ORDER)
    task = server.finished(accepted.json()["task_id"])
    assert task["result"]["result"]["status"] == "completed"


@pytest.mark.parametrize("word", ["fail", "cancel"])
def test_an_image_that_is_not_made_ends_the_call(server, word):
    answer = server.post("/invoke/nanobanana-image", {**ORDER, "prompt": f"please {word}"})
    assert (answer.status, answer.json()["code"]) == (500, "provider_failed")


def test_a_missing_variable_makes_one_model_unavailable_and_names_it(tmp_path, provider):
    env = {**variables(provider), "SENTIMENT_TOKEN": ""}
    config = (FOLDER / "modelyard.toml").read_text()
    with serving(tmp_path, config=config, env=env) as server:
        models = {model["id"]: model for model in server.get("/v1/models").json()["data"]}
        assert "SENTIMENT_TOKEN" in models["sentiment"]["reason"]
        answer = server.post("/invoke/sentiment", {})
        assert (answer.status, answer.json()["code"]) == (503, "model_unavailable")
        assert server.post("/invoke/nanobanana-image", ORDER).status == 200
