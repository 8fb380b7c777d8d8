"""What cannot be done is refused in the classes and fields that the official client knows."""

import openai
import pytest

QUESTION = [{"role": "user", "content": "Hello!"}]
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}


@pytest.mark.parametrize(
    ("options", "param"),
    [
        ({"temperature": -1}, "temperature"),
        ({"top_p": 0}, "top_p"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"max_completion_tokens": 0}, "max_completion_tokens"),
        ({"stop": [""]}, "stop"),
        ({"presence_penalty": 3}, "presence_penalty"),
        ({"logit_bias": {"99999999": 1}}, "logit_bias"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"top_logprobs": 2}, "top_logprobs"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL, TOOL]}, "tools[1].function.name"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"extra_body": {"guided_regex": "("}}, "guided_regex"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "king", "content": "?"}]}, "messages[0].role"),
        ({"messages": [{"role": "user"}]}, "messages[0].content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0]",
        ),
    ],
    ids=str,
)
def test_what_makes_no_sense_is_refused_by_the_name_of_its_field(client, options, param):
    asked = {"model": "modelyard-demo", "messages": QUESTION, **options}
    with pytest.raises(openai.BadRequestError) as refused:
        client.chat.completions.create(**asked)
    assert refused.value.param == param
    assert refused.value.type == "invalid_request_error"
    assert refused.value.body["message"]


def test_a_model_that_does_not_exist_is_not_found(client):
    with pytest.raises(openai.NotFoundError) as refused:
        client.chat.completions.create(model="gpt-17", messages=QUESTION)
    assert refused.value.code == "model_not_found"
    assert "gpt-17" in refused.value.message


def test_a_model_is_not_asked_for_what_it_cannot_do(client):
    for ask in (
        lambda: client.embeddings.create(model="modelyard-demo", input="x"),
        lambda: client.chat.completions.create(model="bert", messages=QUESTION),
        lambda: client.completions.create(model="local-echo", prompt="x"),
    ):
        with pytest.raises(openai.NotFoundError) as refused:
            ask()
        assert refused.value.code == "route_not_found"
        assert "capabilities" in refused.value.body["message"]


@pytest.mark.parametrize(
    ("words", "options", "param"),
    [("word " * 5000, {}, "messages"), ("Hello!", {"max_tokens": 5000}, "max_tokens")],
    ids=["prompt", "answer"],
)
def test_what_does_not_fit_the_context_is_refused_with_the_count(chat, words, options, param):
    with pytest.raises(openai.BadRequestError) as refused:
        chat(words, **options)
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.param == param
    assert "2048" in refused.value.message


def test_a_stream_is_refused_before_it_begins(chat):
    with pytest.raises(openai.BadRequestError):
        chat("Hello!", stream=True, temperature=-1)


def test_a_text_that_is_too_long_for_a_vector_is_refused(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.embeddings.create(model="bert", input=["short", "queue " * 2000])
    assert refused.value.code == "context_length_exceeded"
    assert refused.value.param == "input[1]"
