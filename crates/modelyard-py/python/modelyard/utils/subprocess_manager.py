"""A child process that belongs to a worker: started, watched, and never left behind."""

from __future__ import annotations

import asyncio
import atexit
import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import IO, NoReturn

from ._health import create_http_health_check, http_health_check
from .log import uvicorn_logger

__all__ = ["SubprocessManager", "create_http_health_check", "http_health_check"]

_LINE_BYTES_MAX = 64 * 1024
_POLL_SECONDS = 0.05
# How long the rest of a group has once its leader is gone; zombies nobody reaps would wait forever.
_REST_SECONDS = 1.0
_PR_SET_PDEATHSIG = 1

_managers: set[SubprocessManager] = set()


class SubprocessManager:
    """Runs a shell command in a process group of its own, for as long as this process lives.

    Its output becomes log lines, each after `log_prefix`. It is ready once `health_check` says so;
    without one, at once. If it ends by itself, this process ends too, with status 1, unless
    `exit_on_failure` is false. Times are seconds. On Linux the command dies with the *thread* that
    started it, so start it where the loop of the process runs.
    """

    def __init__(
        self,
        start_cmd: str,
        work_dir: str,
        *,
        name: str = "subprocess",
        extra_env: Mapping[str, str] | None = None,
        health_check: Callable[[], Awaitable[bool]] | None = None,
        startup_timeout: float = 120,
        health_check_interval: float = 1.0,
        monitor_interval: float = 5.0,
        graceful_shutdown_timeout: float = 5.0,
        exit_on_failure: bool = True,
        log_prefix: str | None = None,
    ) -> None:
        self._start_cmd = start_cmd
        self._work_dir = work_dir
        self._extra_env = dict(extra_env or {})
        self._health_check = health_check
        self._startup_timeout = startup_timeout
        self._health_check_interval = health_check_interval
        self._monitor_interval = monitor_interval
        self._graceful_shutdown_timeout = graceful_shutdown_timeout
        self._exit_on_failure = exit_on_failure
        self._prefix = f"[{name}]" if log_prefix is None else log_prefix
        self._process: subprocess.Popen[bytes] | None = None
        self._monitor: asyncio.Task[None] | None = None
        self._reader: threading.Thread | None = None
        self._is_ready = False

    @property
    def is_running(self) -> bool:
        """Whether the command runs."""
        return self._process is not None and self._process.poll() is None

    @property
    def is_ready(self) -> bool:
        """Whether the health check has passed since the start."""
        return self._is_ready

    @property
    def exit_code(self) -> int | None:
        """How the command ended: its status, or minus the signal; `None` while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def pid(self) -> int | None:
        """The process id of the command, while it runs."""
        return self._process.pid if self._process is not None and self.is_running else None

    async def start(self) -> None:
        """Starts the command and returns once it is ready.

        Raises `RuntimeError` if it runs already or ends before it is ready, and `TimeoutError` if
        it is not ready in time; with `exit_on_failure`, the last two raise `SystemExit` instead.
        The command is gone then, also when this is cancelled.
        """
        if self.is_running:
            raise RuntimeError(f"{self._prefix} runs already")
        self._say(f"Starting: {self._start_cmd} (in {self._work_dir})")
        self._process = subprocess.Popen(
            self._start_cmd,
            shell=True,
            cwd=self._work_dir,
            env={**os.environ, **self._extra_env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            preexec_fn=_die_with_parent,
        )
        _managers.add(self)
        self._say(f"Started with PID: {self._process.pid}")
        self._reader = threading.Thread(
            target=self._forward, args=(self._process.stdout,), name="child-output", daemon=True
        )
        self._reader.start()
        try:
            await self._until_ready(self._process)
        except BaseException:
            self.kill()
            raise
        self._monitor = asyncio.create_task(self._watch(self._process))

    async def stop(self) -> None:
        """Ends the command and all it started: SIGTERM, and SIGKILL after the time for that."""
        if self._monitor is not None:
            self._monitor.cancel()
            self._monitor = None
        process = self._process
        if process is None or self not in _managers:
            return
        self._say("Stopping process...")
        _signal(process.pid, signal.SIGTERM)
        deadline = time.monotonic() + self._graceful_shutdown_timeout
        while process.poll() is None and time.monotonic() < deadline:
            await asyncio.sleep(_POLL_SECONDS)
        rest = min(deadline, time.monotonic() + _REST_SECONDS)
        while _signal(process.pid, 0) and time.monotonic() < rest:
            await asyncio.sleep(_POLL_SECONDS)
        if process.poll() is None:
            uvicorn_logger.warning("%s Force killing process...", self._prefix)
        self.kill()
        self._say(f"Process stopped with code {process.returncode}")

    def kill(self) -> None:
        """Ends the command and all it started at once."""
        process = self._process
        if process is None or self not in _managers:
            return
        _managers.discard(self)
        self._is_ready = False
        _signal(process.pid, signal.SIGKILL)
        process.wait()
        if self._reader is not None:
            # Whoever left the group may hold the pipe open; its lines are not waited for.
            self._reader.join(_REST_SECONDS)

    async def _until_ready(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self._startup_timeout
        while not await self._is_healthy():
            if process.poll() is not None:
                self._fail(RuntimeError(f"Process died with exit code {process.returncode}"))
            if time.monotonic() >= deadline:
                self._fail(TimeoutError(f"Process failed to start within {self._startup_timeout}s"))
            await asyncio.sleep(self._health_check_interval)
        self._is_ready = True
        self._say("Process is ready!")

    async def _is_healthy(self) -> bool:
        if self._health_check is None:
            return True
        try:
            return bool(await self._health_check())
        except Exception:
            return False

    def _fail(self, error: Exception) -> NoReturn:
        uvicorn_logger.error("%s %s", self._prefix, error)
        if self._exit_on_failure:
            raise SystemExit(1)
        raise error

    async def _watch(self, process: subprocess.Popen[bytes]) -> None:
        while process.poll() is None:
            await asyncio.sleep(self._monitor_interval)
        self.kill()
        uvicorn_logger.error(
            "%s Process exited unexpectedly with code %s", self._prefix, process.returncode
        )
        if self._exit_on_failure:
            _end_this_process()

    def _forward(self, output: IO[bytes]) -> None:
        with output:
            for line in iter(lambda: output.readline(_LINE_BYTES_MAX), b""):
                self._say(line.decode("utf-8", errors="replace").rstrip())

    def _say(self, text: str) -> None:
        uvicorn_logger.info("%s %s", self._prefix, text)


def _end_this_process() -> NoReturn:
    if threading.current_thread() is threading.main_thread():
        # Through the loop, so that what else runs is cancelled and tidied up.
        sys.exit(1)
    kill_all()
    sys.stdout.flush()
    os._exit(1)


def _signal(group: int, number: int) -> bool:
    """Sends a signal to a process group; whether there is one."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _prctl() -> Callable[[int, int], int] | None:
    if not sys.platform.startswith("linux"):
        return None
    prctl: Callable[[int, int], int] = ctypes.CDLL(None).prctl
    return prctl


# Looked up here, for between fork and exec nothing may be loaded.
_PRCTL = _prctl()


def _die_with_parent() -> None:
    if _PRCTL is not None:
        _PRCTL(_PR_SET_PDEATHSIG, signal.SIGKILL)


@atexit.register
def kill_all() -> None:
    """Ends all commands that still run; at the end of this process it happens by itself."""
    for manager in list(_managers):
        manager.kill()
