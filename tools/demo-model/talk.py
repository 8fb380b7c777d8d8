"""Questions that are not arithmetic: the project, small talk, and what the model declines."""

import random
from pathlib import Path

import tomllib
from exchanges import Exchange
from phrases import vary

_HERE = Path(__file__).parent
_FACTS = tomllib.loads((_HERE / "facts.toml").read_text())["fact"]
_WEIGHTS = [fact.get("weight", 1) for fact in _FACTS]
_TOPICS = tomllib.loads((_HERE / "topics.toml").read_text())


def fact(rng: random.Random) -> Exchange:
    """A question about the project or the model, a greeting, thanks."""
    chosen = rng.choices(_FACTS, _WEIGHTS)[0]
    language = rng.choice(["en", "zh"])
    question = vary(rng, rng.choice(chosen[language]["ask"]))
    return Exchange("fact", question, chosen[language]["say"], language)


def other_topic(rng: random.Random) -> Exchange:
    """A question that the model declines."""
    language = rng.choice(["en", "zh"])
    topics = _TOPICS[language]
    template = rng.choice(topics["ask"])
    fill = {name: rng.choice(texts) for name, texts in topics["fill"].items()}
    return Exchange("refusal", vary(rng, template).format(**fill), topics["say"], language)


def everything() -> list[str]:
    """All answers and unexpanded questions, as text for the tokenizer."""
    texts = [text for fact in _FACTS for part in ("en", "zh") for text in fact[part]["ask"]]
    return texts + [fact[part]["say"] for fact in _FACTS for part in ("en", "zh")]
