"""Tokenizers of a few hundred tokens, of the kinds that the real models have."""

import json
import re
from collections.abc import Sequence
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

_TEXT = (
    "A model reads tokens and says which token comes next.",
    "The gateway takes a call, the queue keeps it, a worker answers it.",
    "What is 17 + 25? 17 + 25 = 42. And 6 x 7? That is 42 as well.",
    "Weights are packed once; the cache holds keys and values in blocks of tokens.",
    "你好，世界。模型读入词元，然后给出下一个词元。",
    "今天的天气很好，我们去公园走走吧。17 加 25 等于 42。",
)

# Words, runs of digits one by one, marks, and white space.
_SPLIT = r"[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"

_CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|im_start|>assistant\n{%- endif -%}"
)


def write(kind: str, folder: Path) -> Tokenizer:
    """Writes the files of a tokenizer, and gives it."""
    if kind == "wordpiece":
        return _wordpiece(folder)
    # RoBERTa's special tokens have the first ids, and its padding token the id 1.
    ends = ("<s>", "<pad>", "</s>", "<unk>", "<mask>")
    tokenizer = _byte_bpe(ends if kind == "byte-bpe-ends" else ())
    finish = {
        "byte-bpe": _finish_chat,
        "byte-bpe-bos": _finish_with_begin,
        "byte-bpe-ends": _finish_with_ends,
    }
    finish[kind](tokenizer, folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def _byte_bpe(special: Sequence[str]) -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_SPLIT), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        initial_alphabet=alphabet,
        special_tokens=list(special),
        show_progress=False,
    )
    tokenizer.train_from_iterator(_TEXT, trainer)
    return tokenizer


def _finish_chat(tokenizer: Tokenizer, folder: Path) -> None:
    """The special tokens of Qwen. The model has more ids than this, as the real ones do."""
    words = ("<|endoftext|>", "<|im_start|>", "<|im_end|>")
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in words])
    end, end_of_turn = map(tokenizer.token_to_id, ("<|endoftext|>", "<|im_end|>"))
    settings = {
        "tokenizer_class": "Qwen2Tokenizer",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "model_max_length": 256,
        "chat_template": _CHAT_TEMPLATE,
    }
    _write_json(folder / "tokenizer_config.json", settings)
    ends = {"eos_token_id": [end_of_turn, end], "pad_token_id": end}
    _write_json(folder / "generation_config.json", {**ends, "temperature": 0.6, "top_p": 0.95})


def _finish_with_begin(tokenizer: Tokenizer, folder: Path) -> None:
    """A token begins every text, put there by the tokenizer itself."""
    words = ("<s>", "</s>")
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in words])
    begin, end = map(tokenizer.token_to_id, words)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", begin)]
    )
    settings = {"bos_token": "<s>", "eos_token": "</s>", "model_max_length": 256}
    _write_json(folder / "tokenizer_config.json", settings)
    _write_json(folder / "generation_config.json", {"bos_token_id": begin, "eos_token_id": end})


def _finish_with_ends(tokenizer: Tokenizer, folder: Path) -> None:
    """A token begins every text and another ends it."""
    marks = [(word, tokenizer.token_to_id(word)) for word in ("<s>", "</s>")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=marks
    )
    settings = {
        "tokenizer_class": "RobertaTokenizer",
        "bos_token": "<s>",
        "eos_token": "</s>",
        "pad_token": "<pad>",
        "model_max_length": 128,
    }
    _write_json(folder / "tokenizer_config.json", settings)


def _wordpiece(folder: Path) -> Tokenizer:
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    # Not trained: the trainer breaks ties by chance.
    words = sorted({word for text in _TEXT for word in re.findall(r"\w+|[^\w\s]", text.lower())})
    letters = sorted({letter for word in words for letter in word})
    known = dict.fromkeys([*special, *letters, *(f"##{letter}" for letter in letters), *words])
    vocabulary = {word: number for number, word in enumerate(known)}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.decoder = decoders.WordPiece()
    tokenizer.add_special_tokens([AddedToken(word, normalized=False) for word in special])
    marks = [(word, tokenizer.token_to_id(word)) for word in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=marks
    )
    settings = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": True,
        "model_max_length": 128,
        **{f"{word.strip('[]').lower()}_token": word for word in special},
    }
    _write_json(folder / "tokenizer_config.json", settings)
    tokenizer.save(str(folder / "tokenizer.json"))
    return tokenizer


def _write_json(path: Path, content: object) -> None:
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")
