"""Modelyard gives the body back, in the same words as the peers."""

from modelyard import Model


class Echo(Model):
    def predict(self, body: dict) -> dict:
        return {"echo": body}


class AsyncEcho(Model):
    async def predict(self, body: dict) -> dict:
        return {"echo": body}
