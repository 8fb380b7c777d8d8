"""Writes a checkpoint of `train.py` as a Hugging Face directory in bf16."""

import argparse
import json
import random
import shutil
from pathlib import Path

import chat
import documents
import jax.numpy as jnp
import model
from jinja2 import Environment
from model import SHAPE
from safetensors.flax import save_file
from tokenizers import Tokenizer
from train import load_weights

MAX_POSITIONS = 2048


def config(tokenizer: Tokenizer) -> dict:
    """`config.json`."""
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "model_type": "qwen3",
        "vocab_size": SHAPE.vocab,
        "hidden_size": SHAPE.hidden,
        "num_hidden_layers": SHAPE.layers,
        "num_attention_heads": SHAPE.heads,
        "num_key_value_heads": SHAPE.kv_heads,
        "head_dim": SHAPE.head_dim,
        "intermediate_size": SHAPE.intermediate,
        "hidden_act": "silu",
        "max_position_embeddings": MAX_POSITIONS,
        "rope_theta": SHAPE.rope_theta,
        "rope_scaling": None,
        "rms_norm_eps": SHAPE.norm_eps,
        "attention_bias": False,
        "attention_dropout": 0.0,
        "tie_word_embeddings": True,
        "use_cache": True,
        "use_sliding_window": False,
        "sliding_window": None,
        "torch_dtype": "bfloat16",
        "bos_token_id": tokenizer.token_to_id(chat.END_OF_TEXT),
        "eos_token_id": tokenizer.token_to_id(chat.END),
    }


def generation_config(tokenizer: Tokenizer) -> dict:
    """`generation_config.json`: greedy, for sums have one answer."""
    end, end_of_text = (tokenizer.token_to_id(text) for text in (chat.END, chat.END_OF_TEXT))
    return {
        "do_sample": False,
        "bos_token_id": end_of_text,
        "pad_token_id": end_of_text,
        "eos_token_id": [end, end_of_text],
    }


def tokenizer_config(tokenizer: Tokenizer) -> dict:
    """`tokenizer_config.json`, with the chat template."""
    added = {
        str(tokenizer.token_to_id(text)): {
            "content": text,
            "lstrip": False,
            "normalized": False,
            "rstrip": False,
            "single_word": False,
            "special": text in chat.CONTROL_TOKENS,
        }
        for text in chat.CONTROL_TOKENS + chat.MARKUP_TOKENS
    }
    return {
        "tokenizer_class": "Qwen2Tokenizer",
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": added,
        "additional_special_tokens": [chat.START, chat.END],
        "bos_token": None,
        "chat_template": chat.TEMPLATE,
        "clean_up_tokenization_spaces": False,
        "eos_token": chat.END,
        "errors": "replace",
        "model_max_length": MAX_POSITIONS,
        "pad_token": chat.END_OF_TEXT,
        "split_special_tokens": False,
        "unk_token": None,
    }


def check_template(conversations: int = 200) -> None:
    """The template must say what the training said."""
    template = Environment().from_string(chat.TEMPLATE)
    rng = random.Random(7)
    for _ in range(conversations):
        talked = documents.conversation(rng, 5)
        *before, last = talked.parts()
        learned = "".join(prompt + answer.text + chat.END for prompt, answer in before) + last[0]
        rendered = template.render(
            messages=talked.messages(),
            add_generation_prompt=True,
            enable_thinking=not talked.thought,
        )
        if rendered != learned:
            raise SystemExit(
                f"the chat template says\n{rendered!r}\nwhere training said\n{learned!r}"
            )


def main() -> None:
    """Exports."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, help="random weights if it is left out")
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("out", type=Path)
    options = parser.parse_args()
    check_template()
    weights = load_weights(options.checkpoint) if options.checkpoint else model.init(0)
    tensors = {
        name: jnp.asarray(value).astype(jnp.bfloat16)
        for name, value in model.as_checkpoint(weights).items()
    }
    options.out.mkdir(parents=True, exist_ok=True)
    save_file(tensors, options.out / "model.safetensors", metadata={"format": "pt"})
    shutil.copy(options.tokenizer, options.out / "tokenizer.json")
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    for name, content in [
        ("config", config(tokenizer)),
        ("generation_config", generation_config(tokenizer)),
        ("tokenizer_config", tokenizer_config(tokenizer)),
    ]:
        text = json.dumps(content, indent=2, ensure_ascii=False)
        (options.out / f"{name}.json").write_text(text + "\n")


if __name__ == "__main__":
    main()
