"""The OpenAI-compatible chat worker of the gmi-ieops document; its model only counts words."""

import asyncio
import time
import uuid

from modelyard.config import env
from modelyard.handler import Handler, HTTPException, HTTPMethod, RouterDef, RouterKind, Server
from modelyard.utils import log


class Chat:
    async def complete(self, query):
        """A whole answer, as OpenAI's clients want it."""
        words = [token async for token in self.tokens(query)]
        message = {"role": "assistant", "content": "".join(words)}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {**envelope("chat.completion"), "choices": [choice]}

    async def stream(self, query):
        """The same answer, word by word."""
        head = envelope("chat.completion.chunk")
        async for token in self.tokens(query):
            yield {**head, "choices": [{"index": 0, "delta": {"content": token}}]}
        yield {**head, "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}

    async def models(self, query):
        """The models that this worker has."""
        return {"object": "list", "data": [{"id": env.model.name, "object": "model"}]}

    async def tokens(self, query):
        """Where your model comes in."""
        messages = query.get("messages")
        if not messages:
            raise HTTPException(400, "messages are missing")
        log.get_logger(trace_id=query["trace_id"]).info("{} messages", len(messages))
        text = messages[-1]["content"]
        for token in ("You", " said", f" {len(text.split())}", " words", "."):
            yield token
            await asyncio.sleep(0.01)


def envelope(kind):
    return {
        "id": f"chatcmpl-{uuid.uuid4().hex}",
        "object": kind,
        "created": int(time.time()),
        "model": env.model.name,
    }


def main():
    chat = Chat()
    server = Server(
        routers={
            "chat/completions": [
                RouterDef(path="", handler=chat.complete),
                RouterDef(path="stream", handler=chat.stream, kind=RouterKind.SSE),
            ],
            "models": [RouterDef(path="", handler=chat.models, method=HTTPMethod.GET)],
        },
        prefix="/v1",
        app_name=env.app.name,
    )
    Handler(server=server).serve()


if __name__ == "__main__":
    main()
