"""All settings of a worker in one place."""

from __future__ import annotations

import os
from typing import Any, overload

from .groups import (
    ApiEnv,
    AppEnv,
    BillingEnv,
    DeviceEnv,
    LogEnv,
    MetricsEnv,
    ModelEnv,
    ModelSyncEnv,
    RegisterEnv,
    ServerEnv,
    SSLEnv,
    StorageEnv,
)
from .variables import EnvGroup, to_bool, to_list


class Env:
    """The groups of settings, and any other variable by its name.

    A group's number that is none raises `ValueError`; `get_int` and `get_float` answer such a text
    with their default.
    """

    def __init__(self) -> None:
        self.app = AppEnv()
        self.log = LogEnv()
        self.server = ServerEnv()
        self.model = ModelEnv()
        self.device = DeviceEnv()
        self.api = ApiEnv()
        self.storage = StorageEnv()
        self.register = RegisterEnv()
        self.ssl = SSLEnv()
        self.billing = BillingEnv()
        self.model_sync = ModelSyncEnv()
        self.metrics = MetricsEnv()

    @overload
    def get(self, name: str) -> str | None: ...

    @overload
    def get(self, name: str, default: str) -> str: ...

    @overload
    def get(self, name: str, default: str | None) -> str | None: ...

    def get(self, name: str, default: str | None = None) -> str | None:
        """A variable as it is, read at each call."""
        return os.environ.get(name, default)

    def get_int(self, name: str, default: int = 0) -> int:
        """A variable as a whole number; the default where it is not set or none."""
        try:
            return int(os.environ[name])
        except (KeyError, ValueError):
            return default

    def get_float(self, name: str, default: float = 0.0) -> float:
        """A variable as a number; the default where it is not set or none."""
        try:
            return float(os.environ[name])
        except (KeyError, ValueError):
            return default

    def get_bool(self, name: str, default: bool = False) -> bool:
        """Whether a variable says true, 1, yes or on; the default where it is not set."""
        text = os.environ.get(name)
        return default if text is None else to_bool(text)

    def get_list(self, name: str, default: list[str] | None = None, sep: str = ",") -> list[str]:
        """The parts of a variable between separators, stripped, without empty ones."""
        text = os.environ.get(name)
        return list(default or []) if text is None else to_list(text, sep)

    def reload(self) -> None:
        """Reads all variables of all groups again."""
        for group in self._groups().values():
            group.reload()

    def to_dict(self) -> dict[str, dict[str, Any]]:
        """All values, by group and attribute, passwords included."""
        return {name: group.to_dict() for name, group in self._groups().items()}

    def get_socket_path(self, socket_dir: str | None = None) -> str:
        """The same as `modelyard.config.get_socket_path`."""
        from .identity import get_socket_path

        return get_socket_path(socket_dir)

    def _groups(self) -> dict[str, EnvGroup]:
        return {name: value for name, value in vars(self).items() if isinstance(value, EnvGroup)}


env = Env()
"""The settings of this process."""
