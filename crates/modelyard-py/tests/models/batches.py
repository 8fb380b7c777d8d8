"""Methods that take many calls at once."""

import asyncio
import threading
import time
from dataclasses import dataclass

from modelyard import Context, HTTPError, Model, batch


@dataclass
class Item:
    n: int


class Batches(Model):
    def setup(self, ctx):
        self.go = threading.Event()
        self.cancelled = 0

    @batch(max_size=4, max_wait_ms=60_000)
    def predict(self, items: list[Item]) -> list[dict]:
        return [{"n": item.n, "of": len(items)} for item in items]

    @batch(max_size=4, max_wait_ms=60_000)
    async def later(self, items: list[Item]) -> list[dict]:
        await asyncio.sleep(0.001)
        return [{"n": item.n, "of": len(items)} for item in items]

    @batch(max_size=4, max_wait_ms=50)
    def lonely(self, numbers):
        return [len(numbers)] * len(numbers)

    @batch(max_size=4, max_wait_ms=50, adaptive=True)
    def adaptive(self, numbers):
        return [len(numbers)] * len(numbers)

    @batch(max_size=2, max_wait_ms=10)
    def two(self, left: list[int], right: list[int], ctx: list[Context]):
        return [[a + b, call.id] for a, b, call in zip(left, right, ctx, strict=True)]

    @batch(max_size=3, max_wait_ms=100)
    def some_fail(self, numbers):
        def one(n):
            if n == 0:
                return ValueError("zero")
            return HTTPError(409, "one") if n == 1 else n

        return [one(n) for n in numbers]

    @batch(max_size=2, max_wait_ms=500)
    def raises(self, numbers):
        raise ValueError("the whole batch")

    @batch(max_size=2, max_wait_ms=500)
    def too_few(self, numbers):
        return []

    @batch(max_size=2, max_wait_ms=10)
    def no_list(self, numbers):
        return "text"

    @batch(max_size=2, max_wait_ms=10)
    def array(self, numbers: list[float]):
        import numpy as np

        return np.array(numbers) * 2

    @batch(max_size=64, max_wait_ms=1)
    def gated(self, numbers):
        """Reports the size of its batch; waits while the first item is -1."""
        if numbers[0] == -1:
            self.go.wait(10)
        return [len(numbers)] * len(numbers)

    async def open_gate(self):
        self.go.set()

    @batch(max_size=2, max_wait_ms=100)
    async def endless(self, numbers):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise

    async def cancelled_batches(self):
        return self.cancelled

    def block(self, seconds: float):
        time.sleep(seconds)


class Limits(Model):
    @batch(max_size=8, max_wait_ms=5)
    def predict(self, numbers):
        return numbers


class NotAList(Model):
    @batch
    def predict(self, number: int):
        return number


class Stream(Model):
    @batch
    def predict(self, numbers):
        yield numbers
