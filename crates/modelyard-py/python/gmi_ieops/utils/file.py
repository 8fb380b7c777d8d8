"""`gmi_ieops.utils.file`, for those who import from the file."""

from modelyard.utils.file import async_save_jfs, load_json, save, save_jfs, save_json

__all__ = ["async_save_jfs", "load_json", "save", "save_jfs", "save_json"]
