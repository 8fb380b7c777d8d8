"""mosec gives the body back."""

from mosec import Server, Worker


class Echo(Worker):
    def forward(self, data: dict) -> dict:
        return {"echo": data}


if __name__ == "__main__":
    server = Server()
    server.append_worker(Echo, num=1)
    server.run()
