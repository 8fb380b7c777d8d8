"""The model of the campaigns: each call leaves one effect, under its idempotency key.

It also notes which attempts began; that none begins twice is for the campaign to see.
"""

import asyncio
import contextlib
import os
from pathlib import Path
from uuid import uuid4

from modelyard import Context, Model

EFFECTS = Path(os.environ["EFFECTS"])
BEGUN = Path(os.environ["BEGUN"])


class Effect(Model):
    async def predict(self, payload: dict, ctx: Context) -> dict:
        key, attempt = ctx.headers["idempotency-key"], ctx.headers["x-attempt"]
        (BEGUN / f"{key}@{attempt}@{uuid4()}").touch()
        await asyncio.sleep(payload["seconds"])
        # Whoever comes second with the same key finds it done. A link is there whole or not at all.
        with contextlib.suppress(FileExistsError):
            (EFFECTS / key).symlink_to(str(payload["number"]))
        return {"number": payload["number"], "attempt": int(attempt)}
