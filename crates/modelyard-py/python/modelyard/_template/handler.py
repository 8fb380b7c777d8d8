"""The worker NAME: routes that answer, and one that streams."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from modelyard.config import env
from modelyard.handler import Handler, HTTPException, RouterDef, RouterKind, Server
from modelyard.utils import log


class Words:
    """A stand-in for your model: it takes a text apart."""

    def count(self, query: dict[str, Any]) -> dict[str, Any]:
        """One answer. A plain function runs in a thread; it may compute, and may block."""
        words = self._words(query)
        log.get_logger(trace_id=query["trace_id"]).info("{} words", len(words))
        return {"words": len(words), "letters": sum(map(len, words))}

    async def stream(self, query: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
        """A stream of events. If the client leaves, it ends at the next `yield` or `await`."""
        for word in self._words(query):
            yield {"word": word}
            await asyncio.sleep(0.05)

    def _words(self, query: dict[str, Any]) -> list[str]:
        text = query.get("text")
        if not isinstance(text, str):
            raise HTTPException(400, "text is missing")
        return text.split()


def main() -> None:
    """Serves until SIGTERM or Ctrl-C."""
    words = Words()
    server = Server(
        routers={
            "words": [
                RouterDef(path="count", handler=words.count),
                RouterDef(path="stream", handler=words.stream, kind=RouterKind.SSE),
            ],
        },
        app_name=env.app.name,
    )
    Handler(server=server).serve()


if __name__ == "__main__":
    main()
