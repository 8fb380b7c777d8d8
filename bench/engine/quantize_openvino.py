"""Quantises weights and activations of a model of OpenVINO to int8, calibrated on random tokens.

`quantize_openvino.py FROM TO`: folders. What its own dynamic quantisation does not reach: the
matrix units for int8.
"""

import shutil
import sys
from pathlib import Path

import nncf
import numpy as np
import openvino

_IDS = (300, 4000)
_SAMPLES, _TOKENS = 4, 64


def main() -> None:
    source, target = map(Path, sys.argv[1:3])
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("openvino_model.*"))
    model = openvino.Core().read_model(source / "openvino_model.xml")
    samples = nncf.Dataset(_samples())
    quantized = nncf.quantize(
        model, samples, model_type=nncf.ModelType.TRANSFORMER, subset_size=_SAMPLES
    )
    openvino.save_model(quantized, target / "openvino_model.xml", compress_to_fp16=True)


def _samples() -> list[dict[str, np.ndarray]]:
    random = np.random.default_rng(0)
    return [
        {
            "input_ids": random.integers(*_IDS, (1, _TOKENS), np.int64),
            "attention_mask": np.ones((1, _TOKENS), np.int64),
            "position_ids": np.arange(_TOKENS, dtype=np.int64)[None],
            "beam_idx": np.zeros(1, np.int32),
        }
        for _ in range(_SAMPLES)
    ]


if __name__ == "__main__":
    main()
