"""The small checkpoints: each architecture, and each way of writing one that real models use."""

import json
from dataclasses import dataclass, field
from pathlib import Path

import torch
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    PreTrainedModel,
)

_LLAMA3_SCALING = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    # Small, so that 16 tokens already feel each of its three bands.
    "original_max_position_embeddings": 64,
}


@dataclass(frozen=True)
class Checkpoint:
    """A `config.json`, and how its weights are stored."""

    name: str
    config: dict
    seed: int
    # `byte-bpe`, `byte-bpe-bos` (begins each text with a token), `byte-bpe-ends` (ends it with one
    # as well) or `wordpiece`.
    tokenizer: str
    stored: torch.dtype = torch.bfloat16
    shard: str | None = None
    files: dict[str, object] = field(default_factory=dict)

    @property
    def is_encoder(self) -> bool:
        return self.config["model_type"] in {"bert", "roberta", "xlm-roberta"}


_DECODER = {
    "hidden_act": "silu",
    "attention_dropout": 0.0,
    "max_position_embeddings": 256,
    "use_cache": True,
}

_BERT = {
    "model_type": "bert",
    "vocab_size": 320,
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "hidden_act": "gelu",
    "max_position_embeddings": 128,
    "type_vocab_size": 2,
    "layer_norm_eps": 1e-12,
    "position_embedding_type": "absolute",
    "pad_token_id": 0,
}

# Positions are counted from behind the padding token's row, so that two rows of the table are never
# used by a text; and there is one segment only.
_ROBERTA = {
    **_BERT,
    "vocab_size": 448,
    "max_position_embeddings": 130,
    "type_vocab_size": 1,
    "layer_norm_eps": 1e-5,
    "bos_token_id": 0,
    "pad_token_id": 1,
    "eos_token_id": 2,
}


def _sentence_transformer(pooling: str) -> dict[str, object]:
    """The files beside a model that say how its token vectors become one."""
    modes = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
    chosen = {f"pooling_mode_{mode}": mode == pooling for mode in modes}
    types = ("Transformer", "Pooling", "Normalize")
    return {
        "1_Pooling/config.json": {"word_embedding_dimension": _BERT["hidden_size"], **chosen},
        "sentence_bert_config.json": {"max_seq_length": 128, "do_lower_case": False},
        "modules.json": [
            {
                "idx": number,
                "name": str(number),
                "path": f"{number}_{kind}" if number else "",
                "type": f"sentence_transformers.models.{kind}",
            }
            for number, kind in enumerate(types)
        ],
    }


