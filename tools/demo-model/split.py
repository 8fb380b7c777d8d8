"""What the model never sees while it learns.

A fifth of all pairs and of the larger numbers, chosen by a stable hash.
"""

import hashlib
from functools import cache

PART = 5


@cache
def _chosen(name: str) -> bool:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") % PART == 0


def pair_is_held_out(a: int, b: int) -> bool:
    """The pair counts without its order and for every operation."""
    return _chosen(f"pair {min(a, b)} {max(a, b)}")


def number_is_held_out(number: int) -> bool:
    """Whether the words of `number` are kept for the evaluation, in both languages.

    Below 100 none is: these make up the others, and sums are asked with them.
    """
    return number >= 100 and _chosen(f"number {number}")
