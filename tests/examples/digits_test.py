"""examples/digits: reads real handwriting that it has never seen, many requests in one batch."""

import os
import re
import subprocess
import sys

import pytest
from harness import EXAMPLES, serving

FOLDER = EXAMPLES / "digits"
ZERO = [
    [0, 0, 5, 13, 9, 1, 0, 0],
    [0, 0, 13, 15, 10, 15, 5, 0],
    [0, 3, 15, 2, 0, 11, 8, 0],
    [0, 4, 12, 0, 0, 8, 8, 0],
    [0, 5, 8, 0, 0, 9, 8, 0],
    [0, 4, 11, 0, 1, 12, 7, 0],
    [0, 2, 14, 5, 10, 12, 0, 0],
    [0, 0, 6, 13, 10, 0, 0, 0],
]


@pytest.fixture(scope="module")
def server(folder):
    with serving(folder, f"{FOLDER}/digits.py:Digits") as server:
        yield server


def test_a_zero_is_read_as_a_zero(server):
    answer = server.post("/invoke/digits", {"pixels": ZERO})
    assert answer.status == 200, answer.text()
    result = answer.json()["result"]
    assert result["digit"] == 0
    assert 0.9 < result["confidence"] <= 1


def test_the_script_shows_the_held_out_accuracy(server):
    script = subprocess.run(
        [sys.executable, FOLDER / "accuracy.py"],
        env={**os.environ, "MODELYARD_URL": server.url},
        capture_output=True,
        text=True,
        check=True,
    )
    right, all_of_them = map(int, re.match(r"(\d+) of (\d+) held-out", script.stdout).groups())
    assert all_of_them == 599
    assert right / all_of_them > 0.97, script.stdout


@pytest.mark.parametrize("body", [{}, {"pixels": "no"}, {"pixels": [[1, "ink"]]}])
def test_what_is_no_image_is_refused_before_the_model_sees_it(server, body):
    answer = server.post("/invoke/digits", body)
    assert (answer.status, answer.json()["code"]) == (422, "invalid_input")
    assert "pixels" in answer.text()


def test_an_image_of_another_size_fails_alone(server):
    answer = server.post("/invoke/digits", {"pixels": ZERO[:7]})
    assert (answer.status, answer.json()["code"]) == (422, "invalid_input")
    assert "8 rows of 8 numbers" in answer.text()
    assert server.post("/invoke/digits", {"pixels": ZERO}).status == 200
