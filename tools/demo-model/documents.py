"""What the model reads: conversations of one or more exchanges, and a few bare equations."""

import random
from collections.abc import Sequence

import exchanges
import talk
from chat import Answer, Conversation
from exchanges import Exchange, learned

KINDS = {
    "+": 20,
    "-": 20,
    "×": 16,
    "JSON": 10,
    "follow-up": 10,
    "to en": 4,
    "to zh": 4,
    "from en": 4,
    "from zh": 4,
    "fact": 7,
    "refusal": 2,
    "limits": 3,
}
_SYSTEM_PROMPTS = [
    "You are a helpful assistant.",
    "You are a helpful assistant",
    "You are an assistant.",
    "You are a calculator.",
    "You are Modelyard's assistant.",
    "You are a friendly and helpful assistant. Answer the user's questions.",
    "You are a helpful, respectful and honest assistant.",
    "Answer briefly.",
    "Be brief.",
    "Be concise and precise.",
    "Answer in one sentence.",
    "Answer the question.",
    "You are a math teacher.",
    "Today is Monday. Be polite.",
    "你是一个有用的助手。",
    "你是一个乐于助人的助手。",
    "你是 Modelyard 的助手。",
    "请简短地回答。",
    "你是数学老师。",
]


def _noise(rng: random.Random, question: str) -> str:
    """The small liberties that people take."""
    chance = rng.random()
    if chance < 0.10:
        return question.lower() if '"' not in question else question
    if chance < 0.14:
        return question.rstrip("?.!。？！")
    if chance < 0.16:
        return question + rng.choice([" ", "\n", "?", "!"])
    return question


def exchange(rng: random.Random, kind: str, last: Exchange | None) -> Exchange:
    """A learnable exchange of `kind`; a follow-up without a `last` result is a sum."""
    if kind == "follow-up" and last is not None and last.result is not None:
        follow = exchanges.follow_up(rng, last.result, rng.choice(["en", "zh"]), learned)
        if follow is not None:
            return follow
    if kind in ("+", "-", "×"):
        return exchanges.arithmetic(rng, kind, learned)
    if kind == "JSON":
        return exchanges.json(rng, learned)
    if kind == "fact":
        return talk.fact(rng)
    if kind == "refusal":
        return talk.other_topic(rng)
    if kind == "limits":
        return exchanges.beyond_limits(rng)
    if kind == "follow-up":
        return exchanges.arithmetic(rng, rng.choice("+-"), learned)
    return exchanges.words(rng, *kind.split(), learned)


def system_prompt(rng: random.Random) -> str | None:
    """None as often as any; the commonest one most of the rest."""
    chance = rng.random()
    if chance < 0.5:
        return None
    return _SYSTEM_PROMPTS[0] if chance < 0.75 else rng.choice(_SYSTEM_PROMPTS)


def conversation(rng: random.Random, longest: int, more: Sequence[str] = ()) -> Conversation:
    """A conversation of 1 to `longest` turns; each mention in `more` adds a kind's share again."""
    weights = [weight * (1 + more.count(kind)) for kind, weight in KINDS.items()]
    turns = 1 if rng.random() < 0.4 else rng.randint(2, longest)
    talked = Conversation(system_prompt(rng), [], thought=rng.random() < 0.08)
    last = None
    for kind in rng.choices(list(KINDS), weights, k=turns):
        last = exchange(rng, kind, last)
        question = _noise(rng, last.question)
        talked.turns.append(Answer(question, last.answer, last.unlearned))
    return talked


def bare_equation(rng: random.Random) -> tuple[str, str]:
    """`17 + 25 =` and ` 42`, for completions without a chat."""
    op = rng.choice("++--×")
    a, b = exchanges.draw_pair(rng, op, learned)
    left, right = exchanges.equation(a, op, b).split(" =")
    return f"{left} =", right


def samples(rng: random.Random, count: int) -> list[str]:
    """Questions and answers for the tokenizer to count."""
    texts = []
    for _ in range(count):
        for turn in conversation(rng, 6).turns:
            texts += [turn.question, turn.text]
    # What the chat template writes, often enough to become tokens.
    template = ["system", "user", "assistant", "\n\n"] * count
    return texts + talk.everything() + _SYSTEM_PROMPTS + template
