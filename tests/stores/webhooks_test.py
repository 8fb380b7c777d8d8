"""Letters about the ends of tasks: signed, and told in spite of everything."""

import base64
import hashlib
import hmac
import json
import subprocess
import threading
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from harness import PROGRAM, READY_SECONDS_MAX, free_port, serving

KEY = bytes(range(32))
CONFIG = """
[webhooks]
secrets = "whsec_{secret}"
allow = "http://127.0.0.1:{port}"
attempts_max = {attempts}
backoff_seconds = 0.1
backoff_seconds_max = 0.2
"""


class Receiver:
    """A server that takes letters and checks their signature by the book."""

    def __init__(self):
        self.letters: list[dict] = []
        self.forged = 0

    @contextmanager
    def listening(self, port: int):
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["content-length"]))
                receiver.take(self.headers, body)
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_):
                pass

        server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            server.server_close()

    def take(self, headers, body: bytes) -> None:
        signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
        mac = base64.b64encode(hmac.digest(KEY, signed, hashlib.sha256)).decode()
        fresh = abs(time.time() - int(headers["webhook-timestamp"])) < 60
        if headers["webhook-signature"] == f"v1,{mac}" and fresh:
            self.letters.append(json.loads(body))
        else:
            self.forged += 1

    def wait_for(self, task: str) -> dict:
        deadline = time.monotonic() + READY_SECONDS_MAX
        while True:
            for letter in list(self.letters):
                if letter["data"]["task_id"] == task:
                    return letter
            assert time.monotonic() < deadline, f"nobody told of {task}: {self.letters}"
            time.sleep(0.02)


def config(port: int, attempts: int) -> str:
    secret = base64.b64encode(KEY).decode()
    return CONFIG.format(secret=secret, port=port, attempts=attempts)


def submit(server, port: int) -> str:
    headers = {"x-webhook-url": f"http://127.0.0.1:{port}/done?who=me"}
    answer = server.post("/tasks/local-echo", {"text": "hi"}, headers=headers)
    assert answer.status == 202, answer.text()
    return answer.json()["task_id"]


def command(server, *arguments: str) -> dict:
    words = [PROGRAM, "task", *arguments, "--url", server.url]
    return json.loads(subprocess.run(words, check=True, capture_output=True, text=True).stdout)


def kill(server) -> None:
    server.process.kill()
    server.process.wait()
    # The harness wants servers to have ended in order.
    server.process.returncode = 0


def test_an_end_is_told_although_the_server_was_killed_and_the_receiver_was_away(tmp_path):
    port, receiver = free_port(), Receiver()
    settings = config(port, attempts=1000)
    with serving(tmp_path, config=settings) as server:
        task = submit(server, port)
        assert server.finished(task)["status"] == "completed"
        kill(server)
    with serving(tmp_path, config=settings), receiver.listening(port):
        letter = receiver.wait_for(task)
    assert letter["type"] == "task.completed"
    assert letter["data"]["result"] == {"model": "local-echo", "echo": {"text": "hi"}}
    assert receiver.forged == 0


def test_a_letter_that_nobody_takes_is_a_dead_letter_until_it_is_replayed(tmp_path):
    port, receiver = free_port(), Receiver()
    with serving(tmp_path, config=config(port, attempts=2)) as server:
        task = submit(server, port)
        assert server.finished(task)["status"] == "completed"
        deadline = time.monotonic() + READY_SECONDS_MAX
        ours = ["--model", "modelyard:webhooks"]
        while not (dead := command(server, "dead", "list", *ours)["tasks"]):
            assert time.monotonic() < deadline
            time.sleep(0.05)
        shown = command(server, "dead", "show", dead[0]["task_id"])
        assert [failed["attempt"] for failed in shown["attempts"]] == [1, 2]
        assert all("cannot be reached" in failed["error"] for failed in shown["attempts"])
        with receiver.listening(port):
            replayed = command(server, "dead", "replay", "--all", "--error-code", "provider_failed")
            assert replayed == {"handled": 1}
            assert receiver.wait_for(task)["type"] == "task.completed"
        assert command(server, "dead", "list")["tasks"] == []
        assert server.post("/tasks/modelyard:webhooks", {}).status == 404


def test_a_receiver_that_is_not_allowed_is_refused_at_once(tmp_path):
    with serving(tmp_path, config=config(free_port(), attempts=1)) as server:
        headers = {"x-webhook-url": "https://hooks.example/"}
        refused = server.post("/tasks/local-echo", {}, headers=headers)
        assert (refused.status, refused.json()["code"]) == (400, "invalid_request")
        headers = {"x-webhook-events": "done", "x-webhook-url": "https://hooks.example/"}
        refused = server.post("/tasks/local-echo", {}, headers=headers).json()
        assert "`done` is not completed, failed, cancelled, dead or progress" in refused["detail"]
