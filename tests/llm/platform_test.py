"""The contract of ai-platform: `/generate`, `local-model`, and how it refuses."""

import pytest

SUM = [{"role": "user", "content": "What is 17 + 25?"}]


def test_prompts_are_continued_in_their_order(server):
    sampling = {"temperature": 0, "max_tokens": 6}
    body = {"prompts": ["One two", "Three"], "sampling_params": sampling}
    answer = server.post("/generate", body)
    assert answer.status == 200, answer.text()
    results = answer.json()["results"]
    assert [set(result) for result in results] == [{"prompt", "text"}] * 2
    assert [result["prompt"] for result in results] == ["One two", "Three"]
    alone = server.post("/generate", {**body, "prompts": ["Three"]}).json()["results"]
    assert alone == results[1:]


@pytest.mark.parametrize("named", [{}, {"model": "local-model"}], ids=["none", "local-model"])
def test_a_request_that_names_no_model_is_answered_by_the_default(server, named):
    answer = server.post("/v1/chat/completions", {"messages": SUM, **named})
    assert answer.status == 200, answer.text()
    assert answer.json()["model"] == "modelyard-demo"
    assert "17 + 25 = 42" in answer.json()["choices"][0]["message"]["content"]


def test_embeddings_that_name_no_model_are_made_by_the_one_that_can(server):
    answer = server.post("/v1/embeddings", {"input": "queue"})
    assert answer.status == 200, answer.text()
    assert answer.json()["model"] == "bert"


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        (b"", 400, "No request body provided."),
        (b'{"prompts": [', 400, "Invalid JSON in request body: "),
        ({}, 400, "No prompts provided."),
        ({"prompts": []}, 400, "No prompts provided."),
        ({"prompts": ["a"], "model": "gpt-17"}, 404, "model gpt-17 not found"),
        ({"prompts": ["a"], "sampling_params": {"top_p": 7}}, 400, "`top_p`"),
    ],
    ids=str,
)
def test_prompts_are_refused_with_a_plain_text(server, body, status, words):
    answer = server.post("/generate", body, headers={"content-type": "application/json"})
    assert answer.status == status
    told = answer.json()
    assert set(told) == {"error"}
    assert told["error"].startswith(words)


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"", "No request body provided."),
        (b'{"messages"', "Invalid JSON in request body: "),
        ({}, "No messages provided"),
    ],
    ids=str,
)
def test_conversations_are_refused_in_the_shape_of_openai(server, body, words):
    json = {"content-type": "application/json"}
    answer = server.post("/v1/chat/completions", body, headers=json)
    assert answer.status == 400
    error = answer.json()["error"]
    assert error["message"].startswith(words)
    assert error["type"] == "invalid_request_error"


@pytest.mark.parametrize("path", ["/generate", "/v1/chat/completions", "/v1/embeddings"])
def test_a_body_that_is_not_json_by_its_type_is_refused(server, path):
    answer = server.post(path, b"{}", headers={"content-type": "text/plain"})
    assert answer.status == 415
    assert "Content-Type: application/json" in answer.text()
