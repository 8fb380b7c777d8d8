"""examples/external: three models that run elsewhere, against the mock provider of the example."""

import json
import subprocess
import sys
import urllib.request

import pytest
from harness import EXAMPLES, serving

FOLDER = EXAMPLES / "external"
CONFIG = (FOLDER / "modelyard.toml").read_text()
IMAGE = {"prompt": "cute corgi astronaut", "image_urls": ["https://example.com/reference.jpg"]}


@pytest.fixture(scope="module")
def provider():
    command = [sys.executable, FOLDER / "mock_provider.py", "0"]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        yield process.stdout.readline().strip()
        process.terminate()


@pytest.fixture(scope="module")
def environment(provider):
    """What `env.example` says, with the address that the provider got."""
    lines = (FOLDER / "env.example").read_text().splitlines()
    pairs = dict(line.split("=", 1) for line in lines if not line.startswith("#"))
    return {name: value.replace("http://127.0.0.1:9100", provider) for name, value in pairs.items()}


@pytest.fixture(scope="module")
def server(folder, environment):
    with serving(folder, config=CONFIG, env=environment) as server:
        yield server


def test_the_body_goes_there_and_the_answer_comes_back(server):
    answer = server.post("/invoke/sentiment", {"text": "what a lovely, great day"})
    assert answer.status == 200, answer.text()
    assert answer.json()["result"] == {"label": "positive", "score": 0.75}


def test_a_chat_streams_through_the_openai_route(server):
    body = {"model": "chat", "messages": [{"role": "user", "content": "one two three"}]}
    whole = server.post("/v1/chat/completions", body)
    assert whole.status == 200, whole.text()
    assert whole.json()["choices"][0]["message"]["content"] == "one two three"
    assert whole.json()["model"] == "parrot-1"

    streamed = server.post("/v1/chat/completions", body | {"stream": True})
    assert streamed.headers["content-type"].startswith("text/event-stream")
    events = [line[6:] for line in streamed.text().splitlines() if line.startswith("data: ")]
    assert events.pop() == "[DONE]"
    pieces = [json.loads(event)["choices"][0]["delta"].get("content", "") for event in events]
    assert pieces == ["one", " two", " three", ""]


def test_an_image_is_ordered_and_asked_about_until_it_is_there(server):
    answer = server.post("/invoke/nanobanana-image", IMAGE)
    assert answer.status == 200, answer.text()
    result = answer.json()["result"]
    assert result["task_id"].startswith("task_")
    assert result["result"]["status"] == "completed"
    with urllib.request.urlopen(result["result"]["image_url"], timeout=10) as image:
        assert image.read(8) == b"\x89PNG\r\n\x1a\n"


def test_an_image_can_be_a_task(server):
    accepted = server.post("/tasks/nanobanana-image", IMAGE).json()
    assert accepted["status"] == "queued"
    task = server.finished(accepted["task_id"])
    assert (task["status"], task["payload"]) == ("completed", IMAGE), task
    assert task["result"]["result"]["image_url"].endswith(".png")


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"prompt": ""}, "payload.prompt is required"),
        ({"image_urls": []}, "payload.image_urls is required"),
        ({"prompt": "please fail"}, "failed: the prompt said so"),
        ({"prompt": "please cancel"}, "failed: cancelled"),
    ],
)
def test_what_goes_wrong_is_told_in_the_words_of_ray_service(server, change, text):
    answer = server.post("/invoke/nanobanana-image", IMAGE | change)
    assert (answer.status, answer.json()["detail"].endswith(text)) == (500, True), answer.text()


def test_a_model_without_its_key_is_unavailable_and_blocks_nothing(tmp_path, environment):
    environment = {**environment, "SENTIMENT_TOKEN": "", "NANOBANANA_API_KEY": ""}
    with serving(tmp_path, config=CONFIG, env=environment) as server:
        for model, variable in [
            ("sentiment", "SENTIMENT_TOKEN"),
            ("nanobanana-image", "NANOBANANA_API_KEY"),
        ]:
            answer = server.post(f"/invoke/{model}", IMAGE)
            assert (answer.status, answer.json()["code"]) == (503, "model_unavailable")
            assert f"{variable} is not set" in server.get("/v1/models").text()
        assert server.post("/invoke/local-echo", {"a": 1}).status == 200
