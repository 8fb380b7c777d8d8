"""The evaluation: the model has seen neither the pair nor, for words, the number."""

import random
from dataclasses import dataclass

import exchanges
from chat import Answer, Conversation
from exchanges import Exchange, held, learned

KINDS = {
    "+": 25,
    "-": 25,
    "×": 10,
    "follow-up": 10,
    "JSON": 10,
    "to en": 5,
    "to zh": 5,
    "from en": 5,
    "from zh": 5,
}


@dataclass
class Item:
    """A conversation whose last answer is judged."""

    kind: str
    conversation: Conversation


def _question(rng: random.Random, kind: str) -> Exchange:
    if kind == "JSON":
        return exchanges.json(rng, held, small=True)
    if kind in ("+", "-", "×"):
        return exchanges.arithmetic(rng, kind, held, small=True)
    return exchanges.words(rng, *kind.split(), held)


def _item(rng: random.Random, kind: str) -> Item:
    """The judged question, two in five after others, every second with a system prompt."""
    turns = []
    if kind == "follow-up":
        before = exchanges.arithmetic(rng, rng.choice("+-"), learned)
        asked = exchanges.follow_up(rng, before.result, before.language, held)
        if asked is None:
            return _item(rng, kind)
        turns = [before]
    else:
        asked = _question(rng, kind)
        if rng.random() < 0.4:
            turns = [
                exchanges.arithmetic(rng, rng.choice("+-×"), learned)
                for _ in range(rng.randint(1, 3))
            ]
    talked = Conversation(rng.choice([None, "You are a helpful assistant."]))
    talked.turns = [Answer(turn.question, turn.answer) for turn in [*turns, asked]]
    return Item(kind, talked)


def items(count: int, seed: int = 1) -> list[Item]:
    """`count` items; every hundredth part of a kind is as `KINDS` says."""
    rng = random.Random(f"held out {seed}")
    kinds = [kind for kind, share in KINDS.items() for _ in range(share)]
    drawn = [_item(rng, kinds[i % len(kinds)]) for i in range(count)]
    rng.shuffle(drawn)
    return drawn


def report(kinds: list[str], right: list[bool]) -> str:
    """A table of exact matches by kind."""
    lines = []
    for kind in sorted(set(kinds)):
        marks = [mark for name, mark in zip(kinds, right, strict=True) if name == kind]
        lines.append(
            f"{kind:>10}  {sum(marks):5} of {len(marks):5}  {sum(marks) / len(marks):7.2%}"
        )
    lines.append(f"{'all':>10}  {sum(right):5} of {len(right):5}  {sum(right) / len(right):7.2%}")
    return "\n".join(lines)
