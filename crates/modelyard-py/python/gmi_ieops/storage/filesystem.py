"""`gmi_ieops.storage.filesystem`, for those who import from the file."""

from modelyard.storage import *  # noqa: F403
