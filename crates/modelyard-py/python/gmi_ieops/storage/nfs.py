"""`gmi_ieops.storage.nfs`, for those who import from the file."""

from modelyard.storage import *  # noqa: F403
