"""Real workers of both versions of the package, and ours, register with our gateway."""

import asyncio
import os
import signal
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import pytest
import websockets
from harness import READY_SECONDS_MAX, serving
from ieops.yard import VERSIONS, process_of

WORKER = Path(__file__).with_name("small_worker.py")
WORKERS = (*VERSIONS, "ours")


@pytest.fixture(scope="module")
def gateway():
    # The path of a unix socket is short, and a test's own folder is not.
    with tempfile.TemporaryDirectory() as folder:
        config = "[ieops]\nsocket = 'proxy.sock'\n"
        with serving(Path(folder), config=config) as server:
            server.proxy = Path(folder) / "proxy.sock"
            yield server


@contextmanager
def registering(gateway, who, name):
    """A worker that registers under this name, and serves."""
    with tempfile.TemporaryDirectory() as folder:
        settings = {
            "REGISTER_ENABLED": "true",
            "REGISTER_INTERVAL": "1",
            "IEOPS_PROXY_SOCKET": str(gateway.proxy),
            "APP_NAME": name,
            "MODEL_THREAD_CONCURRENCY": "5",
        }
        with process_of(who, Path(folder), settings, WORKER) as (process, log):
            until(lambda: process.poll() is not None or replicas(gateway, name) == 1, log)
            assert process.poll() is None, log.read_text()
            yield process, log


def replicas(gateway, name):
    answer = gateway.get(f"/v1/models/{name}")
    return answer.json()["replicas"] if answer.status == 200 else 0


def until(seen, log):
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not seen():
        assert time.monotonic() < deadline, log.read_text()
        time.sleep(0.05)


async def conversation(url):
    async with websockets.connect(url, compression=None) as socket:
        await socket.send('{"text": "ü"}')
        return await asyncio.wait_for(socket.recv(), READY_SECONDS_MAX)


@pytest.mark.parametrize("who", WORKERS)
def test_a_worker_serves_through_the_gateway_and_says_goodbye(gateway, who):
    name = f"worker-{who}"
    with registering(gateway, who, name) as (process, log):
        answer = gateway.post(f"/invoke/{name}", {"text": "hello"})
        assert answer.status == 200, answer.text()
        assert answer.json()["result"] == {"said": "hello", "by": "small"}
        assert gateway.post(f"/invoke/{name}/small/say", {}).json() == {"said": "", "by": "small"}
        events = gateway.get(f"/invoke/{name}/small/count")
        assert events.headers["content-type"].startswith("text/event-stream")
        assert events.text() == (
            'data: {"i": 0}\n\ndata: {"i": 1}\n\ndata: {"i": 2}\n\ndata: [DONE]\n\n'
        )
        url = f"ws://127.0.0.1:{gateway.port}/invoke/{name}/small/live"
        assert asyncio.run(conversation(url)) == '{"said":"ü","by":"small"}'
        task = gateway.post(f"/tasks/{name}", {"text": "later"}).json()["task_id"]
        assert gateway.finished(task)["result"]["said"] == "later"

        process.send_signal(signal.SIGTERM)
        process.wait(READY_SECONDS_MAX)
        until(lambda: replicas(gateway, name) == 0, log)
        refused = gateway.post(f"/invoke/{name}", {})
        assert (refused.status, refused.json()["code"]) == (503, "model_unavailable")


@pytest.mark.parametrize("who", WORKERS)
def test_a_worker_that_is_killed_is_gone_and_its_successor_takes_over(gateway, who):
    name = f"killed-{who}"
    with registering(gateway, who, name) as (process, log):
        os.kill(process.pid, signal.SIGKILL)
        process.wait(READY_SECONDS_MAX)
        # Long before it has been silent for three intervals a call finds out.
        gateway.call("POST", f"/invoke/{name}", {}, {"x-deadline-ms": "300"})
        until(lambda: replicas(gateway, name) == 0, log)
    with registering(gateway, who, name):
        assert gateway.post(f"/invoke/{name}", {}).status == 200
