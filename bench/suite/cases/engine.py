"""Language models: our engine beside those that a person could run on the same processors.

The model has the shape of Qwen3-0.6B and random weights, whose values decide nothing about speed.
Only on request: the peers take gigabytes (`bench/engine/setup.sh`).
"""

from suite import clients
from suite.engines import THREADS, Engine, Job, LlamaCpp, Modelyard, OpenVino, Torch
from suite.figures import Results, at_least, at_most, cell, judged, table
from suite.session import Session, say

TITLE = f"Language models, {THREADS} threads"
PEERS = ("llama-cpp", "openvino", "torch")
ON_REQUEST = True
RUN = "each run a process of its own, after a warm-up"

_OURS = (
    Modelyard("modelyard-bf16", "Modelyard", "bf16", "bf16", "bf16"),
    Modelyard("modelyard-int8", "Modelyard", "int8", "bf16", "int8", quantize="int8", kv="int8"),
    Modelyard("modelyard-w8a8", "Modelyard", "int8", "int8", "int8", quantize="w8a8", kv="int8"),
    Modelyard("modelyard-int4", "Modelyard", "int4", "bf16", "int8", quantize="int4", kv="int8"),
)
_SLOW = frozenset({"64 at once"})
_PEERS = (
    LlamaCpp("llama-bf16", "llama.cpp", "bf16", "bf16", "f16", _SLOW, file="bf16"),
    LlamaCpp("llama-q8", "llama.cpp", "Q8_0", "int8", "f16", file="Q8_0"),
    LlamaCpp("llama-q4", "llama.cpp", "Q4_0", "int8", "f16", file="Q4_0"),
    OpenVino("openvino-bf16", "OpenVINO GenAI", "bf16", "bf16", "u8", folder="fp16"),
    OpenVino("openvino-int8", "OpenVINO GenAI", "int8", "bf16", "u8", folder="int8"),
    OpenVino(
        key="openvino-dynamic",
        name="OpenVINO GenAI, dynamic quantisation",
        weights="int8",
        activations="int8, groups of 32",
        cache="u8",
        folder="int8",
        # While the precision is bf16 its kernels for bf16 win, and the group size changes nothing.
        precision="f32",
        group=32,
    ),
    OpenVino(
        key="openvino-w8a8",
        name="OpenVINO GenAI, calibrated",
        weights="int8",
        activations="int8",
        cache="u8",
        folder="w8a8",
    ),
    OpenVino("openvino-int4", "OpenVINO GenAI", "int4", "bf16", "u8", folder="int4"),
    Torch("torch-bf16", "transformers on torch, static batch", "bf16", "bf16", "bf16"),
)
ENGINES: tuple[Engine, ...] = (*_OURS, *_PEERS)

# By the name that their samples carry.
_JOBS = {
    "prefill": Job("prefill", 1, 512, 1, repeat=3),
    "decode": Job("decode", 1, 16, 64),
    "ready": Job("ready", 1, 16, 1),
    "ready-unpacked": Job("ready-unpacked", 1, 16, 1),
    "16 at once": Job("concurrent", 16, 128, 128),
    "64 at once": Job("concurrent", 64, 128, 128),
}
_TOTAL = "output_tokens_per_s"
_RATES = (
    ("prefill", "prefill_tokens_per_s"),
    ("decode", "decode_tokens_per_s"),
    ("16 at once", _TOTAL),
    ("64 at once", _TOTAL),
)
# Of the same width of weights and activations, as far as there is one.
_ALIKE = (
    ("modelyard-bf16", "openvino-bf16"),
    ("modelyard-bf16", "llama-bf16"),
    ("modelyard-bf16", "torch-bf16"),
    ("modelyard-int8", "openvino-int8"),
    ("modelyard-w8a8", "openvino-w8a8"),
    ("modelyard-w8a8", "openvino-dynamic"),
    ("modelyard-w8a8", "llama-q8"),
    ("modelyard-int4", "openvino-int4"),
    ("modelyard-int4", "llama-q4"),
)
# Kind of job, figure, ours, peer, and how many times it should be.
_TARGETS = (
    ("prefill", "prefill_tokens_per_s", "bf16", "openvino-bf16", 1.5),
    ("prefill", "prefill_tokens_per_s", "bf16", "llama-bf16", 9),
    ("prefill", "prefill_tokens_per_s", "w8a8", "openvino-int8", 3),
    ("prefill", "prefill_tokens_per_s", "w8a8", "llama-q8", 8),
    ("decode", "decode_tokens_per_s", "bf16", "llama-bf16", 1.2),
    ("decode", "decode_tokens_per_s", "int8", "llama-q8", 1.05),
    ("decode", "decode_tokens_per_s", "w8a8", "llama-q8", 1.05),
    ("decode", "decode_tokens_per_s", "int4", "llama-q4", 1.2),
    ("16 at once", _TOTAL, "int8", "openvino-int8", 2.5),
    ("16 at once", _TOTAL, "w8a8", "openvino-int8", 2.5),
    ("64 at once", _TOTAL, "int8", "openvino-int8", 2.2),
    ("64 at once", _TOTAL, "w8a8", "openvino-int8", 2.2),
)


def measure(session: Session) -> None:
    names = list(_JOBS) if session.effort.mode != "quick" else ["prefill", "ready"]
    for engine in _OURS:
        _pack(session, engine)
    for number in session.rounds():
        is_last = number >= session.effort.rounds
        for name in names:
            engines = [engine for engine in ENGINES if _takes_part(engine, name, is_last)]
            for engine in engines if number % 2 else reversed(engines):
                _measure(session, number, name, engine)
            # It takes long: what was seen is kept also when it is stopped.
            session.save()


