"""A server with a certificate: one port for https and for those who may speak without."""

import contextlib
import os
import socket
import ssl
import subprocess
import time
import urllib.request

import httpx
import pytest
from harness import PROGRAM, serving
from websockets.sync.client import connect

CONFIG = "[models.local-echo]\n"


def command(folder, *arguments: str, **options) -> subprocess.CompletedProcess:
    env = {**os.environ, "MODELYARD_DATA_DIR": str(folder / "data")}
    arguments = [PROGRAM, *arguments]
    options = {"capture_output": True, "text": True, "timeout": 60, **options}
    return subprocess.run(arguments, cwd=folder, env=env, **options)


def initialise(folder) -> None:
    command(folder, "tls", "init", "yard.example", check=True)


@pytest.fixture(scope="module")
def server(folder):
    initialise(folder)
    with serving(folder, config=CONFIG) as server:
        yield server


@pytest.fixture
def trust(server, folder) -> ssl.SSLContext:
    """What a client believes that was told of the authority; each client adds what it speaks."""
    return ssl.create_default_context(cafile=folder / "data/tls/ca.crt")


def https(server, path: str = "") -> str:
    return f"https://127.0.0.1:{server.port}{path}"


def test_a_client_that_trusts_the_authority_speaks_http_2(server, trust):
    with httpx.Client(http2=True, verify=trust) as client:
        answer = client.post(https(server, "/invoke/local-echo"), json={"text": "safe"})
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        assert answer.json()["result"]["echo"] == {"text": "safe"}
        body = {"text": "one two three"}
        with client.stream("POST", https(server, "/invoke/local-echo/stream"), json=body) as events:
            assert sum(line.startswith("data: ") for line in events.iter_lines()) == 3
        large = os.urandom(3 << 20)
        answer = client.post(https(server, "/invoke/local-echo/raw"), content=large)
        assert answer.content == large


def test_a_client_of_http_1_and_a_websocket_are_served_too(server, trust):
    with urllib.request.urlopen(https(server, "/v1/models"), context=trust) as answer:
        assert answer.status == 200
    url = f"wss://127.0.0.1:{server.port}/invoke/local-echo/ws"
    with connect(url, ssl=trust) as talk:
        talk.send("hidden")
        assert "hidden" in talk.recv()


def test_who_does_not_trust_the_authority_is_not_fooled(server):
    with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
        httpx.get(https(server, "/health"))


def test_clients_of_this_machine_may_speak_plain_http(server):
    assert server.post("/invoke/local-echo", {"a": 1}).status == 200


def ends(client: socket.socket) -> bool:
    """Whether the server closes it, whatever it sends before."""
    client.settimeout(20)
    with contextlib.suppress(ConnectionResetError):
        while client.recv(100):
            pass
    return True


def test_who_says_nothing_or_nonsense_is_cut_off_and_harms_nobody(server, trust):
    quiet = socket.create_connection(("127.0.0.1", server.port))
    liar = socket.create_connection(("127.0.0.1", server.port))
    liar.sendall(b"\x16\x03\x01\xff\xff" + b"\0" * 64)
    assert httpx.get(https(server, "/health"), verify=trust).status_code == 200
    for client in (liar, quiet):
        with client:
            assert ends(client)


def test_a_new_certificate_is_taken_over_by_a_running_server(server, folder, trust):
    def shown() -> str:
        return ssl.get_server_certificate(("127.0.0.1", server.port))

    before = shown()
    initialise(folder)
    deadline = time.monotonic() + 30
    while shown() == before:
        assert time.monotonic() < deadline, "the old certificate is still shown"
        time.sleep(0.1)
    # The authority is the same, and so is its trust.
    assert httpx.get(https(server, "/health"), verify=trust).status_code == 200


def test_where_plain_http_is_not_wanted_it_is_sent_to_https(tmp_path):
    initialise(tmp_path)
    config = CONFIG + '[tls]\nplain = "redirect"\n'
    with serving(tmp_path, config=config) as server:
        answer = httpx.get(f"{server.url}/v1/models?a=b")
        assert answer.status_code == 308
        assert answer.headers["location"] == https(server, "/v1/models?a=b")
        # What cannot be told where to go is not served either.
        for host in ["", "a b"]:
            with socket.create_connection(("127.0.0.1", server.port)) as client:
                client.sendall(f"GET /v1/models HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
                assert client.recv(100).startswith(b"HTTP/1.1 400 ")
        assert httpx.get(f"{server.url}/healthy").status_code == 308
        # Load balancers ask in plain.
        assert httpx.get(f"{server.url}/health").status_code == 200


def test_a_key_of_another_certificate_is_refused_at_the_start(tmp_path):
    initialise(tmp_path)
    key = (tmp_path / "data/tls/ca.key").read_text()
    (tmp_path / "data/tls/server.key").write_text(key)
    ended = command(tmp_path, "serve", "--port", "0")
    assert ended.returncode == 1
    assert "server.crt` and its key cannot be used together" in ended.stderr
    half = '[tls]\ncert_file = "data/tls/server.crt"\n'
    (tmp_path / "modelyard.toml").write_text(half)
    ended = command(tmp_path, "serve", "--port", "0")
    assert ended.returncode == 64
    assert "belong together" in ended.stderr
