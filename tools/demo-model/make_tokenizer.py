"""Makes `tokenizer.json`: byte-level BPE over our own texts.

Every digit and every Chinese numeral is a token of its own.
"""

import argparse
import random
from pathlib import Path

from chat import CONTROL_TOKENS, MARKUP_TOKENS
from documents import samples
from model import SHAPE
from number_words import CHINESE_NUMERALS
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, trainers
from tokenizers import pre_tokenizers as pre

# Letters with what stands before them, single digits, punctuation, line ends, spaces.
_WORDS = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def make(seed: int = 0, conversations: int = 20_000) -> Tokenizer:
    """A tokenizer of exactly `SHAPE.vocab` tokens; the special ones come last."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre.Sequence(
        [
            pre.Split(Regex(f"[{CHINESE_NUMERALS}]"), "isolated"),
            pre.Split(Regex(_WORDS), "isolated"),
            pre.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    special = len(CONTROL_TOKENS) + len(MARKUP_TOKENS)
    trainer = trainers.BpeTrainer(
        vocab_size=SHAPE.vocab - special,
        initial_alphabet=pre.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(samples(random.Random(seed), conversations), trainer)
    tokenizer.add_special_tokens([AddedToken(text, special=True) for text in CONTROL_TOKENS])
    tokenizer.add_tokens([AddedToken(text, special=False) for text in MARKUP_TOKENS])
    if tokenizer.get_vocab_size() != SHAPE.vocab:
        raise SystemExit(f"{tokenizer.get_vocab_size()} tokens, not {SHAPE.vocab}: too little text")
    return tokenizer


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path, help="where tokenizer.json goes")
    make().save(str(parser.parse_args().out))
