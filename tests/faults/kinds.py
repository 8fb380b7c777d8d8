"""The faults. Each is done and, where it does not pass by itself, undone."""

import os
import random
import resource
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from faults.clock import READ_SECONDS as CLOCK_READ_SECONDS
from faults.yard import LEASE_SECONDS, Yard

Fault = Callable[[Yard, random.Random], None]

# Many leases. What a server plans while its clock is ahead comes as much later, and a reader waits
# for each end only so long.
JUMP_SECONDS_MAX = 10 * LEASE_SECONDS

_NO_LIMIT = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def kill_server(yard: Yard, chance: random.Random) -> None:
    """Its workers go with it; another takes its place, sometimes a while later."""
    place = yard.any_place(chance)
    place.kill()
    time.sleep(chance.choice([0, 0.2]))
    place.start()


def kill_worker(yard: Yard, chance: random.Random) -> None:
    """In the middle of what it runs."""
    if workers := yard.any_place(chance).workers():
        with suppress(ProcessLookupError):
            os.kill(chance.choice(workers), signal.SIGKILL)


def freeze_server(yard: Yard, chance: random.Random) -> None:
    """For so long that it has lost its tasks when it goes on, which it does not know yet."""
    with _frozen(yard.any_place(chance).pid):
        time.sleep(LEASE_SECONDS * chance.uniform(0.5, 1.5))


def fill_disk(yard: Yard, chance: random.Random) -> None:
    """No file of a server can grow for a while."""
    with _full_disk(yard.any_place(chance).pid):
        time.sleep(chance.uniform(0.1, 1))


def tear_last_page(yard: Yard, chance: random.Random) -> None:
    """The power went while something was written that nobody was promised."""
    place = yard.any_place(chance)
    place.kill()
    for log in (place.folder / "data").glob("*-wal"):
        with log.open("ab") as torn:
            torn.write(chance.randbytes(chance.randrange(1, 5000)))
    place.start()


def kill_redis(yard: Yard, chance: random.Random) -> None:
    """It comes back with what its append-only file says."""
    yard.redis.kill()
    time.sleep(chance.uniform(0, 0.3))
    yard.redis.start()


def restart_redis(yard: Yard, chance: random.Random) -> None:
    """As an operator does."""
    yard.redis.process.terminate()
    yard.redis.process.wait()
    yard.redis.start()


def freeze_redis(yard: Yard, chance: random.Random) -> None:
    """It answers nobody, and then all at once."""
    with _frozen(yard.redis.process.pid):
        time.sleep(chance.uniform(0.1, 1))


def fill_disk_of_redis(yard: Yard, chance: random.Random) -> None:
    """Its append-only file cannot grow for a while."""
    with _full_disk(yard.redis.process.pid):
        time.sleep(chance.uniform(0.1, 1))


def cut_connection(yard: Yard, chance: random.Random) -> None:
    """In the middle of an answer of Redis."""
    yard.proxy.cut_after(chance.randrange(1, 3000))


def jump_clock(yard: Yard, chance: random.Random) -> None:
    """Somebody has set it wrong, and sets it right again after a while."""
    clock = chance.choice(yard.clocks)
    clock.jump(chance.uniform(-JUMP_SECONDS_MAX, JUMP_SECONDS_MAX))
    time.sleep(chance.uniform(1, 2) * CLOCK_READ_SECONDS)
    clock.jump(0)


OF_SQLITE: list[Fault] = [
    *(kill_server, kill_worker, freeze_server, jump_clock),
    *(fill_disk, tear_last_page),
]

OF_REDIS: list[Fault] = [
    *(kill_server, kill_worker, freeze_server, jump_clock),
    *(kill_redis, restart_redis, freeze_redis, fill_disk_of_redis, cut_connection),
]


@contextmanager
def _frozen(pid: int) -> Iterator[None]:
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextmanager
def _full_disk(pid: int) -> Iterator[None]:
    resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_FSIZE, _NO_LIMIT)
