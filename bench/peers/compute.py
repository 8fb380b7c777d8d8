"""The work of one batch, the same for every server that is compared."""

from time import perf_counter


def one_millisecond() -> None:
    """Keeps the processor and the interpreter busy, as pure Python code does."""
    end = perf_counter() + 0.001
    while perf_counter() < end:
        pass
