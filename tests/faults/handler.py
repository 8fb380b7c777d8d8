"""The model of the campaigns: each call leaves one effect, under its idempotency key."""

import asyncio
import contextlib
import os
from pathlib import Path

from modelyard import Context, Model

EFFECTS = Path(os.environ["EFFECTS"])


class Effect(Model):
    async def predict(self, payload: dict, ctx: Context) -> dict:
        await asyncio.sleep(payload["seconds"])
        key = ctx.headers["idempotency-key"]
        # Whoever comes second with the same key finds it done. A link is there whole or not at all.
        with contextlib.suppress(FileExistsError):
            (EFFECTS / key).symlink_to(str(payload["number"]))
        return {"number": payload["number"], "attempt": int(ctx.headers["x-attempt"])}
