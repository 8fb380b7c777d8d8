"""Methods of every kind."""

import asyncio
import contextvars
import time
from collections.abc import AsyncIterator, Iterator

from modelyard import Context, Model, log, route

note: contextvars.ContextVar[str] = contextvars.ContextVar("note", default="")


class Calls(Model):
    threads = 2

    def setup(self, ctx) -> None:
        self.config = ctx.config
        self.device = ctx.device

    def predict(self, payload):
        """Answer with the payload.

        And more words.
        """
        return {"echo": payload}

    async def echo_later(self, payload):
        await asyncio.sleep(0.001)
        return {"echo": payload}

    async def echo_at_once(self, payload):
        return {"echo": payload}

    def numbers(self, n: int) -> Iterator[dict]:
        for number in range(n):
            yield {"n": number}

    async def numbers_later(self, n: int) -> AsyncIterator[dict]:
        for number in range(n):
            await asyncio.sleep(0)
            yield {"n": number}

    def nothing(self):
        return None

    def add(self, left: float, right: float = 1.0, *, scale: int = 1):
        return (left + right) * scale

    def maybe(self, payload=None):
        return payload

    def raw(self, data: bytes, ctx):
        return {"length": len(data), "type": ctx.headers.get("content-type")}

    def text(self, words: str):
        return words.upper()

    def about(self, payload, call: Context):
        return {
            "id": call.id,
            "tenant": call.headers.get("x-tenant"),
            "method": call.method,
            "path": call.path,
            "query": call.query,
            "left": call.time_left,
            "deadline": call.deadline and call.deadline - time.monotonic(),
            "cancelled": call.cancelled,
            "body": call.body.decode(),
        }

    @route(method="GET", path="/search", summary="Finds things")
    def search(self, q: str, limit: int = 10, tags: list[str] = []):  # noqa: B006
        return {"q": q, "limit": limit, "tags": tags}

    async def sleep(self, seconds: float):
        await asyncio.sleep(seconds)
        return "slept"

    def block(self, seconds: float):
        time.sleep(seconds)
        return "blocked"

    async def with_timeout(self, seconds: float):
        """A first step that only works inside a task."""
        assert asyncio.current_task() is not None
        children = [asyncio.create_task(asyncio.sleep(0, result=n)) for n in range(3)]
        return await asyncio.wait_for(asyncio.gather(*children), seconds)

    async def context_stays(self, word: str):
        before = note.get()
        note.set(word)
        await asyncio.sleep(0.02)
        return [before, note.get()]

    async def log_line(self, payload):
        await asyncio.sleep(0)
        log.info("seen", extra={"payload": payload})

    def forgets_async(self):
        return self.sleep(0)

    def config_of(self):
        return {"config": self.config, "device": self.device}

    def _private(self):
        raise AssertionError


def double(n: int) -> int:
    return 2 * n


class ByCall(Model):
    def __call__(self, x):
        return {"called": x}

    def other(self, x):
        return x


class Marked(Model):
    def first(self, x):
        return "first"

    @route(default=True, timeout_s=0.2)
    async def second(self, seconds):
        await asyncio.sleep(seconds)
        return "second"


class Plain:
    """Not derived from anything."""

    async def setup(self):
        await asyncio.sleep(0)
        self.ready = True

    def only(self, x):
        return self.ready
