"""The older call for texts, the list of models, and embeddings, through the official client."""

import base64
import json
import math
import struct

import openai
import pytest
from harness import ROOT

BERT = ROOT / "crates/models/tests/fixtures/bert-mean"


@pytest.fixture(scope="module")
def complete(client):
    def ask(**options):
        return client.completions.create(model="modelyard-demo", **options)

    return ask


def expected() -> list[tuple[str, int, list[float]]]:
    """Texts with their number of tokens and their vectors, as the reference computed them."""
    data = (BERT / "expected.safetensors").read_bytes()
    (length,) = struct.unpack("<Q", data[:8])
    head = json.loads(data[8 : 8 + length])
    texts = json.loads(head["__metadata__"]["texts"])

    def vector(number: int) -> list[float]:
        begin, end = head[f"text{number}.embedding.f32"]["data_offsets"]
        return list(struct.unpack(f"<{(end - begin) // 4}f", data[8 + length :][begin:end]))

    def tokens(number: int) -> int:
        return head[f"text{number}.tokens"]["shape"][0]

    return [(text, tokens(number), vector(number)) for number, text in enumerate(texts)]


def cosine(one: list[float], other: list[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def test_texts_are_continued(complete):
    answer = complete(prompt=["One two", "Three"], max_tokens=4, extra_body={"ignore_eos": True})
    assert answer.id.startswith("cmpl-") and answer.object == "text_completion"
    assert [choice.index for choice in answer.choices] == [0, 1]
    assert [choice.finish_reason for choice in answer.choices] == ["length", "length"]
    assert answer.usage.completion_tokens == 8


def test_tokens_are_as_good_as_the_text_that_they_are(complete, tokenize):
    text = "The answer is"
    options = {"max_tokens": 4, "temperature": 0}
    from_text = complete(prompt=text, **options)
    from_tokens = complete(prompt=tokenize(prompt=text), **options)
    assert from_tokens.choices[0].text == from_text.choices[0].text
    assert from_tokens.usage == from_text.usage


def test_a_text_may_begin_with_its_prompt(complete):
    plain = complete(prompt="One two", max_tokens=4)
    echoed = complete(prompt="One two", max_tokens=4, echo=True)
    assert echoed.choices[0].text == "One two" + plain.choices[0].text
    chunks = complete(prompt="One two", max_tokens=4, echo=True, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == echoed.choices[0].text


def test_the_likelihood_of_a_prompt_is_refused_by_name(complete):
    with pytest.raises(openai.BadRequestError) as refused:
        complete(prompt="One two", echo=True, logprobs=1)
    assert refused.value.param == "echo"


def test_the_likelihoods_of_a_text_are_told_in_four_lists(complete):
    options = {"max_tokens": 4, "extra_body": {"ignore_eos": True}}
    choice = complete(prompt="One two", logprobs=3, **options).choices[0]
    told = choice.logprobs
    assert len(told.tokens) == len(told.token_logprobs) == len(told.top_logprobs) == 4
    assert told.text_offset[0] == 0 and told.text_offset == sorted(told.text_offset)
    assert all(logprob <= 0 for logprob in told.token_logprobs)
    assert all(len(top) <= 4 for top in told.top_logprobs)


def test_the_models_are_listed(client):
    models = {model.id: model for model in client.models.list()}
    assert {"modelyard-demo", "bert", "local-echo"} <= set(models)
    assert models["modelyard-demo"].capabilities == ["chat"]
    assert models["bert"].capabilities == ["embeddings"]
    assert client.models.retrieve("bert").id == "bert"


@pytest.mark.parametrize("form", [{}, {"encoding_format": "float"}, {"encoding_format": "base64"}])
def test_texts_become_the_vectors_of_the_reference(client, form):
    cases = expected()
    answer = client.embeddings.create(model="bert", input=[text for text, _, _ in cases], **form)
    assert [data.index for data in answer.data] == list(range(len(cases)))
    assert answer.usage.prompt_tokens == sum(tokens for _, tokens, _ in cases)
    for data, (_, _, vector) in zip(answer.data, cases, strict=True):
        told = data.embedding
        if isinstance(told, str):
            # The client leaves it as it came, because it was asked for by name.
            told = list(struct.unpack(f"<{len(vector)}f", base64.b64decode(told)))
        assert math.hypot(*told) == pytest.approx(1, abs=1e-3)
        assert cosine(told, vector) > 0.999


def test_a_text_has_the_same_vector_alone_and_among_others(client):
    texts = [text for text, _, _ in expected()]
    together = client.embeddings.create(model="bert", input=texts)
    for text, data in zip(texts, together.data, strict=True):
        alone = client.embeddings.create(model="bert", input=text)
        assert alone.data[0].embedding == data.embedding
