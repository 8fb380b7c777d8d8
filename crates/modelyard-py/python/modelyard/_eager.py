"""Tasks that begin at once."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def start_eagerly(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, None]
) -> asyncio.Task[None]:
    """A task whose first step runs here and now.

    Most methods never wait, and end in that step: no turn of the loop is spent on them.
    """
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)

    # Older tasks ask the loop for their first step with `call_soon`, and with nothing else; that
    # one request is granted at once.
    def now(step: Callable[..., object], *arguments: Any, context: Any) -> None:
        del loop.call_soon
        context.run(step, *arguments)

    loop.call_soon = now  # type: ignore[method-assign, assignment]
    try:
        return asyncio.Task(coroutine, loop=loop)
    finally:
        vars(loop).pop("call_soon", None)
