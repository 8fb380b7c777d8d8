"""One campaign: faults, one after the other, and what is left of the promises."""

import random
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from faults import kinds
from faults.clients import Clients, Promises
from faults.yard import Yard

KINDS = {"sqlite": kinds.OF_SQLITE, "redis": kinds.OF_REDIS}


@dataclass
class Report:
    """What a campaign has shown."""

    faults: dict[str, int]
    acknowledged: int
    refused_or_unanswered: int
    effects: int
    later_attempts: int
    broken: list[str]
    seconds: float


def run(folder: Path, store: str, faults: int, seed: int) -> Report:
    """So many faults of all kinds, in an order that the seed decides."""
    begun = time.monotonic()
    chance = random.Random(seed)
    yard = Yard(folder, store)
    try:
        yard.wait_until_ready()
        clients = Clients(yard, seed)
        try:
            done = _inflict(yard, KINDS[store], faults, chance)
        finally:
            clients.stop()
        yard.wait_until_ready()
        clients.read_all()
    finally:
        yard.close()
    return _report(yard, clients.promises, done, time.monotonic() - begun)


def _inflict(yard: Yard, kinds_: list[kinds.Fault], count: int, chance: random.Random) -> Counter:
    done = Counter()
    # Each kind comes, and else what chance says.
    order = [*kinds_, *(chance.choice(kinds_) for _ in range(count - len(kinds_)))]
    chance.shuffle(order)
    for fault in order:
        time.sleep(chance.uniform(0.1, 0.8))
        fault(yard, chance)
        done[fault.__name__] += 1
    return done


def _report(yard: Yard, promises: Promises, done: Counter, seconds: float) -> Report:
    effects = [int(effect.readlink().name) for effect in yard.effects.iterdir()]
    broken = [*promises.broken]
    if len(set(effects)) != len(effects):
        broken.append("an effect was left twice")
    if missing := promises.acknowledged.keys() - set(effects):
        broken.append(f"without effect: {sorted(missing)}")
    # Key and attempt of every call.
    begun = Counter(tuple(call.name.split("@")[:2]) for call in yard.begun.iterdir())
    broken += [f"{attempt} began {count} times" for attempt, count in begun.items() if count > 1]
    return Report(
        faults=dict(done),
        acknowledged=len(promises.acknowledged),
        refused_or_unanswered=promises.unanswered,
        effects=len(effects),
        later_attempts=sum(end["attempt"] > 1 for end in promises.ends.values()),
        broken=broken,
        seconds=seconds,
    )
