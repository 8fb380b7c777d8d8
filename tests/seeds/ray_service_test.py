"""The calls that the document of `ray-service` shows, word for word; only host and port differ."""

import re
import sys

import pytest
from harness import serving
from seeds.blocks import Blocks, run, shell

BLOCKS = Blocks("ray_service", "127.0.0.1:8000")
# Only the address differs from the registry of a server that nobody has configured.
CONFIG = """
[models.nanobanana-image]
base_url = "http://127.0.0.1:{port}"
"""


@pytest.fixture(scope="module")
def server(folder, provider):
    config = CONFIG.format(port=provider)
    with serving(folder, config=config, env={"NANOBANANA_API_KEY": "demo"}) as server:
        yield server


def block(server, name: str) -> str:
    return BLOCKS.text(name, server.port)


def test_invoke_echoes_the_body_with_its_envelope(server):
    answer = shell(block(server, "invoke_echo.sh"))
    assert set(answer) == {"task_id", "result"}
    assert answer["result"] == {"model": "local-echo", "echo": {"payload": {"text": "hello"}}}


def test_a_task_is_queued_and_read_back(server):
    accepted = shell(block(server, "submit_echo.sh"))
    assert (set(accepted), accepted["status"]) == ({"task_id", "status"}, "queued")
    server.finished(accepted["task_id"])
    task = shell(block(server, "read_task.sh").replace("<task_id>", accepted["task_id"]))
    assert task["status"] == "completed"
    assert task["model"] == "local-echo"
    assert task["payload"] == {"payload": {"text": "hello"}}
    assert task["result"] == {"model": "local-echo", "echo": {"payload": {"text": "hello"}}}
    assert float(task["ts"]) > 1_700_000_000


def test_the_image_curl_gives_an_image(server):
    answer = shell(block(server, "invoke_image.sh"))
    image = answer["result"]["result"]
    assert image["status"] == "completed"
    assert image["image_url"].startswith("http")


def test_the_image_program_prints_the_result(server):
    printed = run(sys.executable, "-", text=block(server, "invoke_image.py"))
    assert re.search(r"^Task ID: [0-9a-f-]{36}$", printed, re.M)
    assert re.search(r"^Result: .*'image_url': 'http", printed, re.M)


def test_the_polling_program_sees_its_task_completed(server):
    printed = run(sys.executable, "-", text=block(server, "submit_image.py"))
    assert re.search(r"^Task queued: [0-9a-f-]{36}$", printed, re.M)
    assert "status: completed" in printed
    assert re.search(r"^result: .*'image_url': 'http", printed, re.M)
