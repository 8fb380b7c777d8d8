"""A Redis behind TLS, as a provider of Redis offers it."""

import json
import os
import socket
import ssl
import subprocess

import pytest
import trustme
from faults.proxy import Proxy
from harness import PROGRAM, serving
from redis_server import Redis


class Terminator(Proxy):
    """Takes TLS off what comes, and passes it on."""

    def __init__(self, target: int, certificate: trustme.LeafCert):
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._tls)
        super().__init__(target)

    def _take(self) -> socket.socket:
        while True:
            client, _ = self._listener.accept()
            try:
                return self._tls.wrap_socket(client, server_side=True)
            except OSError:  # Who does not trust the certificate leaves in the middle.
                client.close()


@pytest.fixture
def redis(tmp_path):
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = Redis(folder)
    yield redis
    redis.kill()


@pytest.fixture
def authority(tmp_path) -> trustme.CA:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return authority


@pytest.fixture
def port(redis, authority):
    terminator = Terminator(redis.port, authority.issue_cert("localhost"))
    yield terminator.port
    terminator.close()


def check(folder, url: str, **env: str) -> subprocess.CompletedProcess:
    command = [PROGRAM, "store", "check"]
    env = {**os.environ, "REDIS_URL": url, **env}
    return subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, timeout=60)


def test_a_certificate_that_nobody_vouches_for_is_refused(tmp_path, port):
    stranger = check(tmp_path, f"rediss://localhost:{port}/0")
    assert stranger.returncode == 1
    assert "certificate" in stranger.stderr, stranger.stderr


def test_a_certificate_of_another_host_is_refused(tmp_path, redis, authority):
    terminator = Terminator(redis.port, authority.issue_cert("redis.example"))
    trust = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    stranger = check(tmp_path, f"rediss://localhost:{terminator.port}/0", **trust)
    terminator.close()
    assert stranger.returncode == 1
    assert "certificate" in stranger.stderr, stranger.stderr


def test_tasks_live_in_a_redis_behind_tls(tmp_path, port):
    url = f"rediss://localhost:{port}/0"
    trust = {"SSL_CERT_FILE": str(tmp_path / "ca.pem")}
    with serving(tmp_path, env={"REDIS_URL": url, **trust}) as server:
        task = server.post("/tasks/local-echo", {"text": "hidden"}).json()["task_id"]
        assert server.finished(task)["status"] == "completed"
    known = check(tmp_path, url, **trust)
    assert known.returncode == 0, known.stderr
    assert json.loads(known.stdout)["store"] == url
