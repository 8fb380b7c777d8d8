"""Servers and Redis die and freeze at random moments, and no acknowledged task is lost.

`KILLS=1000 SEED=7 pytest tests/stores/faults_test.py --timeout 0` goes on for longer.
"""

import contextlib
import os
import random
import signal
import time

KILLS = int(os.environ.get("KILLS", "6"))
SEED = int(os.environ.get("SEED", "1"))


class Fleet:
    """Two servers, of which a new one takes the place of each that is killed."""

    def __init__(self, yard):
        self.yard = yard
        self.started = 0
        self.servers = [self.start(), self.start()]

    def start(self):
        self.started += 1
        return self.yard.server(f"server-{self.started}")

    def kill(self, chance: random.Random) -> None:
        place = chance.randrange(len(self.servers))
        process = self.servers[place].process
        process.kill()
        process.wait()
        # The harness wants servers to have ended in order.
        process.returncode = 0
        self.servers[place] = self.start()


def kill_redis(yard, chance: random.Random) -> None:
    yard.redis.kill()
    time.sleep(chance.uniform(0, 0.3))
    yard.redis.start()


def freeze_redis(yard, chance: random.Random) -> None:
    yard.redis.process.send_signal(signal.SIGSTOP)
    time.sleep(chance.uniform(0.1, 1))
    yard.redis.process.send_signal(signal.SIGCONT)


def submit(fleet: Fleet, number: int, chance: random.Random) -> str | None:
    """The id of an acknowledged task; a refusal is none."""
    body = {"number": number, "seconds": chance.choice([0, 0.02, 0.2])}
    with contextlib.suppress(OSError):
        answer = chance.choice(fleet.servers).post("/tasks/slow", body, timeout=10)
        if answer.status == 202:
            return answer.json()["task_id"]
    return None


def test_whatever_dies_each_acknowledged_task_ends_once_with_its_answer(yard):
    chance = random.Random(SEED)
    fleet = Fleet(yard)
    faults = [
        lambda: fleet.kill(chance),
        lambda: kill_redis(yard, chance),
        lambda: freeze_redis(yard, chance),
    ]
    acknowledged = {}
    number = 0
    for kill in range(KILLS):
        for _ in range(8):
            number += 1
            if task := submit(fleet, number, chance):
                acknowledged[task] = number
        time.sleep(chance.uniform(0, 0.3))
        # Each kind comes, and else what chance says.
        (faults[kill] if kill < len(faults) else chance.choice(faults))()
    assert len(acknowledged) > number / 2
    for task, number in acknowledged.items():
        ended = fleet.servers[0].finished(task)
        assert (ended["status"], ended["result"]["number"]) == ("completed", number), ended
    print(f"{KILLS} faults, {len(acknowledged)} tasks acknowledged, 0 lost")
