"""Makes a checkpoint in the shape of Qwen3-0.6B with random weights: speed does not depend on them.

`make_checkpoint.py FOLDER`; needs numpy and tokenizers.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

_SHAPE = {
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 3072,
    "vocab_size": 151_936,
}
_SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
_TEMPLATE = (
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    _tokenizer(folder)
    _config(folder)
    # Last, so that a folder with weights is a whole one.
    _weights(folder / "model.safetensors")


def _tokenizer(folder: Path) -> None:
    """Bytes and a few merges of this repository's words; what is above them never occurs."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(vocab_size=4096, initial_alphabet=alphabet, show_progress=False)
    tokenizer.train_from_iterator(_texts(), trainer)
    content = json.loads(tokenizer.to_str())
    vocabulary = content["model"]["vocab"]
    last = _SHAPE["vocab_size"] - len(_SPECIAL)
    vocabulary |= {f"\u0120unused{number}": number for number in range(len(vocabulary), last)}
    tokenizer = Tokenizer.from_str(json.dumps(content))
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in _SPECIAL])
    tokenizer.save(str(folder / "tokenizer.json"))
    _write(
        folder / "tokenizer_config.json",
        {
            "tokenizer_class": "Qwen2Tokenizer",
            "eos_token": "<|im_end|>",
            "pad_token": "<|endoftext|>",
            "model_max_length": 40_960,
            "chat_template": _TEMPLATE,
        },
    )


def _texts() -> Iterator[str]:
    root = Path(__file__).resolve().parents[2]
    for file in sorted(root.glob("docs/**/*.md")) + sorted(root.glob("crates/*/src/*.rs")):
        yield file.read_text()


def _config(folder: Path) -> None:
    begin, _, end = (_SHAPE["vocab_size"] - len(_SPECIAL) + place for place in range(3))
    _write(
        folder / "config.json",
        {
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "attention_bias": False,
            "attention_dropout": 0.0,
            "bos_token_id": begin,
            "eos_token_id": end,
            "hidden_act": "silu",
            "max_position_embeddings": 40_960,
            "max_window_layers": _SHAPE["num_hidden_layers"],
            "rms_norm_eps": 1e-6,
            "rope_scaling": None,
            "rope_theta": 1_000_000.0,
            "sliding_window": None,
            "use_sliding_window": False,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
            **_SHAPE,
        },
    )
    _write(folder / "generation_config.json", {"eos_token_id": [end, begin], "pad_token_id": begin})


def _tensors() -> Iterator[tuple[str, tuple[int, ...], float | None]]:
    """Names, shapes, and the spread of the values; `None` for a norm of ones."""
    hidden, inner, head = _SHAPE["hidden_size"], _SHAPE["intermediate_size"], _SHAPE["head_dim"]
    queries = _SHAPE["num_attention_heads"] * head
    keys = _SHAPE["num_key_value_heads"] * head
    # What a layer adds must not drown what is there already.
    calm = (2 * _SHAPE["num_hidden_layers"]) ** -0.5
    yield "model.embed_tokens", (_SHAPE["vocab_size"], hidden), 0.02
    for number in range(_SHAPE["num_hidden_layers"]):
        layer = f"model.layers.{number}"
        yield f"{layer}.input_layernorm", (hidden,), None
        yield f"{layer}.self_attn.q_proj", (queries, hidden), hidden**-0.5
        yield f"{layer}.self_attn.k_proj", (keys, hidden), hidden**-0.5
        yield f"{layer}.self_attn.v_proj", (keys, hidden), hidden**-0.5
        yield f"{layer}.self_attn.q_norm", (head,), None
        yield f"{layer}.self_attn.k_norm", (head,), None
        yield f"{layer}.self_attn.o_proj", (hidden, queries), calm * queries**-0.5
        yield f"{layer}.post_attention_layernorm", (hidden,), None
        yield f"{layer}.mlp.gate_proj", (inner, hidden), hidden**-0.5
        yield f"{layer}.mlp.up_proj", (inner, hidden), hidden**-0.5
        yield f"{layer}.mlp.down_proj", (hidden, inner), calm * inner**-0.5
    yield "model.norm", (hidden,), None


def _weights(file: Path) -> None:
    """One safetensors file, written as it is made: never more than a tensor in memory."""
    header: dict[str, dict] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, shape, _ in _tensors():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[f"{name}.weight"] = {
            "dtype": "BF16",
            "shape": list(shape),
            "data_offsets": [begin, end],
        }
    head = json.dumps(header).encode()
    head += b" " * (-len(head) % 8)
    rng = np.random.default_rng(0)
    unfinished = file.with_suffix(".part")
    with unfinished.open("wb") as out:
        out.write(len(head).to_bytes(8, "little") + head)
        for _, shape, spread in _tensors():
            if spread is None:
                values = np.ones(shape, np.float32)
            else:
                values = rng.standard_normal(shape, np.float32) * np.float32(spread)
            out.write(_bf16(values).tobytes())
    unfinished.rename(file)


def _bf16(values: np.ndarray) -> np.ndarray:
    """The upper half of each number, rounded to even."""
    bits = values.view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def _write(file: Path, content: dict) -> None:
    file.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
