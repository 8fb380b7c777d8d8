"""The class that models derive from."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .context import SetupContext


class Model:
    """A model: each public method is a route, `setup` runs once per worker before any call.

    `predict` is the default route, the one that `/invoke/{model}` calls; without it `__call__`,
    `infer` or the only public method is. Names with a leading underscore stay private.
    """

    threads: int = 1
    """Threads that run the synchronous methods; the asynchronous ones share the event loop. The
    field `threads` in the model's `metadata` goes before it."""

    capacity: int | None = None
    """Calls held at once, waiting ones included; by default what suits the kinds of the routes."""

    capabilities: tuple[str, ...] = ()
    """What the model can do, in the gateway's words, for example `("chat",)`."""

    def setup(self, ctx: SetupContext) -> object:
        """Load what the calls need. May be asynchronous."""
        return None
