"""Streams of every kind; each writes down how far it came."""

import asyncio
import threading

from modelyard import Event, Model, stream

PIECE = "x" * 1000


class Streams(Model):
    def setup(self, ctx):
        self.closed: list[str] = []
        self.made: dict[str, int] = {}

    def predict(self, payload):
        return {"closed": self.closed, "made": self.made}

    @stream
    def words(self, text: str):
        yield from text.split()

    @stream
    async def events(self, payload):
        yield "two\nlines"
        yield {"n": 1}
        yield Event("named", event="greeting", id="7", retry=100)
        yield Event({"a": 1})

    def pieces(self, n: int):
        for number in range(n):
            yield bytes([number])

    def returns_a_generator(self, n: int):
        return (number for number in range(n))

    async def returns_a_generator_later(self, n: int):
        await asyncio.sleep(0)
        return (number for number in range(n))

    def fails_at_once(self, payload):
        raise ValueError("no first item")
        yield

    async def fails_at_once_later(self, payload):
        raise ValueError("no first item")
        yield

    def fails_midway(self, payload):
        yield 1
        raise ValueError("no second item")

    async def fails_midway_later(self, payload):
        yield 1
        raise ValueError("no second item")

    def fails_midway_raw(self, payload):
        yield b"1"
        raise ValueError("no second item")

    def not_serializable(self, payload):
        yield 1
        yield {1, 2}

    def endless(self, name: str):
        try:
            while True:
                self.made[name] = self.made.get(name, 0) + 1
                yield PIECE
        finally:
            self.closed.append(name)

    async def endless_later(self, name: str):
        try:
            while True:
                self.made[name] = self.made.get(name, 0) + 1
                yield PIECE
        finally:
            self.closed.append(name)

    async def waits_after_one(self, name: str):
        try:
            yield 1
            await asyncio.sleep(60)
        finally:
            self.closed.append(name)

    def threads_seen(self, n: int):
        for _ in range(n):
            yield threading.get_ident()
