"""Modelyard, started for a benchmark."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from suite.clients import echoes, get
from suite.contender import Contender
from suite.places import BENCH, program, python_of
from suite.processes import Process, free_port, running, scratch

MODELS = BENCH / "models"
_READY_SECONDS_MAX = 60

# The peers run without an access log, so we do. What ours costs is shown beside it.
QUIET = "info,access=off"


@dataclass
class Server:
    """A running server."""

    port: int
    process: Process

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def is_ready(self) -> bool:
        """Whether every model has made its first start."""
        return get(f"{self.url}/health/ready")[0] == 200


@contextmanager
def launched(
    models: dict[str, dict], log: str = QUIET, settings: dict | None = None
) -> Iterator[Server]:
    """The server, not yet ready, with these models and no others."""
    port = free_port()
    with scratch() as folder:
        config = folder / "modelyard.toml"
        config.write_text(toml({**(settings or {}), **_config(models, log)}))
        command = [program("modelyard"), "serve", "--config", str(config), "--port", str(port)]
        environment = {"MODELYARD_DATA_DIR": str(folder / "data")}
        with running(command, folder=folder, environment=environment) as process:
            yield Server(port, process)


@contextmanager
def serving(
    models: dict[str, dict], log: str = QUIET, settings: dict | None = None
) -> Iterator[Server]:
    """The server, once it is ready."""
    with launched(models, log, settings) as server:
        server.process.wait_until(server.is_ready, _READY_SECONDS_MAX)
        yield server


def contender(key: str, model: dict, log: str = QUIET) -> Contender:
    """The server with one model, called over the gateway."""

    @contextmanager
    def start() -> Iterator[str]:
        with serving({"model": model}, log) as server:
            url = f"{server.url}/invoke/model"
            server.process.wait_until(lambda: echoes(url), seconds_max=10)
            yield url

    return Contender(key, start)


def model(file: str, name: str, **settings) -> dict:
    """A class of `bench/models/`."""
    return {"implementation": f"{MODELS / file}:{name}", **settings}


def _config(models: dict[str, dict], log: str) -> dict:
    return {
        "server": {"drain_seconds": 0.5},
        "log": {"level": log},
        "workers": {"python": python_of("modelyard")},
        "models": {"local-echo": {"enabled": False}, **models},
    }


def toml(config: dict) -> str:
    lines = []
    for section, keys in config.items():
        tables = [(f"{section}.{name}", table) for name, table in keys.items()]
        for name, table in tables if section == "models" else [(section, keys)]:
            lines.append(f"[{name}]")
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """JSON is TOML for text, numbers, truth values and lists; tables are written inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {_value(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)
