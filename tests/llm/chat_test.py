"""The official client chats: whole answers, streams, and the ways to choose tokens."""

import math

import pytest

SUM = "What is 17 + 25?"
# Goes past the end of an answer, so that its length is known whatever the model says.
ENDLESS = {"extra_body": {"ignore_eos": True}}


def text(answer) -> str:
    return answer.choices[0].message.content


def test_a_question_is_answered(chat):
    answer = chat(SUM)
    assert "17 + 25 = 42" in text(answer)
    assert answer.id.startswith("chatcmpl-")
    assert (answer.object, answer.model) == ("chat.completion", "modelyard-demo")
    assert answer.choices[0].message.role == "assistant"
    assert answer.choices[0].finish_reason == "stop"


def test_the_tokens_of_a_request_are_counted_exactly(chat, tokenize):
    prompt = tokenize(messages=[{"role": "user", "content": SUM}])
    usage = chat(SUM, max_completion_tokens=5, **ENDLESS).usage
    assert usage.prompt_tokens == len(prompt)
    assert usage.completion_tokens == 5
    assert usage.total_tokens == len(prompt) + 5


def test_a_stream_tells_the_same_answer_and_at_its_end_the_same_usage(chat):
    whole = chat(SUM)
    chunks = list(chat(SUM, stream=True, stream_options={"include_usage": True}))
    *told, last = chunks
    assert {chunk.id for chunk in chunks} == {chunks[0].id}
    assert all(chunk.usage is None and len(chunk.choices) == 1 for chunk in told)
    deltas = [chunk.choices[0].delta for chunk in told]
    assert deltas[0].role == "assistant"
    pieces = [delta.content for delta in deltas if delta.content]
    assert "".join(pieces) == text(whole)
    assert len(pieces) > 3
    reasons = [chunk.choices[0].finish_reason for chunk in told]
    assert reasons == [None] * (len(told) - 1) + ["stop"]
    assert last.choices == []
    assert (last.usage.prompt_tokens, last.usage.completion_tokens) == (
        whole.usage.prompt_tokens,
        whole.usage.completion_tokens,
    )


def test_a_stream_that_is_not_asked_for_its_usage_does_not_tell_it(chat):
    chunks = list(chat(SUM, stream=True))
    assert all(chunk.usage is None and chunk.choices for chunk in chunks)


def test_several_answers_share_one_prompt(chat):
    one = chat(SUM, max_completion_tokens=6, **ENDLESS).usage
    two = chat(SUM, max_completion_tokens=6, n=2, temperature=1.0, **ENDLESS)
    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.usage.prompt_tokens == one.prompt_tokens
    assert two.usage.completion_tokens == 12


def test_several_answers_stream_side_by_side(chat):
    chunks = chat(SUM, n=2, stream=True)
    told = ["", ""]
    ended = []
    for chunk in chunks:
        (choice,) = chunk.choices
        told[choice.index] += choice.delta.content or ""
        ended += [choice.index] * (choice.finish_reason is not None)
    assert told[0] == told[1]
    assert "17 + 25 = 42" in told[0]
    assert sorted(ended) == [0, 1]


@pytest.mark.parametrize("stop", ["=", ["never said", " = 4"]])
def test_an_answer_ends_before_a_stop_string(chat, stop):
    whole = chat(SUM)
    answer = chat(SUM, stop=stop)
    cut = stop if isinstance(stop, str) else stop[1]
    assert text(answer) == text(whole).partition(cut)[0]
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage.completion_tokens < whole.usage.completion_tokens
    streamed = "".join(
        chunk.choices[0].delta.content or "" for chunk in chat(SUM, stop=stop, stream=True)
    )
    assert streamed == text(answer)


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_an_answer_ends_where_it_became_as_long_as_asked(chat, name):
    answer = chat(SUM, **{name: 3})
    assert answer.choices[0].finish_reason == "length"
    assert answer.usage.completion_tokens == 3
    assert chat(SUM).choices[0].message.content.startswith(text(answer))


def test_the_likelihood_of_each_token_is_told(chat):
    answer = chat(SUM, logprobs=True, top_logprobs=4, max_completion_tokens=4)
    tokens = answer.choices[0].logprobs.content
    assert len(tokens) == 4
    assert "".join(token.token for token in tokens) == text(answer)
    for token in tokens:
        assert bytes(token.bytes).decode() == token.token
        top = [other.logprob for other in token.top_logprobs]
        assert len(top) == 4
        assert top == sorted(top, reverse=True)
        assert sum(map(math.exp, top)) <= 1.0001
        # Greedy: what was said is what was likeliest.
        assert token.top_logprobs[0].token == token.token
        assert token.logprob == pytest.approx(top[0])


def test_a_stream_tells_the_same_likelihoods(chat):
    options = {"logprobs": True, "top_logprobs": 1, "max_completion_tokens": 4}
    whole = chat(SUM, **options).choices[0].logprobs.content
    streamed = []
    for chunk in chat(SUM, stream=True, **options):
        if chunk.choices[0].logprobs:
            streamed += chunk.choices[0].logprobs.content
    assert streamed == whole


def test_the_same_seed_gives_the_same_answer(chat):
    options = {"temperature": 1.8, "max_completion_tokens": 24, **ENDLESS}
    answers = [text(chat("Tell me.", seed=seed, **options)) for seed in (1, 2, 3, 1, 2, 3)]
    assert answers[:3] == answers[3:]
    assert len(set(answers)) > 1


def test_a_bias_forces_a_token_or_forbids_it(chat, tokenize):
    (five,) = tokenize(prompt="5")
    forced = chat(SUM, logit_bias={str(five): 100}, max_completion_tokens=4)
    assert text(forced) == "5555"
    forbidden = chat(SUM, logit_bias={str(five): -100}, max_completion_tokens=16)
    assert "5" in text(chat(SUM))
    assert "5" not in text(forbidden)


def test_a_conversation_goes_on(client, tokenize):
    messages = [
        {"role": "system", "content": "Answer briefly."},
        {"role": "user", "content": "What is 2 + 2?"},
        {"role": "assistant", "content": "2 + 2 = 4"},
        {"role": "user", "content": [{"type": "text", "text": SUM}]},
    ]
    answer = client.chat.completions.create(model="modelyard-demo", messages=messages)
    assert answer.usage.prompt_tokens == len(tokenize(messages=messages))
    assert answer.usage.completion_tokens > 0
