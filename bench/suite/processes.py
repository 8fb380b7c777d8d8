"""Starts processes, and ends them with everything that they started; nothing else is ended."""

import ctypes
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from suite import proc
from suite.places import PEERS, SCRATCH

_STOP_SECONDS_MAX = 20
_KEPT_ENVIRONMENT = ("PATH", "HOME", "LANG", "LC_ALL", "TMPDIR", "LD_LIBRARY_PATH")
_PR_SET_PDEATHSIG = 1


class DidNotStart(Exception):
    """A server did not become ready."""


class Process:
    """A process that was started here, with its descendants."""

    def __init__(self, command: Sequence[str], folder: Path, environment: dict[str, str]):
        self.folder = folder
        self.log = folder / "output.log"
        self._mark = f"BENCH_MARK={uuid.uuid4().hex}"
        name, value = self._mark.split("=")
        with self.log.open("wb") as sink:
            self.started = time.perf_counter()
            self._child = subprocess.Popen(
                command,
                cwd=folder,
                env=environment_of_a_child({**environment, name: value}),
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=end_with_us,
            )
        self.pid = self._child.pid

    def family(self) -> set[int]:
        """Itself and its descendants."""
        return proc.family(self.pid, self._mark)

    def wait_until(self, is_ready: Callable[[], bool], seconds_max: float, every: float = 0.1):
        """Waits for `is_ready`, which may fail with `OSError` until then."""
        deadline = time.monotonic() + seconds_max
        while time.monotonic() < deadline:
            if self._child.poll() is not None:
                raise DidNotStart(f"it ended with {self._child.returncode}:\n{self.last_lines()}")
            with suppress(OSError):
                if is_ready():
                    return
            time.sleep(every)
        raise DidNotStart(f"it was not ready after {seconds_max} s:\n{self.last_lines()}")

    def last_lines(self, count: int = 20) -> str:
        """The end of what it printed."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-count:])

    def stop(self) -> None:
        """Asks it to end, and makes it end if it does not."""
        self._signal({self.pid}, signal.SIGTERM)
        self._wait_until_gone(_STOP_SECONDS_MAX)
        self._signal(self.family(), signal.SIGTERM)
        self._wait_until_gone(3)
        self._signal(self.family(), signal.SIGKILL)
        self._wait_until_gone(3)

    def _wait_until_gone(self, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            self._child.poll()
            if not self.family():
                return
            time.sleep(0.05)

    @staticmethod
    def _signal(pids: set[int], number: signal.Signals) -> None:
        for pid in pids:
            with suppress(ProcessLookupError):
                os.kill(pid, number)


@contextmanager
def running(
    command: Sequence[str],
    *,
    folder: Path | None = None,
    environment: dict[str, str] | None = None,
) -> Iterator[Process]:
    """The process, until the end of the block; without `folder` in one of its own."""
    with scratch() as own:
        process = Process(command, folder or own, environment or {})
        try:
            yield process
        finally:
            process.stop()


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder that is gone afterwards."""
    SCRATCH.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(dir=SCRATCH))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def environment_of_a_child(own: dict[str, str]) -> dict[str, str]:
    """Its own, and little of ours, so that no setting of this shell changes a result."""
    kept = {name: os.environ[name] for name in _KEPT_ENVIRONMENT if name in os.environ}
    return {**kept, "PYTHONPATH": str(PEERS), "PYTHONDONTWRITEBYTECODE": "1", **own}


_LIBC = ctypes.CDLL(None)


def end_with_us() -> None:
    """In the child: when the benchmarks are killed, it is told to end."""
    _LIBC.prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
