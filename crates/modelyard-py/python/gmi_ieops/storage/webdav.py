"""`gmi_ieops.storage.webdav`, for those who import from the file."""

from modelyard.storage import *  # noqa: F403
