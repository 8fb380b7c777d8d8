"""What a run of an engine has shown, in the words of `modelyard bench engine --json`."""

import argparse
import itertools
import json
import statistics
import time
from collections.abc import Sequence


class Clock:
    """The times of every sequence's tokens in one run."""

    def __init__(self, sequences: int):
        self._begun = time.perf_counter()
        self._times: list[list[float]] = [[] for _ in range(sequences)]

    def saw(self, sequence: int, tokens: int = 1) -> None:
        """`tokens` of a sequence have just become known."""
        now = time.perf_counter() - self._begun
        self._times[sequence] += [now] * tokens

    def outcome(self, input_tokens: int) -> dict:
        """Rates and latencies; call it once every sequence has ended."""
        wall = max(times[-1] for times in self._times)
        firsts = [times[0] for times in self._times]
        tokens = sum(map(len, self._times))
        gaps = [
            later - earlier for times in self._times for earlier, later in itertools.pairwise(times)
        ]
        decoded = tokens - len(self._times)
        return {
            "wall_s": wall,
            "output_tokens_per_s": tokens / wall,
            "prefill_tokens_per_s": len(self._times) * input_tokens / max(firsts),
            "decode_tokens_per_s": decoded / (wall - max(firsts)) if decoded else None,
            "ttft_ms": _percentiles(firsts),
            "itl_ms": _percentiles(gaps),
        }


def arguments(description: str) -> argparse.ArgumentParser:
    """The options that every engine takes."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("model", help="what the engine reads")
    cases = ("ready", "prefill", "decode", "concurrent")
    parser.add_argument("--case", choices=cases, required=True)
    parser.add_argument("--sequences", type=int, default=1)
    parser.add_argument("--input", type=int, required=True, help="tokens of each prompt")
    parser.add_argument("--output", type=int, required=True, help="tokens of each answer")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    return parser


def report(asked: argparse.Namespace, runs: Sequence[dict]) -> None:
    """Prints one line, the last one of the output."""
    line = {
        "case": asked.case,
        "sequences": asked.sequences,
        "input_tokens": asked.input,
        "output_tokens": asked.output,
        "threads": asked.threads,
        "runs": list(runs),
    }
    print(json.dumps(line), flush=True)


def _percentiles(seconds: Sequence[float]) -> dict | None:
    if not seconds:
        return None
    if len(seconds) == 1:
        return dict.fromkeys(("p50", "p90", "p99", "max"), seconds[0] * 1e3)
    cuts = statistics.quantiles(seconds, n=100, method="inclusive")
    chosen = {f"p{place}": cuts[place - 1] * 1e3 for place in (50, 90, 99)}
    return {**chosen, "max": max(seconds) * 1e3}
