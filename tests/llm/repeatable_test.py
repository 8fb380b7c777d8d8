"""The same words and the same likelihoods, whoever else is answered and whatever is cached."""

from concurrent.futures import ThreadPoolExecutor

import pytest

# 16 conversations whose beginnings, longer than a block of the cache, are all different.
TOPICS = [f"{number} apples and {number * 7} pears. " * 6 for number in range(11, 27)]


@pytest.fixture(scope="module")
def answer(chat):
    def ask(model: str, topic: str, **options):
        told = chat(
            f"{topic}How many are there?",
            model=model,
            max_completion_tokens=24,
            logprobs=True,
            extra_body={"ignore_eos": True},
            **options,
        )
        (choice,) = told.choices
        words = [(token.token, token.logprob) for token in choice.logprobs.content]
        assert len(words) == 24
        return words, told.usage.prompt_tokens_details.cached_tokens

    return ask


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.0, "seed": 5}])
def test_an_answer_is_the_same_alone_in_a_crowd_and_from_the_cache(answer, sampling):
    def ask(model: str, topic: str):
        return answer(model, topic, **sampling)

    def crowd(model: str):
        with ThreadPoolExecutor(len(TOPICS)) as pool:
            return list(pool.map(lambda topic: ask(model, topic), TOPICS))

    alone = [ask("uncached", topic) for topic in TOPICS]
    crowded = crowd("uncached")
    # The first of these fills the cache, the second reads it, and so does the last, alone.
    filling = crowd("modelyard-demo")
    cached = crowd("modelyard-demo")
    last = [ask("modelyard-demo", topic) for topic in TOPICS[:4]]

    assert {hits for _, hits in alone + crowded} == {0}
    assert all(hits >= 32 for _, hits in cached + last)
    words = [told for told, _ in alone]
    assert len({str(told) for told in words}) > 8
    for others in (crowded, filling, cached):
        assert [told for told, _ in others] == words
    assert [told for told, _ in last] == words[:4]
