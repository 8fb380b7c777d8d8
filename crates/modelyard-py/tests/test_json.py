"""JSON written by Rust means what Python's own `json` means."""

from __future__ import annotations

import json
import math
import random
import sys

import pytest

from modelyard._core import NotSerializable, dumps


def value(chance: random.Random, depth: int = 0):
    """Some JSON value."""
    kind = chance.randrange(8 if depth < 5 else 6)
    if kind == 0:
        return chance.choice([None, True, False])
    if kind == 1:
        return chance.randrange(-(10**6), 10**6)
    if kind == 2:
        return chance.choice([-1, 1]) * chance.getrandbits(chance.choice([31, 63, 64, 65, 200]))
    if kind == 3:
        return chance.uniform(-1, 1) * 10.0 ** chance.randrange(-300, 300)
    if kind in (4, 5):
        return text(chance)
    if kind == 6:
        return [value(chance, depth + 1) for _ in range(chance.randrange(5))]
    return {text(chance): value(chance, depth + 1) for _ in range(chance.randrange(5))}


def text(chance: random.Random) -> str:
    letters = 'ab"\\/\n\r\t\x00\x1f\x7fé\u2028😀\ufffd'
    return "".join(chance.choice(letters) for _ in range(chance.randrange(8)))


@pytest.mark.parametrize("seed", range(50))
def test_whatever_is_written_reads_back_the_same(seed):
    chance = random.Random(seed)
    for _ in range(40):
        original = value(chance)
        read = json.loads(dumps(original))
        assert read == original
        assert repr(read) == repr(original)


@pytest.mark.parametrize("number", [0.0, -0.0, 1.0, 1e16, 5e-324, sys.float_info.max, 0.1])
def test_floats_stay_floats_to_the_last_bit(number):
    read = json.loads(dumps(number))
    assert isinstance(read, float)
    assert (read, math.copysign(1, read)) == (number, math.copysign(1, number))


def test_keys_that_json_lets_python_write_are_written_alike():
    keys = {None: 1, True: 2, 3: 4, 1.5: 5, "x": 6}
    assert json.loads(dumps(keys)) == json.loads(json.dumps(keys))


def test_code_that_raises_while_it_is_asked_is_heard():
    class Odd:
        def model_dump(self, mode):
            raise ZeroDivisionError("odd")

    with pytest.raises(ZeroDivisionError, match="odd"):
        dumps([Odd()])
    with pytest.raises(NotSerializable, match=r"result\[0\]: an object of type complex"):
        dumps([1j])
