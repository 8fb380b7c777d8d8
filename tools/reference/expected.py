"""What the reference says of a checkpoint: logits of decoders, embeddings of encoders."""

import json
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file
from tokenizers import Tokenizer
from torch.nn.functional import normalize
from transformers import AutoModel, AutoModelForCausalLM, PreTrainedModel

# All positions of the short prompt, the last ones of the long. The long one ends within the third
# block of 32 tokens.
_SHORT, _LONG, _LAST = 16, 80, 4

_SENTENCES = (
    "A model reads tokens and says which token comes next.",
    "queue",
    "The gateway takes a call, the queue keeps it, a worker answers it: 17 + 25 = 42. " * 2,
)

_PRECISIONS = {"f32": torch.float32, "bf16": torch.bfloat16}


def record_decoder(folder: Path, vocabulary: int, seed: int) -> dict[str, float]:
    """Writes `expected.safetensors`; gives the relative error of the reference's own bf16."""
    rng = np.random.default_rng(seed)
    prompts = {name: rng.integers(0, vocabulary, n) for name, n in _prompts().items()}
    found = {f"{name}.tokens": ids.astype(np.uint32) for name, ids in prompts.items()}
    for precision, dtype in _PRECISIONS.items():
        model = _load(AutoModelForCausalLM, folder, dtype)
        for name, ids in prompts.items():
            with torch.inference_mode():
                logits = model(torch.from_numpy(ids)[None]).logits[0]
            kept = logits[-_kept(name) :].float().numpy()
            found[f"{name}.logits.{precision}"] = np.ascontiguousarray(kept)
    save_file(found, folder / "expected.safetensors")
    return {
        name: _error(found[f"{name}.logits.bf16"], found[f"{name}.logits.f32"]) for name in prompts
    }


def record_encoder(folder: Path, tokenizer: Tokenizer) -> dict[str, float]:
    """Writes `expected.safetensors`; gives the relative error of the reference's own bf16."""
    pooling = json.loads((folder / "1_Pooling/config.json").read_text())
    prompts = {f"text{i}": tokenizer.encode(text).ids for i, text in enumerate(_SENTENCES)}
    found = {f"{name}.tokens": np.array(ids, np.uint32) for name, ids in prompts.items()}
    for precision, dtype in _PRECISIONS.items():
        model = _load(AutoModel, folder, dtype)
        for name, ids in prompts.items():
            with torch.inference_mode():
                hidden = model(torch.tensor([ids])).last_hidden_state[0].float()
            vector = hidden[0] if pooling["pooling_mode_cls_token"] else hidden.mean(0)
            found[f"{name}.embedding.{precision}"] = normalize(vector, dim=0).numpy()
    # One entry, because the order of several is left to chance.
    texts = {"texts": json.dumps(_SENTENCES)}
    save_file(found, folder / "expected.safetensors", metadata=texts)
    return {
        name: _error(found[f"{name}.embedding.bf16"], found[f"{name}.embedding.f32"])
        for name in prompts
    }


def _prompts() -> dict[str, int]:
    return {"short": _SHORT, "long": _LONG}


def _kept(prompt: str) -> int:
    return _SHORT if prompt == "short" else _LAST


def _load(kind: type, folder: Path, dtype: torch.dtype) -> PreTrainedModel:
    # The plain attention: every step of it is what its paper says.
    return kind.from_pretrained(folder, dtype=dtype, attn_implementation="eager").eval()


def _error(seen: np.ndarray, exact: np.ndarray) -> float:
    return float(np.linalg.norm(seen - exact) / np.linalg.norm(exact))
