"""Those who use the servers meanwhile, and what they were promised."""

import random
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field

from harness import READY_SECONDS_MAX

from faults.yard import Yard

# What must not change once a task has ended.
_LASTING = ("state", "status", "result", "attempt", "updated_ms", "payload", "error_code")

_SUBMITTERS = 2


@dataclass
class Promises:
    """What servers have said, and where they contradict themselves."""

    # Number of the task to its id.
    acknowledged: dict[int, str] = field(default_factory=dict)
    ends: dict[str, dict] = field(default_factory=dict)
    broken: list[str] = field(default_factory=list)
    unanswered: int = 0

    def acknowledge(self, number: int, task: str) -> None:
        before = self.acknowledged.setdefault(number, task)
        if before != task:
            self.broken.append(f"number {number} is both {before} and {task}")

    def saw(self, number: int, view: dict) -> None:
        """A task as a reader sees it."""
        if view["state"] in {"queued", "running"}:
            if view["task_id"] in self.ends:
                self.broken.append(f"{view['task_id']} goes on after its end")
            return
        end = {name: view.get(name) for name in _LASTING}
        before = self.ends.setdefault(view["task_id"], end)
        if before != end:
            self.broken.append(f"{view['task_id']} changed after its end: {before} {end}")
        # The handler never fails, and nobody cancels. The answer is that of the last attempt.
        wanted = {"number": number, "attempt": end["attempt"]}
        if end["state"] != "completed" or end["result"] != wanted:
            self.broken.append(f"number {number} ended as {end}")


class Clients:
    """Submits with keys until each is acknowledged, and reads what has become of others."""

    def __init__(self, yard: Yard, seed: int):
        self.promises = Promises()
        self._yard = yard
        self._stop = threading.Event()
        self._numbers = iter(range(1_000_000_000))
        self._lock = threading.Lock()
        errands = [*[self._submit] * _SUBMITTERS, self._read]
        self._threads = [
            threading.Thread(target=self._until_stopped, args=(errand, random.Random(seed + at)))
            for at, errand in enumerate(errands)
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def read_all(self) -> None:
        """Until every task has ended, and once more."""
        for number, task in self.promises.acknowledged.items():
            deadline = time.monotonic() + READY_SECONDS_MAX
            while task not in self.promises.ends:
                assert time.monotonic() < deadline, f"number {number}, {task}, does not end"
                self._look(number, random.Random(number))
        for number in self.promises.acknowledged:
            self._look(number, random.Random(number))

    def _until_stopped(self, errand: Callable[[random.Random], None], chance: random.Random):
        while not self._stop.is_set():
            errand(chance)
            time.sleep(chance.uniform(0, 0.04))

    def _submit(self, chance: random.Random) -> None:
        """One task, asked for again and again until a server takes it, and then sometimes again."""
        with self._lock:
            number = next(self._numbers)
        body = {"number": number, "seconds": chance.choice([0, 0.02, 0.3])}
        headers = {"idempotency-key": f"n-{number}"}
        acknowledgements = chance.choice([1, 1, 2])
        while acknowledgements:
            with suppress(OSError):
                server = self._yard.any_place(chance).server
                answer = server.post("/tasks/effect", body, headers=headers, timeout=10)
                if answer.status == 202:
                    self.promises.acknowledge(number, answer.json()["task_id"])
                    acknowledgements -= 1
                    continue
            self.promises.unanswered += 1
            # After the end nobody asks again; what was taken without an answer is a task too.
            if self._stop.wait(0.05):
                return

    def _read(self, chance: random.Random) -> None:
        if known := list(self.promises.acknowledged):
            self._look(chance.choice(known), chance)

    def _look(self, number: int, chance: random.Random) -> None:
        task = self.promises.acknowledged[number]
        with suppress(OSError):
            answer = self._yard.any_place(chance).server.get(f"/tasks/{task}", timeout=10)
            if answer.status == 200:
                self.promises.saw(number, answer.json())
            elif answer.status == 404:
                self.promises.broken.append(f"number {number}, {task}, is lost")
