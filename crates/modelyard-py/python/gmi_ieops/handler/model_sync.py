"""The copy of a model that the node makes before the worker starts: is it there yet?"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from modelyard.config import env
from modelyard.utils import uvicorn_logger


class SyncStatus(str, Enum):
    """How far the copy is."""

    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    NOT_FOUND = "not_found"
    NO_SYNC_NEEDED = "no_sync_needed"


@dataclass
class ModelSyncStatus:
    """How far the copy is, from where and to where."""

    status: SyncStatus
    message: str
    model_from: str
    model_path: str

    @property
    def is_ready(self) -> bool:
        """Whether the model can be read."""
        return self.status in (SyncStatus.DONE, SyncStatus.NO_SYNC_NEEDED)

    @property
    def is_failed(self) -> bool:
        """Whether the model will never come."""
        return self.status is SyncStatus.FAILED


def check_model_sync_status(
    model_path: str | None = None, sync_result_file: str | None = None
) -> ModelSyncStatus:
    """Reads how far the copy is: `running`, `done` or `failed` in a file of the model's folder.

    Without `MODEL_FROM` nothing is copied. A file with another word counts as running.
    """
    path = model_path or env.model_sync.model_path
    source = env.model_sync.model_from
    if not source:
        return ModelSyncStatus(SyncStatus.NO_SYNC_NEEDED, "MODEL_FROM not set", "", path)
    file = Path(path, sync_result_file or env.model_sync.sync_result_file)
    try:
        word = file.read_text().strip().lower()
    except FileNotFoundError:
        return ModelSyncStatus(SyncStatus.NOT_FOUND, f"Waiting for {file}", source, path)
    except (OSError, UnicodeDecodeError) as error:
        return ModelSyncStatus(SyncStatus.NOT_FOUND, f"Read error: {error}", source, path)
    known = {"done": SyncStatus.DONE, "failed": SyncStatus.FAILED}
    return ModelSyncStatus(known.get(word, SyncStatus.RUNNING), word, source, path)


def wait_for_model_sync(
    model_path: str | None = None,
    sync_result_file: str | None = None,
    timeout: float | None = None,
    interval: float | None = None,
    on_status_change: Callable[[ModelSyncStatus], None] | None = None,
    logger: Any = None,
) -> bool:
    """Waits until the copy is there; `False` if it failed, or did not come within seconds.

    Both times are one second at least. Raises `RuntimeError` where waiting is switched off
    (`MODEL_SYNC_WAIT_ENABLED`) and the model is not there.
    """
    say = logger or uvicorn_logger
    if not env.model_sync.wait_enabled:
        now = check_model_sync_status(model_path, sync_result_file)
        if now.is_ready:
            return True
        raise RuntimeError(f"the model is not there, and is not waited for: {now.message}")
    seconds = max(1, env.model_sync.wait_timeout if timeout is None else timeout)
    pause = max(1, env.model_sync.wait_interval if interval is None else interval)
    deadline = time.monotonic() + seconds
    last: SyncStatus | None = None
    while True:
        now = check_model_sync_status(model_path, sync_result_file)
        if now.status is not last:
            say.info(f"Model sync: {now.status.value} - {now.message} (path={now.model_path})")
            if on_status_change is not None:
                on_status_change(now)
            last = now.status
        if now.is_ready or now.is_failed:
            return now.is_ready
        if time.monotonic() >= deadline:
            say.error(f"Model sync timed out after {seconds}s")
            return False
        time.sleep(pause)
