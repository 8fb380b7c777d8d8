"""examples/echo: the plain and the async model answer with what they were sent."""

import pytest
from harness import EXAMPLES, serving


@pytest.fixture(scope="module")
def server(folder):
    file = EXAMPLES / "echo/echo.py"
    with serving(folder, f"{file}:Echo", f"{file}:AsyncEcho") as server:
        yield server


@pytest.fixture(params=["echo", "async-echo"])
def model(request):
    return request.param


BODY = {"text": "héllo 你好", "numbers": [1, 2.5, -3e10], "nested": {"empty": [], "none": None}}


def test_what_goes_in_comes_out(server, model):
    answer = server.post(f"/invoke/{model}", BODY)
    assert (answer.status, answer.json()["result"]) == (200, BODY)


def test_a_task_echoes_too(server, model):
    accepted = server.post(f"/tasks/{model}", BODY)
    assert (accepted.status, accepted.json()["status"]) == (202, "queued")
    task = server.finished(accepted.json()["task_id"])
    assert (task["status"], task["payload"], task["result"]) == ("completed", BODY, BODY)


def test_a_body_that_is_no_object_is_refused_by_name(server, model):
    answer = server.post(f"/invoke/{model}", [1, 2])
    assert (answer.status, answer.json()["code"]) == (422, "invalid_input")
