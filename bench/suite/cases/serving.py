"""What the gateway and the hop to a worker process take from a language model that streams.

The same engine does the same work twice: alone in a process, and behind the gateway for clients
that read every token as it comes. All share the processors, the clients too; what each of them
took stands beside it. Only on request: it needs the checkpoint that `engine` makes.
"""

import json
import subprocess

from suite import ours, proc
from suite.engines import MODEL, THREADS, Job, Modelyard
from suite.figures import Results, at_least, cell, judged, table
from suite.places import program
from suite.session import Session, say

TITLE = "A language model behind the gateway, 16 streams at once"
# Its environment makes the checkpoint.
PEERS = ("llama-cpp",)
ON_REQUEST = True
RUN = "each run a process of its own, after a warm-up"

_ROUNDS = 5
_JOB = Job("concurrent", 16, 128, 128, repeat=3)
_ENGINE = Modelyard("in process", "Modelyard", "int8", "int8", "int8", quantize="w8a8", kv="int8")
_TOTAL = "output_tokens_per_s"
# The temperature of each kind of sample.
_KINDS = {"streams": 0.0, "drawn": 0.7}
_SECONDS_MAX = 300


def measure(session: Session) -> None:
    for number in session.rounds(at_least=_ROUNDS):
        steps = [_alone, _served]
        for step in steps if number % 2 else reversed(steps):
            try:
                step(session, number)
            except Exception as error:
                session.failures.append(f"{step.__name__}: {error}")
                say(f"  round {number}  {step.__name__} failed: {error}")


def _alone(session: Session, number: int) -> None:
    session.keep(number, "alone", "streams", _ENGINE.measure(_JOB))


def _served(session: Session, number: int) -> None:
    engine = {"quantize": "w8a8", "kv": "int8", "threads": THREADS, "prefix_cache": False}
    engine["max_sequences"] = _JOB.sequences
    model = {"kind": "llm", "path": str(MODEL), "engine": engine}
    with ours.serving({"llm": model}) as server:
        for kind, temperature in _KINDS.items():
            gateway = {server.process.pid}
            worker = server.process.family() - gateway
            before = proc.cpu_s(gateway), proc.cpu_s(worker)
            found = _streams(server.port, temperature)
            tokens = _JOB.repeat * _JOB.sequences * _JOB.output_tokens
            took = proc.cpu_s(gateway) - before[0], proc.cpu_s(worker) - before[1]
            shares = {"gateway_us": took[0] / tokens * 1e6, "worker_us": took[1] / tokens * 1e6}
            session.keep(number, "served", kind, {**found, **shares})


def _streams(port: int, temperature: float) -> dict:
    options = {
        "--model": "llm",
        "--sequences": _JOB.sequences,
        "--input": _JOB.input_tokens,
        "--output": _JOB.output_tokens,
        "--repeat": _JOB.repeat,
        "--temperature": temperature,
    }
    words = [str(word) for option in options.items() for word in option]
    done = subprocess.run(
        [program("streamgen"), f"127.0.0.1:{port}", *words],
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip())
    return _middle(json.loads(done.stdout.splitlines()[-1])["runs"])


def _middle(runs: list[dict]) -> dict:
    """The run with the median rate."""
    run = sorted(runs, key=lambda run: run[_TOTAL])[len(runs) // 2]
    tokens = _JOB.sequences * _JOB.output_tokens
    return {
        _TOTAL: run[_TOTAL],
        "wall_s": run["wall_s"],
        "client_us": run["client_cpu_s"] / tokens * 1e6,
        **{f"ttft_{place}_ms": run["ttft_ms"][place] for place in ("p50", "p99")},
        **{f"itl_{place}_ms": run["itl_ms"][place] for place in ("p50", "p99")},
    }


_ROADS = (
    ("alone", "streams", "the engine alone, in one process"),
    ("served", "streams", "over HTTP: client, gateway, worker process"),
    ("served", "drawn", "the same with drawn tokens (temperature 0.7)"),
)


def tables(results: Results) -> str:
    header = ["16 x 128 tokens in, 128 out, w8a8", "tokens/s", "÷ the engine alone"]
    header += ["between tokens p50 ms", "p99 ms", "gateway µs a token", "client µs a token"]
    rows = []
    for key, kind, text in _ROADS:
        names = (_TOTAL, "itl_p50_ms", "itl_p99_ms", "gateway_us", "client_us")
        found = [cell(results.spread(key, kind, name), 1) for name in names]
        ratio = "" if key == "alone" else cell(_ratio(results, key, kind))
        rows.append([text, found[0], ratio, *found[1:]])
    judgements = at_least(
        "over HTTP ÷ the engine alone, tokens/s", _ratio(results, "served", "streams"), 0.95
    )
    return "\n\n".join((table(header, rows), judged(judgements)))


def _ratio(results: Results, key: str, kind: str):
    return results.ratio((key, kind, _TOTAL), ("alone", "streams", _TOTAL))
