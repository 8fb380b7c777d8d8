"""`gmi_ieops.utils`: the helpers of `modelyard.utils`."""

from modelyard.utils import (
    APP_ID,
    SubprocessManager,
    arandint,
    arandstr,
    create_http_health_check,
    get_service_port,
    get_socket_path,
    llm_sampling_params,
    load_json,
    log,
    randint,
    randstr,
    save,
    save_jfs,
    save_json,
    uvicorn_logger,
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
