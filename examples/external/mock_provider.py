"""Plays three external services on this machine, so that the example runs without a network.

python mock_provider.py [PORT]     (9100; 0 takes a free one; the address is printed)

It speaks as the real ones do, but knows nothing: the sentiment is counted from a few words, the
chat repeats what it hears, and every image is one colour, chosen by the prompt. A prompt with the
word "fail" or "cancel" shows how a task ends badly.
"""

import contextlib
import itertools
import json
import struct
import sys
import time
import zlib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

KEY = "demo"
GOOD = {"good", "great", "love", "lovely", "happy", "excellent", "好", "喜欢"}
BAD = {"bad", "awful", "hate", "sad", "terrible", "broken", "差", "讨厌"}
PIECE_PAUSE_SECONDS = 0.1
# A task is pending when first asked about, then processing, then done.
QUESTIONS_UNTIL_DONE = 3

task_numbers = itertools.count(1)
tasks: dict[str, dict] = {}


def sentiment(text: str) -> dict:
    words = [word.strip(".,!?").lower() for word in text.split()] + list(text)
    good, bad = (sum(word in known for word in words) for known in (GOOD, BAD))
    label = "neutral" if good == bad else "positive" if good > bad else "negative"
    return {"label": label, "score": (1 + abs(good - bad)) / (2 + good + bad)}


def png(prompt: str, side: int = 64) -> bytes:
    """A square in the colour of the prompt."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        checksum = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + checksum

    colour = zlib.crc32(prompt.encode()).to_bytes(4, "big")[:3]
    head = struct.pack(">IIBBBBB", side, side, 8, 2, 0, 0, 0)
    rows = (b"\0" + colour * side) * side
    parts = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + parts


class Provider(BaseHTTPRequestHandler):
    """One request to any of the three services."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))))
        match self.path:
            case "/sentiment" if self.knows_key("Token"):
                self.answer(200, sentiment(str(body.get("text", ""))))
            case "/v1/chat/completions" if self.knows_key("Bearer"):
                self.chat(body)
            case "/v1/images/generations" if self.knows_key("Bearer"):
                task_id = f"task_{next(task_numbers)}"
                tasks[task_id] = {"prompt": body["prompt"], "questions": 0}
                data = [{"status": "submitted", "task_id": task_id}]
                self.answer(200, {"code": 200, "data": data})
            case _:
                self.refuse()

    def do_GET(self) -> None:
        folder, _, name = self.path.rpartition("/")
        match folder:
            case "/v1" if name == "models":
                self.answer(200, {"object": "list", "data": [{"id": "parrot-1"}]})
            case "/v1/tasks" if name in tasks and self.knows_key("Bearer"):
                self.answer(200, {"code": 200, "data": self.task(name)})
            case "/images" if task := tasks.get(name.removesuffix(".png")):
                self.send("image/png", png(task["prompt"]))
            case _:
                self.refuse()

    def task(self, task_id: str) -> dict:
        task = tasks[task_id]
        task["questions"] += 1
        data = {"id": task_id, "status": "pending", "progress": 0}
        if task["questions"] >= QUESTIONS_UNTIL_DONE:
            if "fail" in task["prompt"]:
                return data | {"status": "failed", "error": {"message": "the prompt said so"}}
            if "cancel" in task["prompt"]:
                return data | {"status": "cancelled"}
            url = f"http://{self.headers['host']}/images/{task_id}.png"
            images = [{"url": [url], "expires_at": int(time.time()) + 600}]
            return data | {"status": "completed", "progress": 100, "result": {"images": images}}
        if task["questions"] > 1:
            data |= {"status": "processing", "progress": 50}
        return data

    def chat(self, body: dict) -> None:
        words = str(body["messages"][-1]["content"]).split()
        head = {"id": "chatcmpl-1", "created": int(time.time()), "model": body["model"]}
        usage = {"prompt_tokens": len(words), "completion_tokens": len(words)}
        usage["total_tokens"] = 2 * len(words)
        if not body.get("stream"):
            message = {"role": "assistant", "content": " ".join(words)}
            choice = {"index": 0, "message": message, "finish_reason": "stop"}
            whole = {"object": "chat.completion", "choices": [choice], "usage": usage}
            self.answer(200, head | whole)
            return
        self.begin(200, "text/event-stream")
        for number, word in enumerate(words):
            delta = {"content": word if number == 0 else f" {word}"}
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            self.event(head | {"object": "chat.completion.chunk", "choices": [choice]})
            time.sleep(PIECE_PAUSE_SECONDS)
        choice = {"index": 0, "delta": {}, "finish_reason": "stop"}
        self.event(head | {"object": "chat.completion.chunk", "choices": [choice], "usage": usage})
        self.wfile.write(b"data: [DONE]\n\n")

    def knows_key(self, scheme: str) -> bool:
        return self.headers.get("authorization") == f"{scheme} {KEY}"

    def refuse(self) -> None:
        known = self.headers.get("authorization", "").endswith(f" {KEY}")
        status, message = (404, "no such thing") if known else (401, "wrong key")
        self.answer(status, {"error": {"code": status, "message": message}})

    def answer(self, status: int, value: dict) -> None:
        self.send("application/json", json.dumps(value).encode(), status)

    def send(self, kind: str, data: bytes, status: int = 200) -> None:
        self.begin(status, kind)
        self.wfile.write(data)

    def begin(self, status: int, kind: str) -> None:
        self.send_response(status)
        self.send_header("content-type", kind)
        self.end_headers()

    def event(self, value: dict) -> None:
        self.wfile.write(f"data: {json.dumps(value)}\n\n".encode())


def main(port: int) -> None:
    with ThreadingHTTPServer(("127.0.0.1", port), Provider) as server:
        print(f"http://127.0.0.1:{server.server_port}", flush=True)
        server.serve_forever()


if __name__ == "__main__":
    with contextlib.suppress(KeyboardInterrupt):
        main(int(sys.argv[1]) if len(sys.argv) > 1 else 9100)
