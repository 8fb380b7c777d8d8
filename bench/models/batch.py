"""Modelyard computes a millisecond for each batch of up to 32."""

from compute import one_millisecond
from modelyard import Model, batch


class Batch(Model):
    @batch(max_size=32, max_wait_ms=5)
    def predict(self, bodies: list[dict]) -> list[dict]:
        one_millisecond()
        return [{"echo": body} for body in bodies]
