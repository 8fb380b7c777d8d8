"""One case while it is measured: how long, how often, and what was seen."""

import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from suite import machine
from suite.contender import Contender
from suite.places import RESULTS


@dataclass(frozen=True)
class Effort:
    """How much is measured."""

    mode: str
    rounds: int
    seconds: float
    warm_up: float


EFFORTS = {
    "quick": Effort("quick", rounds=1, seconds=1, warm_up=0.5),
    "all": Effort("all", rounds=3, seconds=10, warm_up=2),
}


@dataclass
class Session:
    """Collects the samples of one case."""

    case: str
    effort: Effort
    samples: list[dict] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    # The share of the processors that others took before some round, while we did nothing.
    busy_max: float = 0

    def rounds(self, at_least: int = 1) -> Iterator[int]:
        """The numbers of the rounds; a quick run has one, whatever the case wants."""
        count = self.effort.rounds
        if self.effort.mode != "quick":
            count = max(count, at_least)
        for number in range(1, count + 1):
            self.busy_max = max(self.busy_max, machine.busy())
            yield number

    def keep(self, number: int, contender: str, kind: str, values: dict | None) -> None:
        """Writes down what one run has shown."""
        if values is None:
            return
        self.samples.append({"round": number, "contender": contender, "kind": kind, **values})
        shown = {name: round(value, 3) for name, value in values.items() if name in _SHOWN}
        trouble = {name: values[name] for name in TROUBLES if values.get(name)}
        say(f"  round {number}  {contender:<22} {kind:<12} {shown} {trouble or ''}")

    def compare(
        self, contenders: Sequence[Contender], measure: Callable[[int, str, str], None]
    ) -> None:
        """Calls `measure(round, key, url)` for one contender after the other, in rounds.

        Every second round goes backwards, so that a machine that grows slower or faster
        favours nobody.
        """
        for number in self.rounds():
            for contender in contenders if number % 2 else reversed(contenders):
                try:
                    with contender.start() as url:
                        measure(number, contender.key, url)
                except Exception as error:
                    # One peer that does not start must not cost the figures of the others.
                    self.failures.append(f"{contender.key}: {error}")
                    say(f"  round {number}  {contender.key} failed: {error}")

    def save(self) -> None:
        """Writes the raw results."""
        RESULTS.mkdir(parents=True, exist_ok=True)
        result = {
            "case": self.case,
            "mode": self.effort.mode,
            "date": time.strftime("%Y-%m-%d"),
            "rounds": self.effort.rounds,
            "seconds": self.effort.seconds,
            "busy_max": round(self.busy_max, 2),
            "machine": machine.describe(),
            "failures": self.failures,
            "samples": self.samples,
        }
        (RESULTS / f"{self.case}.json").write_text(json.dumps(result, indent=1) + "\n")


# What a person who waits wants to see at once.
_SHOWN = {
    *("rps", "p50_ms", "p99_ms", "cpu_us", "ready_ms", "rss_mb", "per_s", "gb_per_s"),
    *("prefill_tokens_per_s", "decode_tokens_per_s", "output_tokens_per_s"),
    *("process_s", "peak_rss_mb"),
}

# What must be zero in a run that may be believed.
TROUBLES = ("non2xx", "errors", "unanswered", "unsent")


def say(text: str) -> None:
    """Tells the person who waits."""
    print(text, file=sys.stderr, flush=True)
