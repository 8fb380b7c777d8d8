"""`gmi_ieops.config.env`, for those who import from the file."""

from modelyard.config import *  # noqa: F403
