"""The code blocks of the seed documents, word for word in a folder each, and how to run them."""

import json
import os
import subprocess
from pathlib import Path

FOLDER = Path(__file__).parent


class Blocks:
    """The blocks of one document; only the address that it calls is replaced."""

    def __init__(self, document: str, address: str):
        self.folder = FOLDER / document
        self.address = address

    def text(self, name: str, port: int) -> str:
        block = (self.folder / name).read_text()
        assert self.address in block, f"{name} calls somebody else"
        return block.replace(self.address, f"127.0.0.1:{port}")


def run(*command: str, text: str | None = None) -> str:
    """What a program prints that must succeed; its input is `text`."""
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    done = subprocess.run(command, input=text, text=True, capture_output=True, env=environment)
    assert done.returncode == 0, done.stderr
    return done.stdout


def shell(text: str) -> dict:
    """The JSON that commands print."""
    return json.loads(run("bash", "-eu", text=text))