def _takes_part(engine: Engine, name: str, is_last: bool) -> bool:
    """Every round has ours and those whom a target names; the last one has everybody."""
    if engine in _OURS:
        return True
    if name in engine.hopeless or name == "ready-unpacked":
        return False
    return is_last or (name, engine.key) in {(kind, peer) for kind, _, _, peer, _ in _TARGETS}


def _pack(session: Session, engine: Modelyard) -> None:
    """Leaves the packed weights in the cache, so that every measured start finds them."""
    try:
        engine.measure(_JOBS["ready"])
    except Exception as error:
        session.failures.append(f"{engine.key}, packing: {error}")


def _measure(session: Session, number: int, name: str, engine: Engine) -> None:
    try:
        if name == "decode" and engine in _OURS:
            # Beside each run, because on a shared host it changes within minutes.
            memory = clients.memory(threads=THREADS)
            session.keep(number, engine.key, "memory", memory)
        session.keep(number, engine.key, name, engine.measure(_JOBS[name]))
    except Exception as error:
        # One engine that fails must not cost the figures of the others.
        session.failures.append(f"{engine.key}, {name}: {error}")
        say(f"  round {number}  {engine.key:<22} {name} failed: {error}")


def tables(results: Results) -> str:
    parts = [_speeds(results), _ratios(results), _latencies(results), _memory(results)]
    parts += [_others(results), judged(_judgements(results))]
    return "\n\n".join(part for part in parts if part)


def _speeds(results: Results) -> str:
    header = ["tokens/s", "weights", "activations", "KV", "prefill 512", "one stream"]
    header += ["16 at once", "64 at once"]
    rows = []
    for engine in ENGINES:
        found = [results.spread(engine.key, *rate) for rate in _RATES]
        if any(found):
            rows.append([*_modes(engine), *(cell(spread, 1) for spread in found)])
    return table(header, rows)


def _ratios(results: Results) -> str:
    rows = []
    for ours, peer in _ALIKE:
        found = [results.ratio((ours, *rate), (peer, *rate)) for rate in _RATES]
        if any(found):
            rows.append([f"{ours} ÷ {peer}", *map(cell, found)])
    header = ["like with like", "prefill 512", "one stream", "16 at once", "64 at once"]
    return table(header, rows) if rows else ""


def _latencies(results: Results) -> str:
    header = ["ms", "weights", "activations", "KV"]
    figures = ("ttft_p50_ms", "ttft_p99_ms", "itl_p50_ms", "itl_p99_ms")
    for name in ("16 at once", "64 at once"):
        header += [f"{name}: first token p50", "p99", "between tokens p50", "p99"]
    rows = []
    for engine in ENGINES:
        found = [
            results.spread(engine.key, name, figure)
            for name in ("16 at once", "64 at once")
            for figure in figures
        ]
        if any(found):
            rows.append([*_modes(engine), *(cell(spread, 0) for spread in found)])
    return table(header, rows) if rows else ""


def _memory(results: Results) -> str:
    header = ["", "weights", "activations", "KV", "ready s", "ready s, nothing packed"]
    header += ["peak MB, one stream", "16 at once", "64 at once"]
    rows = []
    for engine in ENGINES:
        found = [
            results.spread(engine.key, name, "process_s") for name in ("ready", "ready-unpacked")
        ]
        found += [
            results.spread(engine.key, name, "peak_rss_mb")
            for name in ("decode", "16 at once", "64 at once")
        ]
        if any(found):
            rows.append([*_modes(engine), *(cell(spread, 2) for spread in found)])
    return table(header, rows) if rows else ""


def _others(results: Results) -> str:
    """How far the machine was ours, which only a reader can weigh."""
    samples = results.raw["samples"]
    shares = [sample["others"] for sample in samples if "others" in sample]
    rates = [sample["gb_per_s"] for sample in samples if "gb_per_s" in sample]
    found = []
    if shares:
        found.append(
            f"While a run lasted, others took at most {max(shares):.0%} of the processors."
        )
    if rates:
        found.append(f"Memory could be read at {min(rates):.1f} to {max(rates):.1f} GB/s.")
    return " ".join(found)


def _judgements(results: Results) -> list:
    def ratio(name: str, figure: str, ours: str, peer: str):
        return results.ratio((f"modelyard-{ours}", name, figure), (peer, name, figure))

    found = []
    for name, figure, ours, peer, target in _TARGETS:
        what = f"{name}, {ours} ÷ {peer}"
        found += at_least(what, ratio(name, figure, ours, peer), target)
    for ours, target in (("bf16", 0.9), ("int8", 0.9), ("w8a8", 0.9), ("int4", 0.75)):
        key = f"modelyard-{ours}"
        share = results.ratio((key, "decode", "weights_gb_per_s"), (key, "memory", "gb_per_s"))
        found += at_least(f"one stream, {ours}: weights read ÷ memory's rate", share, target)
    return found + [judgement for engine in _OURS for judgement in _frugality(results, engine)]


def _frugality(results: Results, engine: Modelyard) -> list:
    """Memory beside weights and cache, and how soon the first token is there."""
    found = []
    for name in ("16 at once", "64 at once"):
        besides = results.difference(
            (engine.key, name, "peak_rss_mb"), (engine.key, name, "held_mb")
        )
        found += at_most(
            f"{name}, {engine.quantize}: memory beside weights and KV", besides, 250, "MB"
        )
    ready = results.spread(engine.key, "ready", "process_s")
    found += at_most(f"first token after start, {engine.quantize}", ready, 1, "s")
    unpacked = results.spread(engine.key, "ready-unpacked", "process_s")
    return found + at_most(f"the same, nothing packed, {engine.quantize}", unpacked, 3, "s")


def _modes(engine: Engine) -> tuple[str, str, str, str]:
    return engine.name, engine.weights, engine.activations, engine.cache
