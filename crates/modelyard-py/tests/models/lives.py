"""Workers that start, fail to start, are cancelled and end."""

import asyncio
import os
import sys
import threading
import time

from modelyard import Model, log


class Lives(Model):
    def setup(self, ctx):
        self.seen: list[str] = []
        self.warm = None

    async def predict(self, payload):
        if payload == "fail":
            raise ValueError("cold")
        self.warm = payload
        return payload

    async def notes(self):
        return {"seen": self.seen, "warm": self.warm}

    async def wait(self, name: str, ctx):
        self.seen.append(f"{name} began")
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            self.seen.append(f"{name} cancelled {ctx.cancelled}")
            raise

    async def stubborn(self, seconds: float):
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            await asyncio.sleep(seconds)
            self.seen.append("gave in")

    def poll(self, name: str, ctx):
        self.seen.append(f"{name} began")
        while not ctx.cancelled:
            time.sleep(0.005)
        self.seen.append(f"{name} saw it")

    def block(self, seconds: float):
        self.seen.append("block began")
        time.sleep(seconds)
        return "done"

    async def sleep(self, seconds: float):
        await asyncio.sleep(seconds)
        return "done"

    def report(self, payload, ctx):
        ctx.progress(0.5, "half way", {"so": "far"})
        ctx.usage("tokens", 3)
        return "done"

    def speak(self, payload):
        print("printed")
        log.warning("logged %s", "well", extra={"size": 3, "kind": object})
        return None


class OneAtATime(Lives):
    capacity = 1


class FailsInSetup(Model):
    def setup(self, ctx):
        raise FileNotFoundError("no weights at /nowhere")

    def predict(self, x):
        return x


class FailsInSetupLater(Model):
    async def setup(self, ctx):
        await asyncio.sleep(0)
        raise MemoryError("too big")

    def predict(self, x):
        return x


class ExitsInSetup(Model):
    def setup(self, ctx):
        sys.exit("I give up")

    def predict(self, x):
        return x


class NeedsArguments(Model):
    def __init__(self, path):
        self.path = path


class NoDefault(Model):
    def one(self, x):
        return x

    def two(self, x):
        return x


class Nothing(Model):
    pass


class Forks(Model):
    """Setup may fork and run a loop of its own: no thread of ours is there yet."""

    def setup(self, ctx):
        self.threads = threading.active_count()
        self.tasks = len(os.listdir("/proc/self/task"))
        child = os.fork()
        if child == 0:
            os._exit(7)
        self.child = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        asyncio.run(asyncio.sleep(0))

    def predict(self, payload):
        return [self.threads, self.tasks, self.child]
