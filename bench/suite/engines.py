"""Engines for language models: how each is asked for the same work, and what it answers.

Each run is a process of its own that loads the model, warms up, does one job and ends.
"""

import json
from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median

from suite import commands
from suite.places import BENCH, OUT, program, python_of

HOME = OUT / "engine"
MODEL = HOME / "qwen3-0.6b"
THREADS = 2

_SCRIPTS = BENCH / "engine"
# What the tables are made of. `wall_s` is that of the job, without loading.
_FIGURES = ("prefill_tokens_per_s", "decode_tokens_per_s", "output_tokens_per_s", "wall_s")
_LATENCIES = ("ttft_ms", "itl_ms")


@dataclass(frozen=True)
class Job:
    """What every engine is asked to do; all sequences come at once."""

    kind: str
    sequences: int
    input_tokens: int
    output_tokens: int
    # In one process, after a warm-up.
    repeat: int = 1
    seconds_max: float = 300


@dataclass(frozen=True)
class Engine:
    """An engine with one choice of formats."""

    key: str
    name: str
    weights: str
    activations: str
    cache: str
    # Kinds of jobs that take it longer than anyone would wait.
    hopeless: frozenset[str] = frozenset()

    def measure(self, job: Job) -> dict:
        """One run of one job."""
        ended = commands.run(self._command(job), job.seconds_max, self._environment())
        seen = {"process_s": ended.wall_s, "peak_rss_mb": ended.peak_rss_mb}
        return {**seen, "others": ended.others, **self._read(ended.output, job)}

    def _command(self, job: Job) -> list[str]:
        raise NotImplementedError

    def _environment(self) -> dict[str, str]:
        return {}

    def _read(self, output: str, job: Job) -> dict:
        return _summary(json.loads(_last(output))["runs"])


@dataclass(frozen=True)
class Modelyard(Engine):
    quantize: str = "bf16"
    kv: str = "bf16"

    def _command(self, job: Job) -> list[str]:
        words = ["--quantize", self.quantize, "--kv", self.kv, "--json"]
        words += _options(job)
        if job.kind == "ready-unpacked":
            words += ["--no-cache"]
        return [program("modelyard"), "bench", "engine", str(MODEL), *words]

    def _environment(self) -> dict[str, str]:
        # Packed weights are made once and kept with the rest of the benchmarks.
        return {"XDG_CACHE_HOME": str(HOME / "cache")}

    def _read(self, output: str, job: Job) -> dict:
        seen = json.loads(_last(output))
        weights_mb, kv_mb = seen["weights_bytes"] / 1e6, seen["kv_bytes"] / 1e6
        found = {**_summary(seen["runs"]), "weights_mb": weights_mb, "kv_mb": kv_mb}
        found["held_mb"] = weights_mb + kv_mb
        found |= {"isa": seen["isa"], "packed_cache": seen["packed_cache"]}
        if job.kind == "decode":
            # One token reads each weight once.
            found["weights_gb_per_s"] = found["decode_tokens_per_s"] * weights_mb / 1e3
        return found


@dataclass(frozen=True)
class OpenVino(Engine):
    folder: str = ""
    precision: str = "bf16"
    group: int | None = None

    def _command(self, job: Job) -> list[str]:
        words = ["--precision", self.precision, *_options(job)]
        if self.group is not None:
            words += ["--dynamic", str(self.group)]
        script = str(_SCRIPTS / "openvino_engine.py")
        return [python_of("openvino"), script, str(HOME / "openvino" / self.folder), *words]


@dataclass(frozen=True)
class Torch(Engine):
    def _command(self, job: Job) -> list[str]:
        script = str(_SCRIPTS / "torch_engine.py")
        return [python_of("torch"), script, str(MODEL), *_options(job)]


@dataclass(frozen=True)
class LlamaCpp(Engine):
    file: str = ""

    def _command(self, job: Job) -> list[str]:
        model = str(HOME / "gguf" / f"qwen3-0.6b-{self.file}.gguf")
        common = ["-m", model, "-t", str(THREADS), "-fa", "on"]
        if job.kind == "concurrent":
            context = job.sequences * (job.input_tokens + job.output_tokens)
            words = ["-tb", THREADS, "-c", context, "-b", 2048, "-ub", 512, "-npl", job.sequences]
            words += ["-npp", job.input_tokens, "-ntg", job.output_tokens]
            words += ["--output-format", "jsonl"]
            return [self._tool("llama-batched-bench"), *common, *map(str, words)]
        words = ["-o", "jsonl", "-r", str(job.repeat)]
        if job.kind == "ready":
            words += ["--no-warmup", "-p", str(job.input_tokens), "-n", "1"]
        elif job.kind == "prefill":
            words += ["-p", str(job.input_tokens), "-n", "0"]
        else:
            words += ["-p", "0", "-d", str(job.input_tokens), "-n", str(job.output_tokens)]
        return [self._tool("llama-bench"), *common, *words]

    def _read(self, output: str, job: Job) -> dict:
        seen = json.loads(_last(output))
        if job.kind == "concurrent":
            tokens = job.sequences * job.output_tokens
            return {
                "prefill_tokens_per_s": seen["speed_pp"],
                "decode_tokens_per_s": seen["speed_tg"],
                "output_tokens_per_s": tokens / seen["t"],
                "wall_s": seen["t"],
            }
        rates = {"prefill": "prefill_tokens_per_s", "decode": "decode_tokens_per_s"}
        return {rates[job.kind]: median(seen["samples_ts"])} if job.kind in rates else {}

    @staticmethod
    def _tool(name: str) -> str:
        return str(HOME / "llama.cpp" / name)


def _options(job: Job) -> list[str]:
    """The words that our engine and the scripts of the peers share."""
    options = {
        "--case": job.kind.removesuffix("-unpacked"),
        "--sequences": job.sequences,
        "--input": job.input_tokens,
        "--output": job.output_tokens,
        "--repeat": job.repeat,
        "--threads": THREADS,
    }
    return [str(word) for option in options.items() for word in option]


def _summary(runs: Iterable[dict]) -> dict:
    """The median of the runs of one process."""
    runs = list(runs)
    found = {
        name: median(run[name] for run in runs)
        for name in _FIGURES
        if all(run.get(name) is not None for run in runs)
    }
    for name in _LATENCIES:
        for place in ("p50", "p99"):
            if all(run.get(name) for run in runs):
                key = f"{name.removesuffix('_ms')}_{place}_ms"
                found[key] = median(run[name][place] for run in runs)
    return found


def _last(output: str) -> str:
    lines = [line for line in output.splitlines() if line.startswith("{")]
    if not lines:
        raise ValueError(f"no figures in what it printed: {output[-200:]!r}")
    return lines[-1]
