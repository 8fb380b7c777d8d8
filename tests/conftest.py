"""What every test may ask for."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import EXAMPLES, PROGRAM, free_port, wait_for_port


@pytest.fixture(scope="session", autouse=True)
def program() -> Path:
    """The program under test, built in the dev profile."""
    assert PROGRAM.exists(), f"{PROGRAM} is missing; run `make test`"
    return PROGRAM


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """An empty folder for the configuration, the store and the log of one server."""
    return tmp_path_factory.mktemp("server")


@pytest.fixture(scope="module")
def provider() -> Iterator[int]:
    """The port of examples/external's stand-in for services that run elsewhere."""
    port = free_port()
    script = EXAMPLES / "external/mock_provider.py"
    process = subprocess.Popen([sys.executable, script, str(port)])
    try:
        wait_for_port(port, process)
        yield port
    finally:
        process.terminate()
        process.wait(10)
