"""Documents as rows of tokens."""

from dataclasses import dataclass

import numpy as np
from chat import END, END_OF_TEXT, Conversation
from tokenizers import Tokenizer


@dataclass
class Document:
    """Token ids, and for each whether the model should learn to say it."""

    ids: list[int]
    learned: list[bool]

    def add(self, ids: list[int], learned: bool | list[bool]) -> None:
        """Appends tokens."""
        self.ids += ids
        self.learned += learned if isinstance(learned, list) else [learned] * len(ids)


def encode(tokenizer: Tokenizer, talked: Conversation, last_only: bool = False) -> Document:
    """A conversation; every answer ends with `<|im_end|>`, which is learned too."""
    document = Document([], [])
    for prompt, answer in talked.parts():
        document.add(tokenizer.encode(prompt).ids, False)
        said = tokenizer.encode(answer.text)
        wanted = not last_only or answer is talked.turns[-1]
        learned = [wanted and start >= answer.unlearned for start, _ in said.offsets]
        document.add(said.ids, learned)
        document.add([tokenizer.token_to_id(END)], wanted)
    return document


def encode_plain(tokenizer: Tokenizer, prompt: str, text: str) -> Document:
    """A text without a chat."""
    document = Document([], [])
    document.add(tokenizer.encode(prompt).ids, False)
    document.add(tokenizer.encode(text).ids, True)
    document.add([tokenizer.token_to_id(END_OF_TEXT)], True)
    return document


@dataclass
class Rows:
    """`tokens`, `owner` (the document's number, -1 for padding), `learned`: `[rows, length]`."""

    tokens: np.ndarray
    owner: np.ndarray
    learned: np.ndarray

    def targets(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Flat places that predict a learned token, that token, and the document it belongs to."""
        rows, columns = np.nonzero(self.learned)
        places = rows * self.tokens.shape[1] + columns - 1
        return places, self.tokens[rows, columns], self.owner[rows, columns]


class Packer:
    """Fills rows of `length`, each document in the first row that has room."""

    def __init__(self, rows: int, length: int):
        shape = (rows, length)
        self.rows = Rows(
            np.zeros(shape, np.int32), np.full(shape, -1, np.int32), np.zeros(shape, bool)
        )
        self._used = np.zeros(rows, np.int64)
        self._count = 0

    def add(self, document: Document) -> bool:
        """Whether there was room."""
        size, length = len(document.ids), self.rows.tokens.shape[1]
        fitting = np.nonzero(self._used + size <= length)[0]
        if not fitting.size:
            return False
        row = fitting[0]
        span = slice(self._used[row], self._used[row] + size)
        self.rows.tokens[row, span] = document.ids
        self.rows.owner[row, span] = self._count
        self.rows.learned[row, span] = document.learned
        self._used[row] += size
        self._count += 1
        return True
