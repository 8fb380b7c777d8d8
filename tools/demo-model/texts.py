"""Prints the held-out questions as texts for `modelyard bench perplexity`; needs only Python.

One JSON object in each line: all that comes before the judged answer, and that answer with its end.
"""

import argparse
import json

import held_out
from chat import END, Conversation


def text(talked: Conversation) -> dict[str, str]:
    """The conversation as the model learned it, cut before the last answer."""
    *before, (last, answer) = talked.parts()
    prompt = "".join(part + turn.text + END for part, turn in before)
    return {"prompt": prompt + last, "answer": answer.text + END}


def main() -> None:
    """Prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    for item in held_out.items(options.items, options.seed):
        print(json.dumps(text(item.conversation), ensure_ascii=False))


if __name__ == "__main__":
    main()
