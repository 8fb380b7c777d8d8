"""Names for calls."""

from __future__ import annotations

import random
import string

_CHARACTERS = string.ascii_letters + string.digits


async def generate_trace_id() -> str:
    """A new trace id: `traceid-` and eight letters or digits."""
    return "traceid-" + "".join(random.choices(_CHARACTERS, k=8))
