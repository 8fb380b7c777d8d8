"""`gmi_ieops.utils.subprocess_manager`, for those who import from the file."""

from modelyard.utils.subprocess_manager import *  # noqa: F403
