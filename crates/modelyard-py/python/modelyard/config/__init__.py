"""The settings of a worker, from environment variables.

    from modelyard.config import env

    env.app.name            # APP_NAME, "ieops" if it is not set
    env.model.concurrency   # MODEL_THREAD_CONCURRENCY, a number
    env.get_int("MY_LIMIT", 10)

A variable is read when it is first asked for, and kept; `env.reload()` reads all of them again.
"""

from .environment import Env, env
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
from .identity import APP_ID, get_socket_path
from .variables import EnvGroup, EnvVar

__all__ = [
    "APP_ID",
    "ApiEnv",
    "AppEnv",
    "BillingEnv",
    "DeviceEnv",
    "Env",
    "EnvGroup",
    "EnvVar",
    "LogEnv",
    "MetricsEnv",
    "ModelEnv",
    "ModelSyncEnv",
    "RegisterEnv",
    "SSLEnv",
    "ServerEnv",
    "StorageEnv",
    "env",
    "get_socket_path",
]
