"""The case of the language models, without a model."""

import json

import pytest
from engine import outcome
from suite.cases import engine
from suite.engines import Job, LlamaCpp, Modelyard
from suite.figures import Results

CONCURRENT = Job("concurrent", 16, 128, 128)
OURS = Modelyard("modelyard-w8a8", "Modelyard", "int8", "int8", "int8", quantize="w8a8")
RUN = {
    "wall_s": 4.0,
    "output_tokens_per_s": 512.0,
    "prefill_tokens_per_s": 2_000.0,
    "decode_tokens_per_s": 40.0,
    "ttft_ms": {"p50": 300.0, "p90": 600.0, "p99": 700.0, "max": 700.0},
    "itl_ms": None,
}


def printed(*runs):
    seen = {"weights_bytes": 600_000_000, "kv_bytes": 200_000_000, "isa": "amx"}
    return "packing\n" + json.dumps({**seen, "packed_cache": "hit", "runs": runs}) + "\n"


def test_our_figures_are_the_medians_of_a_processs_runs():
    runs = ({**RUN, "wall_s": seconds} for seconds in (5.0, 3.0, 4.0))
    seen = OURS._read(printed(*runs), Job("decode", 1, 16, 128))
    assert (seen["wall_s"], seen["ttft_p99_ms"], seen["held_mb"]) == (4.0, 700.0, 800.0)
    # 40 tokens a second read 600 MB each.
    assert seen["weights_gb_per_s"] == 24.0
    assert "itl_p50_ms" not in seen


def test_llama_cpp_is_given_the_same_work_and_its_total_is_of_answers_only():
    llama = LlamaCpp("llama-q8", "llama.cpp", "Q8_0", "int8", "f16", file="Q8_0")
    words = llama._command(CONCURRENT)
    options = dict(zip(words[1::2], words[2::2], strict=False))
    assert (options["-npl"], options["-npp"], options["-ntg"]) == ("16", "128", "128")
    line = {"speed_pp": 360.0, "speed_tg": 150.0, "t": 20.0, "speed": 204.8}
    seen = llama._read(json.dumps(line), CONCURRENT)
    assert seen["output_tokens_per_s"] == pytest.approx(16 * 128 / 20)


def test_an_engine_that_prints_no_figures_is_an_error():
    with pytest.raises(ValueError, match="no figures"):
        OURS._read("loading\n", CONCURRENT)


def test_every_round_has_those_whom_a_target_names_and_the_last_has_everybody():
    def those(name, is_last):
        return {one.key for one in engine.ENGINES if engine._takes_part(one, name, is_last)}

    ours = {one.key for one in engine.ENGINES if one.key.startswith("modelyard")}
    assert those("64 at once", is_last=False) == ours | {"openvino-int8"}
    everybody = {one.key for one in engine.ENGINES}
    assert those("prefill", is_last=True) == everybody
    assert those("64 at once", is_last=True) == everybody - {"llama-bf16"}
    assert those("ready-unpacked", is_last=True) == ours


def test_targets_compare_within_a_round():
    def sample(number, contender, rate):
        figures = {"prefill_tokens_per_s": rate, "others": 0.25}
        return {"round": number, "contender": contender, "kind": "prefill", **figures}

    samples = [
        sample(1, "modelyard-w8a8", 3_200.0),
        sample(1, "openvino-int8", 1_000.0),
        sample(2, "modelyard-w8a8", 1_600.0),
        sample(2, "openvino-int8", 500.0),
    ]
    text = engine.tables(Results({"samples": samples, "failures": []}))
    assert "| prefill, w8a8 ÷ openvino-int8 | ≥ 3x | 3.2 (3.2–3.2)x | yes |" in text
    assert "others took at most 25% of the processors" in text
    assert "llama" not in text


def test_a_clock_tells_first_tokens_from_later_ones(monkeypatch):
    times = iter([10.0, 10.5, 11.0, 11.5, 12.0])
    monkeypatch.setattr(outcome.time, "perf_counter", lambda: next(times))
    clock = outcome.Clock(2)
    for sequence in (0, 1, 0, 1):
        clock.saw(sequence)
    seen = clock.outcome(input_tokens=100)
    assert seen["wall_s"] == 2.0
    assert seen["output_tokens_per_s"] == 2.0
    # Both had their first token after a second; two tokens came in the second after it.
    assert (seen["prefill_tokens_per_s"], seen["decode_tokens_per_s"]) == (200.0, 2.0)
    assert (seen["ttft_ms"]["max"], seen["itl_ms"]["p50"]) == (1000.0, 1000.0)
