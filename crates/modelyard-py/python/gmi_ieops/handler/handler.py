"""`gmi_ieops.handler.handler`, for those who import from the file."""

from modelyard.handler import Handler

__all__ = ["Handler"]
