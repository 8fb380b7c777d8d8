"""`gmi_ieops.storage`: the storage of `modelyard.storage`."""

from modelyard.storage import *  # noqa: F403
from modelyard.storage import __all__ as __all__
