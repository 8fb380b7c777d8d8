import nowhere  # noqa: F401
