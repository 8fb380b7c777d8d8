"""Exact match without a server.

Greedy decoding says an answer if and only if each of its tokens is the likeliest.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import model
import numpy as np
from held_out import Item
from packing import Packer, Rows, encode
from tokenizers import Tokenizer

ROWS, LENGTH = 32, 256


@jax.jit
def _likeliest(weights, tokens, owner, places):
    return jnp.argmax(model.logits(weights, model.hidden(weights, tokens, owner)[places]), axis=-1)


def _marks(weights, rows: Rows, count: int) -> list[bool]:
    places, targets, owners = rows.targets()
    padded = np.pad(places, (0, rows.tokens.size - len(places)))
    said = np.asarray(_likeliest(weights, rows.tokens, rows.owner, padded))[: len(places)]
    right = np.ones(count, bool)
    right[owners[said != targets]] = False
    return right.tolist()


def exact(weights, tokenizer: Tokenizer, items: Sequence[Item]) -> list[bool]:
    """For each item whether the model says exactly the answer and ends."""
    marks, packer, waiting = [], Packer(ROWS, LENGTH), 0
    for item in items:
        document = encode(tokenizer, item.conversation, last_only=True)
        if not packer.add(document):
            marks += _marks(weights, packer.rows, waiting)
            packer, waiting = Packer(ROWS, LENGTH), 0
            if not packer.add(document):
                raise ValueError(f"an item of {len(document.ids)} tokens exceeds {LENGTH}")
        waiting += 1
    return marks + _marks(weights, packer.rows, waiting)


def rounded(weights):
    """The weights as the checkpoint holds them: bf16."""
    return {
        name: jnp.asarray(w).astype(jnp.bfloat16).astype(jnp.float32) for name, w in weights.items()
    }


def quantized(weights):
    """Every matrix in 8 bits, one scale for each output channel.

    The embedding too, for it is the last product.
    """

    def quantize(name, w):
        if w.ndim == 1:
            return w
        inputs = 1 if "embed" in name else 0
        scale = jnp.maximum(jnp.abs(w).max(axis=inputs, keepdims=True), 1e-12) / 127
        return jnp.round(w / scale) * scale

    return {name: quantize(name, w) for name, w in rounded(weights).items()}
