"""The Qwen3 architecture in JAX, at the size of the demo model.

Weights have the names of Hugging Face. Matrices are `[in, out]` here and `[out, in]` in the
checkpoint.
"""

from dataclasses import dataclass

import jax
import jax.numpy as jnp


@dataclass(frozen=True)
class Shape:
    """The sizes that `config.json` records."""

    vocab: int = 2048
    hidden: int = 256
    layers: int = 4
    heads: int = 4
    kv_heads: int = 2
    head_dim: int = 64
    intermediate: int = 768
    rope_theta: float = 10_000.0
    norm_eps: float = 1e-6


SHAPE = Shape()


def tensor_shapes(shape: Shape = SHAPE) -> dict[str, tuple[int, ...]]:
    """Every tensor as it is trained: `[in, out]`, the embedding `[vocab, hidden]`."""
    shapes = {
        "model.embed_tokens.weight": (shape.vocab, shape.hidden),
        "model.norm.weight": (shape.hidden,),
    }
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        shapes |= {
            prefix + "input_layernorm.weight": (shape.hidden,),
            prefix + "self_attn.q_proj.weight": (shape.hidden, shape.heads * shape.head_dim),
            prefix + "self_attn.k_proj.weight": (shape.hidden, shape.kv_heads * shape.head_dim),
            prefix + "self_attn.v_proj.weight": (shape.hidden, shape.kv_heads * shape.head_dim),
            prefix + "self_attn.o_proj.weight": (shape.heads * shape.head_dim, shape.hidden),
            prefix + "self_attn.q_norm.weight": (shape.head_dim,),
            prefix + "self_attn.k_norm.weight": (shape.head_dim,),
            prefix + "post_attention_layernorm.weight": (shape.hidden,),
            prefix + "mlp.gate_proj.weight": (shape.hidden, shape.intermediate),
            prefix + "mlp.up_proj.weight": (shape.hidden, shape.intermediate),
            prefix + "mlp.down_proj.weight": (shape.intermediate, shape.hidden),
        }
    return shapes


def init(seed: int, shape: Shape = SHAPE) -> dict[str, jax.Array]:
    """Fresh f32 weights: norms at one, matrices normal, smaller where they write the residual."""
    key = jax.random.key(seed)
    weights = {}
    for name, size in tensor_shapes(shape).items():
        key, draw = jax.random.split(key)
        if len(size) == 1:
            weights[name] = jnp.ones(size)
            continue
        scale = 0.02 if "embed" in name else size[0] ** -0.5
        if "o_proj" in name or "down_proj" in name:
            scale /= (2 * shape.layers) ** 0.5
        weights[name] = scale * jax.random.normal(draw, size)
    return weights


@jax.custom_vjp
def _product(x, w):
    """`x @ w`, with a gradient that is twice as fast on a processor."""
    return x @ w


def _product_backward(operands, slope):
    x, w = operands
    # oneDNN multiplies by a transposed copy in half the time that it takes to read columns.
    return slope @ w.T, jax.lax.optimization_barrier(x.T) @ slope


_product.defvjp(lambda x, w: (x @ w, (x, w)), _product_backward)


def _norm(x, weight, eps):
    return x * jax.lax.rsqrt(jnp.mean(x * x, axis=-1, keepdims=True) + eps) * weight


def _rotate(x, cos, sin):
    """RoPE on `[batch, time, head, head_dim]`; the two halves of a head are the pairs."""
    first, second = jnp.split(x, 2, axis=-1)
    return x * cos + jnp.concatenate([-second, first], axis=-1) * sin


def _angles(length: int, shape: Shape):
    exponents = jnp.arange(0, shape.head_dim, 2) / shape.head_dim
    angles = jnp.arange(length)[:, None] * shape.rope_theta**-exponents
    angles = jnp.concatenate([angles, angles], axis=-1)[None, :, None, :]
    return jnp.cos(angles), jnp.sin(angles)


def _project(x, weights, prefix, names):
    """One product for all `names`: XLA's oneDNN fusions cannot add the gradients of several."""
    parts = [weights[f"{prefix}{name}_proj.weight"] for name in names]
    ends = [sum(part.shape[1] for part in parts[: i + 1]) for i in range(len(parts) - 1)]
    return jnp.split(_product(x, jnp.concatenate(parts, axis=1)), ends, axis=-1)


def _attention(weights, prefix, x, angles, mask, shape: Shape):
    batch, time, _ = mask.shape
    q, k, v = (
        part.reshape(batch, time, -1, shape.head_dim)
        for part in _project(x, weights, prefix, ["q", "k", "v"])
    )
    q = _rotate(_norm(q, weights[prefix + "q_norm.weight"], shape.norm_eps), *angles)
    k = _rotate(_norm(k, weights[prefix + "k_norm.weight"], shape.norm_eps), *angles)
    # The query heads of one key head stand one after the other: one product for each key head.
    groups, per_group = batch * shape.kv_heads, shape.heads // shape.kv_heads
    q = q.transpose(0, 2, 1, 3).reshape(groups, per_group * time, shape.head_dim)
    k = k.transpose(0, 2, 1, 3).reshape(groups, time, shape.head_dim)
    v = v.transpose(0, 2, 1, 3).reshape(groups, time, shape.head_dim)
    scores = jnp.einsum("gtd,gsd->gts", q, k) * shape.head_dim**-0.5
    scores = scores.reshape(batch, shape.heads, time, time)
    scores = jax.nn.softmax(jnp.where(mask[:, None], scores, -1e9), axis=-1)
    mixed = jnp.einsum("gts,gsd->gtd", scores.reshape(groups, per_group * time, time), v)
    mixed = mixed.reshape(batch, shape.heads, time, shape.head_dim).transpose(0, 2, 1, 3)
    return _product(mixed.reshape(batch * time, -1), weights[prefix + "o_proj.weight"])


def hidden(weights, tokens, documents, shape: Shape = SHAPE):
    """What stands before the last product, `[batch * time, hidden]`, for `tokens [batch, time]`.

    `documents [batch, time]` numbers the document of each token, and a token sees only its own.
    Positions count from the start of the row, which RoPE does not notice: it knows distances only.
    """
    time = tokens.shape[1]
    mask = (documents[:, :, None] == documents[:, None, :]) & jnp.tril(jnp.ones((time, time), bool))
    angles = _angles(time, shape)
    x = weights["model.embed_tokens.weight"][tokens.reshape(-1)]
    for layer in range(shape.layers):
        prefix = f"model.layers.{layer}."
        y = _norm(x, weights[prefix + "input_layernorm.weight"], shape.norm_eps)
        x = x + _attention(weights, prefix + "self_attn.", y, angles, mask, shape)
        y = _norm(x, weights[prefix + "post_attention_layernorm.weight"], shape.norm_eps)
        gate, up = _project(y, weights, prefix + "mlp.", ["gate", "up"])
        x = x + _product(jax.nn.silu(gate) * up, weights[prefix + "mlp.down_proj.weight"])
    return _norm(x, weights["model.norm.weight"], shape.norm_eps)


def logits(weights, hidden):
    """`[rows, vocab]` for the rows of `hidden` whose next token is asked for."""
    return hidden @ weights["model.embed_tokens.weight"].T


def as_checkpoint(weights: dict) -> dict:
    """The weights as Hugging Face stores them, or back: a matrix but the embedding is turned."""
    return {
        name: w if w.ndim == 1 or "embed" in name else jnp.asarray(w).T
        for name, w in weights.items()
    }
