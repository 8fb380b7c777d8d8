"""`gmi_ieops.handler.server`, for those who import from the file."""

from modelyard.handler import Server, ServerError, UnifiedServer

__all__ = ["Server", "ServerError", "UnifiedServer"]
