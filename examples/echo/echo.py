"""The smallest models: what goes in comes out, once without and once with `async`."""

from modelyard import Model


class Echo(Model):
    """Answers with the body of the request; runs in a thread."""

    def predict(self, body: dict) -> dict:
        return body


class AsyncEcho(Model):
    """Answers with the body of the request; runs on the event loop."""

    async def predict(self, body: dict) -> dict:
        return body
