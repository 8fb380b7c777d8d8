"""What a worker is told when it starts: by its deployer, or on the command line."""

from __future__ import annotations

import argparse
import json
import os
import re
from dataclasses import dataclass
from typing import Any

ENV = "MODELYARD_WORKER"

# Without a gateway nobody else counts the calls.
_STANDALONE_CAPACITY = 1024


@dataclass(frozen=True)
class Launch:
    """What to run, and where."""

    told: dict[str, Any]
    """As the HTTP side reads it."""
    standalone: bool
    """Started by a person, without a gateway."""
    threads: int | None = None

    @property
    def implementation(self) -> str:
        """`module:Class` or `file.py:Class`."""
        return str(self.told["implementation"])

    @property
    def model(self) -> str:
        """Name of the model."""
        return str(self.told["model"])

    @property
    def version(self) -> str:
        """Version of the model."""
        return str(self.told["version"])

    @property
    def metadata(self) -> dict[str, Any]:
        """The free fields of the model."""
        return dict(self.told.get("metadata") or {})

    def get(self, name: str) -> Any:
        """An override; `None` if the code decides."""
        return self.told.get(name)


def read(arguments: list[str]) -> Launch:
    """The launch of this process."""
    if not arguments and ENV in os.environ:
        return Launch(json.loads(os.environ[ENV]), standalone=False)
    return _from_arguments(arguments)


def _from_arguments(arguments: list[str]) -> Launch:
    parser = argparse.ArgumentParser(
        prog="python -m modelyard.worker",
        description=f"Serve one model without a gateway. A gateway starts it with {ENV} instead.",
    )
    parser.add_argument("implementation", help="module:Class or file.py:Class")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on")
    parser.add_argument("--port", type=int, default=9000, help="port to listen on; 0 for any")
    parser.add_argument("--unix", metavar="PATH", help="listen on a unix socket instead")
    parser.add_argument("--name", help="name of the model (default: the class)")
    parser.add_argument("--threads", type=int, help="threads for synchronous methods")
    parser.add_argument(
        "--capacity", type=int, default=_STANDALONE_CAPACITY, help="calls held at once"
    )
    parser.add_argument(
        "--metadata", type=json.loads, default={}, metavar="JSON", help="the model's free fields"
    )
    given = parser.parse_args(arguments)
    name = given.name or given.implementation.rpartition(":")[2]
    host = f"[{given.host}]" if ":" in given.host else given.host
    told = {
        "model": re.sub(r"[^A-Za-z0-9_.:@-]", "-", name),
        "version": "1",
        "implementation": given.implementation,
        "listen": f"unix:{given.unix}" if given.unix else f"tcp:{host}:{given.port}",
        "gateway": None,
        "heartbeat_ms": 1000,
        "capacity": given.capacity,
        "metadata": given.metadata,
    }
    return Launch(told, standalone=True, threads=given.threads)
