"""What is broken on purpose: servers and their workers, on SQLite or on a Redis that they share."""

import os
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

from harness import PROGRAM, READY_SECONDS_MAX, ROOT, Server, free_port
from redis_server import Redis

from faults.clock import Clock
from faults.proxy import Proxy

HANDLER = Path(__file__).with_name("handler.py")

# A server that is silent for longer has lost what it runs.
LEASE_SECONDS = 2

CONFIG = f"""
{{store}}
[server]
drain_seconds = 1

[workers]
heartbeat_seconds = 0.5
lease_seconds = {LEASE_SECONDS}

[models.local-echo]
enabled = false

[models.effect]
implementation = "{HANDLER}:Effect"
max_concurrency = 8
retry.attempts_max = 30
retry.backoff_ms = 50
retry.backoff_ms_max = 500
env = {{{{ EFFECTS = "{{effects}}", BEGUN = "{{begun}}" }}}}
"""


class Place:
    """One server at a fixed port, started anew whenever it is gone."""

    def __init__(self, folder: Path, config: str):
        folder.mkdir()
        (folder / "modelyard.toml").write_text(config)
        (folder / ".venv").symlink_to(ROOT / ".venv")
        self.folder = folder
        self.clock = Clock(folder / "clock")
        self.port = free_port()
        self.start()

    def start(self) -> None:
        command = [PROGRAM, "serve", "--config", "modelyard.toml", "--port", str(self.port)]
        with (self.folder / "server.log").open("ab") as log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                # A file that may not grow is an error for it to meet, not its end.
                restore_signals=False,
            )
        self.server = Server(self.port, self.folder / "server.log", process)

    def _environment(self) -> dict[str, str]:
        data = {"MODELYARD_DATA_DIR": str(self.folder / "data")}
        return {**os.environ, **data, **self.clock.environment()}

    @property
    def pid(self) -> int:
        return self.server.process.pid

    def kill(self) -> None:
        self.server.process.kill()
        self.server.process.wait()

    def workers(self) -> list[int]:
        """The processes that it has started."""
        children = Path(f"/proc/{self.pid}/task/{self.pid}/children")
        with suppress(OSError):
            return [int(pid) for pid in children.read_text().split()] or self._all_children()
        return []

    def is_ready(self) -> bool:
        with suppress(OSError):
            return self.server.get("/health/ready", timeout=2).status == 200
        return False

    def _all_children(self) -> list[int]:
        """A thread other than the first may have started them."""
        found = []
        for children in Path(f"/proc/{self.pid}/task").glob("*/children"):
            found += [int(pid) for pid in children.read_text().split()]
        return found


class Yard:
    """Everything of one campaign."""

    def __init__(self, folder: Path, store: str):
        self.effects = folder / "effects"
        self.effects.mkdir()
        self.begun = folder / "begun"
        self.begun.mkdir()
        self.redis = self.proxy = clock = None
        url = ""
        if store == "redis":
            (folder / "redis").mkdir()
            clock = Clock(folder / "redis/clock")
            self.redis = Redis(folder / "redis", environment=clock.environment())
            self.proxy = Proxy(self.redis.port)
            url = f'[store]\nurl = "redis://127.0.0.1:{self.proxy.port}/0"'
        config = CONFIG.format(store=url, effects=self.effects, begun=self.begun)
        names = ["one", "two"] if self.redis else ["one"]
        self.places = [Place(folder / name, config) for name in names]
        self.clocks = [place.clock for place in self.places]
        if clock:
            self.clocks.append(clock)

    def any_place(self, chance: random.Random) -> Place:
        return chance.choice(self.places)

    def wait_until_ready(self) -> None:
        deadline = time.monotonic() + READY_SECONDS_MAX
        for place in self.places:
            while not place.is_ready():
                assert place.server.process.poll() is None, place.server.log.read_text()
                assert time.monotonic() < deadline, place.server.log.read_text()
                time.sleep(0.05)

    def close(self) -> None:
        for place in self.places:
            place.server.process.send_signal(signal.SIGTERM)
            place.server.process.wait(READY_SECONDS_MAX)
        if self.redis:
            self.proxy.close()
            self.redis.kill()