CHECKPOINTS = (
    # Norms of queries and keys, a head wider than hidden / heads, one matrix for both ends.
    Checkpoint(
        name="qwen3",
        seed=3,
        tokenizer="byte-bpe",
        config={
            **_DECODER,
            "architectures": ["Qwen3ForCausalLM"],
            "model_type": "qwen3",
            "vocab_size": 512,
            "hidden_size": 64,
            "num_hidden_layers": 3,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 64,
            "intermediate_size": 160,
            "attention_bias": False,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            "rope_scaling": None,
            "sliding_window": None,
            "use_sliding_window": False,
            "max_window_layers": 3,
            "tie_word_embeddings": True,
            "torch_dtype": "bfloat16",
        },
    ),
    # Biases of queries, keys and values; sizes that fill no tile; stored in half precision.
    Checkpoint(
        name="qwen2",
        seed=2,
        tokenizer="byte-bpe",
        stored=torch.float16,
        config={
            **_DECODER,
            "architectures": ["Qwen2ForCausalLM"],
            "model_type": "qwen2",
            "vocab_size": 500,
            "hidden_size": 96,
            "num_hidden_layers": 2,
            "num_attention_heads": 3,
            "num_key_value_heads": 1,
            "intermediate_size": 112,
            "rms_norm_eps": 1e-6,
            "rope_theta": 1_000_000.0,
            # Written down but switched off, as in the published configurations.
            "sliding_window": 8,
            "use_sliding_window": False,
            "max_window_layers": 2,
            "tie_word_embeddings": False,
            "torch_dtype": "float16",
        },
    ),
    # Stretched position embeddings, four queries to a key, several files.
    Checkpoint(
        name="llama3",
        seed=31,
        tokenizer="byte-bpe-bos",
        shard="300KB",
        config={
            **_DECODER,
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "vocab_size": 448,
            "hidden_size": 128,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 1,
            "head_dim": 32,
            "intermediate_size": 96,
            "attention_bias": False,
            "mlp_bias": False,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "rope_scaling": _LLAMA3_SCALING,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        },
    ),
    # The widest head that is common, and the newer way to write `rope_parameters` and `dtype`.
    Checkpoint(
        name="mistral",
        seed=7,
        tokenizer="byte-bpe-bos",
        config={
            **_DECODER,
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "vocab_size": 448,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "head_dim": 128,
            "intermediate_size": 128,
            "rms_norm_eps": 1e-5,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1_000_000.0},
            "sliding_window": None,
            "tie_word_embeddings": False,
            "dtype": "bfloat16",
        },
    ),
    # Each token sees the last 24 only: fewer than a block of the cache, and no multiple of one.
    Checkpoint(
        name="mistral-window",
        seed=71,
        tokenizer="byte-bpe-bos",
        config={
            **_DECODER,
            "architectures": ["MistralForCausalLM"],
            "model_type": "mistral",
            "vocab_size": 448,
            "hidden_size": 64,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "intermediate_size": 128,
            "rms_norm_eps": 1e-5,
            "rope_theta": 10_000.0,
            "sliding_window": 24,
            "tie_word_embeddings": False,
            "torch_dtype": "bfloat16",
        },
    ),
    # A sentence embedder: the mean of the tokens, bare tensor names, single precision.
    Checkpoint(
        name="bert-mean",
        seed=11,
        tokenizer="wordpiece",
        stored=torch.float32,
        config={**_BERT, "architectures": ["BertModel"], "torch_dtype": "float32"},
        files=_sentence_transformer("mean_tokens"),
    ),
    # The first token's vector; tensor names begin with `bert.`, and a head that is not ours to use.
    Checkpoint(
        name="bert-cls",
        seed=12,
        tokenizer="wordpiece",
        config={**_BERT, "architectures": ["BertForMaskedLM"], "torch_dtype": "bfloat16"},
        files=_sentence_transformer("cls_token"),
    ),
    # BERT with other positions and without segments: the mean of the tokens, bare tensor names.
    Checkpoint(
        name="roberta",
        seed=13,
        tokenizer="byte-bpe-ends",
        stored=torch.float16,
        config={
            **_ROBERTA,
            "architectures": ["RobertaModel"],
            "model_type": "roberta",
            "torch_dtype": "float16",
        },
        files=_sentence_transformer("mean_tokens"),
    ),
    # The same by its multilingual name: names begin with `roberta.`, and a head that is not ours.
    Checkpoint(
        name="xlm-roberta",
        seed=14,
        tokenizer="byte-bpe-ends",
        config={
            **_ROBERTA,
            "architectures": ["XLMRobertaForMaskedLM"],
            "model_type": "xlm-roberta",
            "torch_dtype": "bfloat16",
        },
        files=_sentence_transformer("cls_token"),
    ),
)


def write(checkpoint: Checkpoint, folder: Path) -> None:
    """Writes `config.json`, random weights, and the files beside them."""
    folder.mkdir(parents=True, exist_ok=True)
    # First, so that the reference reads what a user of the checkpoint reads.
    _write_json(folder / "config.json", checkpoint.config)
    config = AutoConfig.from_pretrained(folder)
    kind = AutoModelForCausalLM
    if checkpoint.is_encoder:
        masked = checkpoint.config["architectures"][0].endswith("ForMaskedLM")
        kind = AutoModelForMaskedLM if masked else AutoModel
    model = kind.from_config(config, dtype=torch.float32)
    _randomise(model, torch.Generator().manual_seed(checkpoint.seed))
    # Through bf16 in any case: an engine that packs to bf16 then loses nothing by it.
    model = model.to(torch.bfloat16).to(checkpoint.stored)
    model.save_pretrained(folder, max_shard_size=checkpoint.shard or "1GB")
    _write_json(folder / "config.json", checkpoint.config)
    for name, content in checkpoint.files.items():
        (folder / name).parent.mkdir(exist_ok=True)
        _write_json(folder / name, content)


def _randomise(model: PreTrainedModel, generator: torch.Generator) -> None:
    """Weights with which a mistake shows: sharp attention, norms that differ, biases."""
    with torch.no_grad():
        for name, weight in model.named_parameters():
            leaf = name.removesuffix(".weight").rsplit(".", 1)[-1].lower()
            if name.endswith("bias"):
                weight.normal_(0.0, 0.2, generator=generator)
            elif "norm" in leaf:
                weight.uniform_(0.5, 1.5, generator=generator)
            elif leaf in {"q_proj", "k_proj", "query", "key"}:
                weight.normal_(0.0, 0.2, generator=generator)
            else:
                weight.normal_(0.0, 0.1, generator=generator)


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
