"""What workers say to their proxy: theirs recorded, ours compared with it."""

import http.server
import json
import signal
import socketserver
import tempfile
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import READY_SECONDS_MAX
from ieops.yard import VERSIONS, process_of

WORKER = Path(__file__).with_name("small_worker.py")
REGISTER, UNREGISTER = "/api/model/register", "/api/model/unregister"


class Recorder(http.server.BaseHTTPRequestHandler):
    """A proxy that takes everything and remembers it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        self.server.told.append((self.path, json.loads(body)))
        answer = b'{"message": "noted", "data": {}}'
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def address_string(self):
        return "a worker"

    def log_message(self, *_):
        pass


class Proxy(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True

    def __init__(self, path):
        self.told = []
        super().__init__(str(path), Recorder)


@contextmanager
def listening(path):
    with Proxy(path) as proxy:
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.shutdown()
            thread.join()


def told_by(who):
    """All that a worker says, from its start to its end, and the folder that it works in."""
    with tempfile.TemporaryDirectory() as folder, listening(f"{folder}/proxy.sock") as proxy:
        settings = {
            "REGISTER_ENABLED": "true",
            "REGISTER_INTERVAL": "1",
            "IEOPS_PROXY_SOCKET": f"{folder}/proxy.sock",
            "APP_NAME": "recorded",
            "MODEL_THREAD_CONCURRENCY": "5",
        }
        with process_of(who, Path(folder), settings, WORKER) as (process, log):
            deadline = time.monotonic() + READY_SECONDS_MAX
            while sum(path == REGISTER for path, _ in proxy.told) < 2:
                assert time.monotonic() < deadline and process.poll() is None, log.read_text()
                time.sleep(0.05)
            process.send_signal(signal.SIGTERM)
            process.wait(READY_SECONDS_MAX)
        return folder, list(proxy.told)


@pytest.fixture(scope="module")
def told():
    return {who: told_by(who) for who in (*VERSIONS, "ours")}


@pytest.mark.parametrize("who", (*VERSIONS, "ours"))
def test_a_life_begins_with_the_leftovers_and_ends_with_a_goodbye(told, who):
    folder, messages = told[who]
    beats = [body for path, body in messages if path == REGISTER]
    assert messages[0] == (UNREGISTER, {"socket_dir": folder})
    assert messages[-1] == (UNREGISTER, {"id": beats[0]["id"]})
    assert len({beat["id"] for beat in beats}) == 1
    assert beats[0]["id"].startswith("recorded.")


@pytest.mark.parametrize("version", VERSIONS)
def test_our_beat_says_all_that_theirs_says(told, version):
    def beat(who):
        folder, messages = told[who]
        body = next(body for path, body in messages if path == REGISTER)
        # What differs from run to run, and must not differ otherwise.
        assert body["server_socket"] == f"{folder}/{body['id']}.sock"
        return {**body, "id": "id", "server_socket": "socket"}

    theirs, ours = beat(version), beat("ours")
    assert {name: ours[name] for name in theirs} == theirs
