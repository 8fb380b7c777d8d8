"""Takes the arguments of vLLM, SGLang or llama.cpp's server, and answers the same paths.

The arguments are those that the programs publish for what a recipe may use (vLLM 0.19, SGLang 0.5,
llama-server b6000 and later); an unknown one ends the program, as it ends the real ones.
"""

import json
import os
import time
from argparse import ArgumentParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

# How long llama.cpp's stand-in loads after it began to listen.
LOADING_SECONDS = 1.5


def arguments(program: str):
    """What the program was told: host, port, and the name that it serves."""
    parser = ArgumentParser(prog=program, allow_abbrev=False)
    if program == "vllm":
        parser.add_argument("command", choices=["serve"])
        parser.add_argument("model_tag")
        parser.add_argument("--served-model-name", dest="name", required=True)
        parser.add_argument("--max-model-len", type=int)
        parser.add_argument("--gpu-memory-utilization", type=float)
        parser.add_argument("--tensor-parallel-size", type=int)
    elif program == "sglang":
        parser.add_argument("--model-path", required=True)
        parser.add_argument("--served-model-name", dest="name", required=True)
        parser.add_argument("--context-length", type=int)
        parser.add_argument("--mem-fraction-static", type=float)
    else:
        parser.add_argument("--model", "-m", required=True)
        parser.add_argument("--alias", "-a", dest="name", required=True)
        parser.add_argument("--parallel", "-np", type=int)
        parser.add_argument("--ctx-size", "-c", type=int)
    parser.add_argument("--host", required=True)
    parser.add_argument("--port", type=int, required=True)
    return parser.parse_args()


def main(program: str) -> None:
    told = arguments(program)
    ready_at = time.monotonic() + (LOADING_SECONDS if program == "llama-server" else 0)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            self.json(200, {"status": "ok"}) if self.is_ready() else self.loading()

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["content-length"])))
            if not self.is_ready():
                return self.loading()
            if body["model"] != told.name:
                return self.json(404, {"error": {"message": f"no model {body['model']}"}})
            if body.get("stream"):
                return self.stream(body["messages"][-1]["content"])
            text = f"{body['messages'][-1]['content']} on {os.environ.get('CUDA_VISIBLE_DEVICES')}"
            message = {"role": "assistant", "content": text}
            self.json(200, {"model": told.name, "choices": [{"index": 0, "message": message}]})

        def is_ready(self) -> bool:
            return time.monotonic() >= ready_at

        def loading(self):
            self.json(503, {"error": {"code": 503, "message": "Loading model"}})

        def json(self, status: int, value) -> None:
            body = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def stream(self, text: str) -> None:
            self.send_response(200)
            self.send_header("content-type", "text/event-stream")
            self.send_header("connection", "close")
            self.end_headers()
            for word in text.split():
                event = {"choices": [{"index": 0, "delta": {"content": word}}]}
                self.wfile.write(f"data: {json.dumps(event)}\n\n".encode())
            self.wfile.write(b"data: [DONE]\n\n")

        def log_message(self, *_):
            pass

    ThreadingHTTPServer((told.host, told.port), Handler).serve_forever()
