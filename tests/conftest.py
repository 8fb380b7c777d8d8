"""What every test may ask for."""

from pathlib import Path

import pytest
from harness import PROGRAM


@pytest.fixture(scope="session", autouse=True)
def program() -> Path:
    """The program under test, built in the dev profile."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing; run `make test`"
    return PROGRAM


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An empty folder for the configuration, the store and the log of one server."""
    return tmp_path_factory.mktemp("server")
