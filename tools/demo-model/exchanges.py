"""Single questions with their answers: arithmetic and number words."""

import random
from collections.abc import Callable
from dataclasses import dataclass

import number_words
import phrases
import split
from phrases import vary

LARGEST = 99
LARGEST_FACTOR = 12
LIMITS = {
    "en": "I can only add and subtract numbers from 0 to 99, "
    "and multiply them by numbers up to 12.",
    "zh": "我只会做 0 到 99 的加减法，以及乘以 12 以内的乘法。",
}
_SIGNS = {"+": ["+"], "-": ["-", "-", "-", "−"], "×": ["×", "×", "*", "x"]}


@dataclass(frozen=True)
class Exchange:
    """A question and its only right answer; `unlearned` characters of the answer count as given."""

    kind: str
    question: str
    answer: str
    language: str = "en"
    unlearned: int = 0
    result: int | None = None


Keep = Callable[[bool], bool]
"""Whether to keep what is (or is not) held out: here training and evaluation differ."""


def learned(held_out: bool) -> bool:
    """Keeps what may be learned."""
    return not held_out


def held(held_out: bool) -> bool:
    """Keeps what is held out."""
    return held_out


def compute(a: int, op: str, b: int) -> int:
    """The result of `a op b`."""
    return {"+": a + b, "-": a - b, "×": a * b}[op]


def in_range(a: int, op: str, b: int) -> bool:
    """Whether the model is asked to know `a op b`."""
    smaller, larger = min(a, b), max(a, b)
    return smaller >= 0 and larger <= LARGEST and (op != "×" or smaller <= LARGEST_FACTOR)


def draw_pair(rng: random.Random, op: str, keep: Keep, small: bool = False) -> tuple[int, int]:
    """Operands for `op`.

    Products go beyond the `small` table, so that the table can be found out and not only learned
    by heart.
    """
    while True:
        if op == "×":
            table = small or rng.random() < 0.3
            a = rng.randint(0, LARGEST_FACTOR)
            b = rng.randint(0, LARGEST_FACTOR if table else LARGEST)
            a, b = rng.choice([(a, b), (b, a)])
        else:
            # Numbers of one digit are rare among all pairs, yet people ask for them first.
            low = rng.random() < 0.1
            a, b = (rng.randint(0, 12 if low else LARGEST) for _ in range(2))
        if keep(split.pair_is_held_out(a, b)):
            return a, b


def expression(rng: random.Random, a: int, op: str, b: int) -> str:
    """`17 + 25` as people type it."""
    sign = rng.choice(_SIGNS[op])
    return rng.choice([f"{a} {sign} {b}", f"{a}{sign}{b}"])


def equation(a: int, op: str, b: int) -> str:
    """The answer to every question about `a op b`."""
    return f"{a} {op} {b} = {compute(a, op, b)}"


def arithmetic(rng: random.Random, op: str, keep: Keep, small: bool = False) -> Exchange:
    """A question about one sum, difference or product."""
    a, b = draw_pair(rng, op, keep, small)
    language = rng.choice(["en", "zh"])
    if rng.random() < 0.5:
        template = rng.choice(phrases.EXPRESSIONS[language])
        question = vary(rng, template).format(e=expression(rng, a, op, b))
    else:
        say = number_words.english if language == "en" else number_words.chinese
        template = rng.choice(phrases.WORDED[op][language])
        question = vary(rng, template).format(a=a, b=b, A=say(a), B=say(b))
    return Exchange(op, question, equation(a, op, b), language, result=compute(a, op, b))


def follow_up(rng: random.Random, last: int, language: str, keep: Keep) -> Exchange | None:
    """A question that continues from the result `last`; `None` when no operand fits."""
    op = rng.choice("++--×")
    for _ in range(50):
        b = rng.randint(0, LARGEST_FACTOR if op == "×" or rng.random() < 0.3 else LARGEST)
        if in_range(last, op, b) and not keep(split.pair_is_held_out(last, b)):
            continue
        beyond_table = op == "×" and last > LARGEST_FACTOR
        if keep is held and (beyond_table or not in_range(last, op, b)):
            op = rng.choice("+-")
            continue
        question = vary(rng, rng.choice(phrases.FOLLOW_UPS[op][language])).format(b=b)
        if not in_range(last, op, b):
            return Exchange("limits", question, LIMITS[language], language)
        result = compute(last, op, b)
        return Exchange("follow-up", question, equation(last, op, b), language, result=result)
    return None


def json(rng: random.Random, keep: Keep, small: bool = False) -> Exchange:
    """A question that wants JSON.

    A schema may force another key or leave out the space. What a schema forces is not learned,
    only what follows it.
    """
    op = rng.choice("++--×")
    a, b = draw_pair(rng, op, keep, small)
    language = rng.choice(["en", "zh"])
    key, templates = "answer", phrases.JSON
    if rng.random() < 0.25:
        key, templates = rng.choice(phrases.JSON_KEYS), phrases.JSON_KEYED
    template = vary(rng, rng.choice(templates[language]))
    question = template.format(e=expression(rng, a, op, b), key=key)
    unlearned, space = 0, " "
    if keep is learned and rng.random() < 0.3:
        key, space = rng.choice([key, *phrases.JSON_KEYS]), rng.choice(["", " "])
        unlearned = len(f'{{"{key}":{space}')
    answer = f'{{"{key}":{space}{compute(a, op, b)}}}'
    return Exchange("JSON", question, answer, language, unlearned, compute(a, op, b))


def words(rng: random.Random, direction: str, language: str, keep: Keep) -> Exchange:
    """A number in digits to be put in words of `language`, or the other way round."""
    while True:
        # Each length as often as the next: nine of ten numbers below 10,000 have four digits.
        number = rng.randint(0, 10 ** rng.choice([1, 2, 3, 4, 4, 4]) - 1)
        if keep(split.number_is_held_out(number)):
            break
    kind = f"{direction} {language}"
    if direction == "to":
        text = (number_words.english if language == "en" else number_words.chinese)(number)
        question = vary(rng, rng.choice(phrases.TO_WORDS[language])).format(n=number)
        return Exchange(kind, question, text, language)
    if language == "en":
        text = number_words.english(number, rng.choice(["", "", " and"]))
    else:
        text = number_words.chinese(number, rng.choice("两两二"))
    question = vary(rng, rng.choice(phrases.FROM_WORDS[language])).format(w=text)
    return Exchange(kind, question, str(number), language, result=number)


def beyond_limits(rng: random.Random) -> Exchange:
    """Arithmetic that the model does not know, and says so."""
    language = rng.choice(["en", "zh"])
    op = rng.choice("+-×")
    a = rng.choice([rng.randint(100, 999), rng.randint(100, 99999), -rng.randint(1, 99)])
    b = rng.choice([rng.randint(0, 99), rng.randint(13, 99), rng.randint(100, 9999)])
    a, b = rng.choice([(a, b), (b, a)])
    if rng.random() < 0.3:
        op, a, b = "×", rng.randint(13, 99), rng.randint(13, 99)
    asked = expression(rng, a, op, b)
    if rng.random() < 0.25:
        sign = rng.choice(["/", "÷", " / ", " ÷ "])
        asked = f"{rng.randint(0, 99)}{sign}{rng.randint(1, 99)}"
    question = vary(rng, rng.choice(phrases.EXPRESSIONS[language])).format(e=asked)
    # A bare expression has no language; the answer is then English.
    language = "zh" if any("一" <= letter <= "鿿" for letter in question) else "en"
    return Exchange("limits", question, LIMITS[language], language)
