"""Answers that come piece by piece, from a plain generator and from an async one."""

import asyncio
import time
from dataclasses import dataclass

from modelyard import Model, stream


@dataclass
class Countdown:
    """From which number to count down, and how long to wait between two numbers."""

    start: int
    pause_seconds: float = 0.2


@dataclass
class Text:
    """What to tell, word by word."""

    text: str
    pause_seconds: float = 0.05


class Teller(Model):
    threads = 4  # countdowns that can run at once

    @stream
    def predict(self, countdown: Countdown):
        """Counts down; a plain generator, run in a thread."""
        for number in range(countdown.start, 0, -1):
            yield {"number": number}
            time.sleep(countdown.pause_seconds)
        yield {"liftoff": True}

    @stream
    async def tell(self, text: Text):
        """Tells a text word by word; an async generator, run on the event loop."""
        for word in text.text.split():
            yield word
            await asyncio.sleep(text.pause_seconds)
