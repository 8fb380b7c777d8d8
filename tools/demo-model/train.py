"""Trains the demo model. Stop it at any time; `--resume` goes on, and `--decay` ends it."""

import argparse
import os
import pickle
import queue
import random
import threading
import time
from functools import partial
from pathlib import Path

# oneDNN then computes f32 products in bf16 where the processor can (AMX); read when jax starts.
os.environ.setdefault("ONEDNN_DEFAULT_FPMATH_MODE", "BF16")

import documents
import held_out
import jax
import jax.numpy as jnp
import model
import numpy as np
import optax
import score
from packing import Packer, Rows, encode, encode_plain
from tokenizers import Tokenizer

# Only for the gradient: XLA's oneDNN fusions cannot take two products at once, as Muon has them.
ONEDNN = {
    "xla_cpu_use_onednn": True,
    "xla_cpu_experimental_onednn_fusion_type": "LIBRARY_FUSION_TYPE_DOT",
}
WEIGHT_DECAY = 0.1
WARM_UP = 100
# At most this part of all tokens is learned in one step; what is more waits for another day.
LEARNED_PART = 0.4


def make_rows(tokenizer: Tokenizer, step: int, options: argparse.Namespace) -> Rows:
    """One step's documents; the same options give the same ones."""
    rng = random.Random(f"{options.seed} {step}")
    rows, length = options.rows, options.length
    packer = Packer(rows, length)
    misses = 0
    while misses < 2 * rows:
        if rng.random() < 0.03:
            document = encode_plain(tokenizer, *documents.bare_equation(rng))
        else:
            talked = documents.conversation(rng, max(length // 28, 2), options.more)
            document = encode(tokenizer, talked)
        misses += not packer.add(document)
    return packer.rows


def batches(tokenizer: Tokenizer, first: int, options: argparse.Namespace):
    """Batches for the steps after `first`, made by a thread beside the training."""
    ready = queue.Queue(maxsize=8)
    learned = int(LEARNED_PART * options.rows * options.length)

    def make():
        for step in range(first, options.steps):
            packed = make_rows(tokenizer, step, options)
            places, targets, _ = packed.targets()
            places, targets = places[:learned], targets[:learned]
            missing = learned - len(places)
            weights = np.pad(np.ones(len(places), np.float32), (0, missing))
            places, targets = np.pad(places, (0, missing)), np.pad(targets, (0, missing))
            ready.put((packed.tokens, packed.owner, places, targets, weights))

    threading.Thread(target=make, daemon=True).start()
    for _ in range(first, options.steps):
        yield ready.get()


def loss(weights, batch):
    """Mean cross entropy over the learned tokens, in nats."""
    tokens, owner, places, targets, counted = batch
    scores = model.logits(weights, model.hidden(weights, tokens, owner)[places])
    right = jnp.take_along_axis(scores, targets[:, None], axis=-1)[:, 0]
    losses = (jax.nn.logsumexp(scores, axis=-1) - right) * counted
    return losses.sum() / counted.sum()


def optimizer(weights, peak: float, steps: int, decay: int) -> optax.GradientTransformation:
    """Muon for the matrices, Adam for the rest; a warm-up, a plateau, a line to zero."""
    rate = optax.join_schedules(
        [
            optax.linear_schedule(0, peak, WARM_UP),
            optax.constant_schedule(peak),
            optax.linear_schedule(peak, 0, max(decay, 1)),
        ],
        [WARM_UP, steps - decay],
    )
    dimensions = {
        name: optax.contrib.MuonDimensionNumbers() if w.ndim == 2 and "embed" not in name else None
        for name, w in weights.items()
    }
    muon = optax.contrib.muon(
        rate,
        weight_decay=WEIGHT_DECAY,
        adam_b2=0.98,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=dimensions,
    )
    return optax.chain(optax.clip_by_global_norm(1.0), muon)


def save(path: Path, step: int, weights, state) -> None:
    """Writes a checkpoint in one piece."""
    temporary = path.with_suffix(".part")
    with temporary.open("wb") as file:
        pickle.dump((step, *jax.device_get((weights, jax.tree.leaves(state)))), file)
    temporary.replace(path)


def load(path: Path, state):
    """The step, the weights and the optimizer's state of a checkpoint."""
    with path.open("rb") as file:
        step, weights, leaves = pickle.load(file)
    return step, weights, jax.tree.unflatten(jax.tree.structure(state), leaves)


def load_weights(path: Path):
    """The weights of a checkpoint."""
    with path.open("rb") as file:
        return pickle.load(file)[1]


def arguments() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--checkpoint", type=Path, required=True, help="written here")
    parser.add_argument("--resume", type=Path, help="start from this checkpoint")
    parser.add_argument("--steps", type=int, required=True, help="the last step")
    parser.add_argument("--decay", type=int, default=0, help="how many steps the rate falls")
    parser.add_argument("--rate", type=float, default=4e-3, help="the learning rate of the plateau")
    parser.add_argument("--rows", type=int, default=32)
    parser.add_argument("--length", type=int, default=128)
    parser.add_argument("--more", nargs="*", default=[], choices=documents.KINDS, metavar="KIND")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--every", type=int, default=100, help="steps between checkpoints")
    return parser.parse_args()


def main() -> None:
    """Trains."""
    options = arguments()
    tokenizer = Tokenizer.from_file(str(options.tokenizer))
    weights, first = model.init(options.seed), 0
    optimize = optimizer(weights, options.rate, options.steps, options.decay)
    state = optimize.init(weights)
    if options.resume:
        first, weights, state = load(options.resume, state)

    gradient_of = jax.jit(jax.value_and_grad(loss), compiler_options=ONEDNN)

    @partial(jax.jit, donate_argnums=(0, 1))
    def update(weights, state, gradient):
        change, state = optimize.update(gradient, state, weights)
        return optax.apply_updates(weights, change), state

    items = held_out.items(200, seed=2)
    values, begin = [], time.monotonic()
    for step, batch in enumerate(batches(tokenizer, first, options), first + 1):
        value, gradient = gradient_of(weights, batch)
        weights, state = update(weights, state, gradient)
        values.append(float(value))
        if step % 20 == 0:
            speed = len(values) * options.rows * options.length / (time.monotonic() - begin)
            print(f"step {step} loss {np.mean(values):.4f} {speed:.0f} tokens/s", flush=True)
            values, begin = [], time.monotonic()
        if step % options.every == 0 or step == options.steps:
            save(options.checkpoint, step, weights, state)
            right = score.exact(weights, tokenizer, items)
            print(held_out.report([item.kind for item in items], right), flush=True)
            begin = time.monotonic()


if __name__ == "__main__":
    main()
