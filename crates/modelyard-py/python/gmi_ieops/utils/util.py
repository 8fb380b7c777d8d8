"""`gmi_ieops.utils.util`, for those who import from the file."""

from modelyard.utils.util import *  # noqa: F403
