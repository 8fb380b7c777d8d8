"""mosec computes a millisecond for each batch of up to 32."""

from compute import one_millisecond
from mosec import Server, Worker


class Batch(Worker):
    def forward(self, data: list[dict]) -> list[dict]:
        one_millisecond()
        return [{"echo": body} for body in data]


if __name__ == "__main__":
    server = Server()
    server.append_worker(Batch, num=1, max_batch_size=32, max_wait_time=5)
    server.run()
