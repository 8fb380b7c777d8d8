"""A real Redis for each test, and servers that share it."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from harness import Server, serving
from redis_server import Redis

SLOW = """
import asyncio
import os
import time

from modelyard import Model


class Slow(Model):
    async def predict(self, payload: dict, ctx) -> dict:
        begin = time.time()
        note(f"begin {payload['number']} {os.getppid()} {begin}")
        ctx.progress(0.5, "asleep", partial={"number": payload["number"]})
        await asyncio.sleep(payload["seconds"])
        note(f"end {payload['number']} {os.getppid()} {time.time()}")
        return payload


def note(line):
    # One write per line, so that lines of several processes do not mix.
    with open(os.environ["NOTES"], "a") as file:
        file.write(line + "\\n")
"""

CONFIG = """
[store]
url = "redis://127.0.0.1:{port}/0"

[workers]
heartbeat_seconds = 0.5
lease_seconds = 2

[models.slow]
implementation = "slow.py:Slow"
max_concurrency = 2
retry.attempts_max = 9
env = {{ NOTES = "{notes}" }}
"""


class Yard:
    """Servers on one Redis, each in a folder of its own."""

    def __init__(self, folder: Path, redis: Redis, stack: ExitStack):
        self.folder = folder
        self.redis = redis
        self.stack = stack
        self.notes_file = folder / "notes"
        self.notes_file.touch()

    def server(self, name: str) -> Server:
        home = self.folder / name
        home.mkdir()
        (home / "slow.py").write_text(SLOW)
        config = CONFIG.format(port=self.redis.port, notes=self.notes_file)
        return self.stack.enter_context(serving(home, config=config))

    def notes(self, word: str) -> list[tuple[int, int, float]]:
        """Number of the task, process of the server, and time of all that began or ended."""
        lines = [line.split() for line in self.notes_file.read_text().splitlines()]
        return [(int(n), int(pid), float(at)) for said, n, pid, at in lines if said == word]


@pytest.fixture
def yard(tmp_path) -> Iterator[Yard]:
    redis = Redis(tmp_path)
    try:
        with ExitStack() as stack:
            yield Yard(tmp_path, redis, stack)
    finally:
        redis.kill()
