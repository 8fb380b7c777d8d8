"""LitServe gives the body back, or with `batch` computes a millisecond for up to 32 of them."""

import sys

import litserve
from compute import one_millisecond


class Echo(litserve.LitAPI):
    def setup(self, device):
        pass

    def decode_request(self, request):
        return request

    def predict(self, body):
        return {"echo": body}

    def encode_response(self, output):
        return output


class Batch(Echo):
    def batch(self, inputs):
        return inputs

    def predict(self, bodies):
        one_millisecond()
        return [{"echo": body} for body in bodies]

    def unbatch(self, output):
        return output


if __name__ == "__main__":
    port, kind = int(sys.argv[1]), sys.argv[2]
    if kind == "batch":
        api = Batch(api_path="/echo", max_batch_size=32, batch_timeout=0.005)
    else:
        api = Echo(api_path="/echo")
    server = litserve.LitServer(api, accelerator="cpu", workers_per_device=1)
    server.run(
        host="127.0.0.1",
        port=port,
        num_api_servers=1,
        generate_client_file=False,
        log_level="error",
    )
