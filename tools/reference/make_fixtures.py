"""Makes the fixtures of crate `models`: small random checkpoints, and what torch says of them.

`make_fixtures.py FOLDER [NAME…]`; see README.md.
"""

import argparse
import shutil
from pathlib import Path

import checkpoints
import expected
import small_tokenizers
import torch


def main() -> None:
    arguments = _arguments()
    # One thread: sums in one order, so that the files come out the same again.
    torch.set_num_threads(1)
    for checkpoint in checkpoints.CHECKPOINTS:
        if arguments.name and checkpoint.name not in arguments.name:
            continue
        folder = arguments.folder / checkpoint.name
        shutil.rmtree(folder, ignore_errors=True)
        checkpoints.write(checkpoint, folder)
        tokenizer = small_tokenizers.write(checkpoint.tokenizer, folder)
        vocabulary = checkpoint.config["vocab_size"]
        if tokenizer.get_vocab_size() > vocabulary:
            raise SystemExit(f"{checkpoint.name}: its tokenizer has more tokens than the model")
        if checkpoint.is_encoder:
            errors = expected.record_encoder(folder, tokenizer)
        else:
            errors = expected.record_decoder(folder, vocabulary, checkpoint.seed)
        size = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
        shown = ", ".join(f"{name} {error:.2%}" for name, error in errors.items())
        print(f"{checkpoint.name}: {size / 1e3:.0f} kB; error of torch's bf16: {shown}")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="crates/models/tests/fixtures")
    parser.add_argument("name", nargs="*", help="default: every checkpoint")
    return parser.parse_args()


if __name__ == "__main__":
    main()
