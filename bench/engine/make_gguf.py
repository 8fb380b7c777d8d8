"""Writes a checkpoint of the Qwen3 architecture as a GGUF file in bf16.

`make_gguf.py FOLDER FILE`; needs numpy, and `gguf` of llama.cpp's `gguf-py` on PYTHONPATH. The
converter of llama.cpp itself knows a tokenizer by its hash, and ours is nobody's.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import gguf
import numpy as np

_NAMES = {
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_ENDS = {"model.embed_tokens": "token_embd", "model.norm": "output_norm"}


def main() -> None:
    folder, file = map(Path, sys.argv[1:3])
    config = json.loads((folder / "config.json").read_text())
    file.parent.mkdir(parents=True, exist_ok=True)
    unfinished = file.with_suffix(".part")
    writer = gguf.GGUFWriter(unfinished, "qwen3")
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_BF16)
    _add_shape(writer, config)
    _add_tokenizer(writer, folder, config)
    for name, values in _tensors(folder / "model.safetensors"):
        _add_tensor(writer, name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    unfinished.rename(file)


def _add_shape(writer: gguf.GGUFWriter, config: dict) -> None:
    writer.add_block_count(config["num_hidden_layers"])
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_key_length(config["head_dim"])
    writer.add_value_length(config["head_dim"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_vocab_size(config["vocab_size"])


def _add_tokenizer(writer: gguf.GGUFWriter, folder: Path, config: dict) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text())
    words = [f"[PAD{number}]" for number in range(config["vocab_size"])]
    kinds = [gguf.TokenType.UNUSED] * len(words)
    for word, number in tokenizer["model"]["vocab"].items():
        words[number], kinds[number] = word, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        words[added["id"]], kinds[added["id"]] = added["content"], kind
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(words)
    writer.add_token_types(kinds)
    writer.add_token_merges([" ".join(pair) for pair in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(config["eos_token_id"])
    writer.add_add_bos_token(False)


def _tensors(file: Path) -> Iterator[tuple[str, np.ndarray]]:
    """Every tensor of the checkpoint, as the 16 bits of its numbers."""
    with file.open("rb") as opened:
        length = int.from_bytes(opened.read(8), "little")
        header = json.loads(opened.read(length))
    content = np.memmap(file, np.uint8, "r", offset=8 + length)
    for name, tensor in header.items():
        if name != "__metadata__":
            begin, end = tensor["data_offsets"]
            yield name, content[begin:end].view(np.uint16).reshape(tensor["shape"])


def _add_tensor(writer: gguf.GGUFWriter, name: str, values: np.ndarray) -> None:
    bare = name.removesuffix(".weight")
    if bare in _ENDS:
        bare = _ENDS[bare]
    else:
        _, _, number, part = bare.split(".", 3)
        bare = f"blk.{number}.{_NAMES[part]}"
    if values.ndim == 1:
        wide = (values.astype(np.uint32) << 16).view(np.float32)
        writer.add_tensor(f"{bare}.weight", wide)
        return
    rows, columns = values.shape
    shape, kind = (rows, columns * 2), gguf.GGMLQuantizationType.BF16
    writer.add_tensor(f"{bare}.weight", values.view(np.uint8), raw_shape=shape, raw_dtype=kind)


if __name__ == "__main__":
    main()
