"""`modelyard-py new`: what it makes runs, and what it refuses."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def command(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "modelyard._scaffold", *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_a_new_worker_passes_its_own_tests(tmp_path):
    made = command(tmp_path, "new", "first-words")
    assert made.returncode == 0, made.stderr
    assert "cd first-words" in made.stdout
    folder = tmp_path / "first-words"
    assert "NAME" not in "".join(
        path.read_text().replace("APP_NAME", "") for path in folder.iterdir()
    )
    tests = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert tests.returncode == 0, tests.stdout
    assert "3 passed" in tests.stdout


@pytest.mark.parametrize("name", ["", "-x", "Big", "a/b", "..", "a b", "ü", "a" * 64])
def test_a_name_that_cannot_be_one_is_refused(tmp_path, name):
    refused = command(tmp_path, "new", "--", name)
    assert refused.returncode == 1
    assert "cannot be the name of a worker" in refused.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_with_something_in_it_is_left_alone(tmp_path):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/notes").write_text("keep")
    refused = command(tmp_path, "new", "mine")
    assert refused.returncode == 1
    assert "is there already" in refused.stderr
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["notes"]


def test_the_command_teaches_its_use(tmp_path):
    assert "new" in command(tmp_path, "--help").stdout
    assert command(tmp_path).returncode == 2
