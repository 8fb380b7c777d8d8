"""Records what the reference says of a checkpoint of any size.

For `cargo run --example quality` of crate `models`. `record_logits.py FOLDER FILE` needs what
requirements.txt names, and four bytes of memory per parameter.
"""

import json
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from transformers import AutoModelForCausalLM

# Tokens of each prompt; logits are kept of the last positions.
_PROMPTS = {"short": 64, "long": 600}
_LAST = 8


def main() -> None:
    folder, file = Path(sys.argv[1]), Path(sys.argv[2])
    vocabulary = json.loads((folder / "config.json").read_text())["vocab_size"]
    rng = np.random.default_rng(1)
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager"
    ).eval()
    found = {}
    for name, length in _PROMPTS.items():
        tokens = rng.integers(0, vocabulary, length)
        with torch.inference_mode():
            logits = model(torch.from_numpy(tokens)[None], logits_to_keep=_LAST).logits[0]
        found[f"{name}.tokens"] = tokens.astype(np.uint32)
        found[f"{name}.logits.f32"] = np.ascontiguousarray(logits.numpy())
    save_file(found, file)


if __name__ == "__main__":
    main()
