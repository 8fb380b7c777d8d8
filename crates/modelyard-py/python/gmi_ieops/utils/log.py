"""`gmi_ieops.utils.log`, for those who import from the file."""

from modelyard.utils.log import Logger, log, uvicorn_logger

__all__ = ["Logger", "log", "uvicorn_logger"]
