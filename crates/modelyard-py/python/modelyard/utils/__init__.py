"""Helpers for workers: log lines with trace ids, child processes, random texts, files.

from modelyard.utils import log

log.get_logger(trace_id=query["trace_id"]).info("{} images", len(images))
"""

from ..config import APP_ID, env, get_socket_path
from . import llm_sampling_params
from .file import load_json, save, save_jfs, save_json
from .log import log, uvicorn_logger
from .subprocess_manager import SubprocessManager, create_http_health_check
from .util import arandint, arandstr, get_service_port, randint, randstr

log.set_logger(
    log_path=env.log.path,
    app_name=env.app.name,
    log_level=env.log.level,
    file_enabled=env.log.file_enabled,
)

__all__ = [
    "APP_ID",
    "SubprocessManager",
    "arandint",
    "arandstr",
    "create_http_health_check",
    "get_service_port",
    "get_socket_path",
    "llm_sampling_params",
    "load_json",
    "log",
    "randint",
    "randstr",
    "save",
    "save_jfs",
    "save_json",
    "uvicorn_logger",
]
