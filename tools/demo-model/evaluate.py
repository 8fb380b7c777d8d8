"""Asks held-out questions and counts exact answers by kind.

Over HTTP, or with the files of a model directory.
"""

import argparse
import http.client
import json
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import urlsplit

import held_out
from held_out import Item

MAX_TOKENS = 64


def ask(url: str, model: str | None, item: Item) -> str:
    """The answer of `/v1/chat/completions`."""
    body = {"messages": item.conversation.messages(), "max_tokens": MAX_TOKENS, "temperature": 0}
    if model:
        body["model"] = model
    address = urlsplit(url)
    kind = http.client.HTTPSConnection if address.scheme == "https" else http.client.HTTPConnection
    connection = kind(address.netloc, timeout=120)
    try:
        path = address.path.rstrip("/") + "/v1/chat/completions"
        connection.request("POST", path, json.dumps(body), {"content-type": "application/json"})
        answer = connection.getresponse()
        text = answer.read().decode()
    except OSError as error:
        raise SystemExit(f"{url} cannot be asked: {error}") from error
    finally:
        connection.close()
    if answer.status != 200:
        raise SystemExit(f"{url} answers {answer.status}: {text}")
    return json.loads(text)["choices"][0]["message"]["content"]


def over_http(options: argparse.Namespace, items: list[Item]) -> list[bool]:
    """Asks `options.concurrent` questions at a time."""
    with ThreadPoolExecutor(options.concurrent) as pool:
        said = list(pool.map(lambda item: ask(options.url, options.model, item), items))
    right, shown = [], 0
    for item, answer in zip(items, said, strict=True):
        wanted = item.conversation.turns[-1]
        right.append(answer == wanted.text)
        if not right[-1] and shown < options.show:
            shown += 1
            print(f"{wanted.question!r}: {answer!r}, not {wanted.text!r}", file=sys.stderr)
    return right


def from_files(options: argparse.Namespace, items: list[Item]) -> list[bool]:
    """Computes with JAX what greedy decoding would say."""
    # Only here, for the questions over HTTP need no library.
    import model
    import score
    from safetensors.flax import load_file
    from tokenizers import Tokenizer

    stored = load_file(options.directory / "model.safetensors")
    weights = model.as_checkpoint({name: w.astype("float32") for name, w in stored.items()})
    if options.int8:
        weights = score.quantized(weights)
    tokenizer = Tokenizer.from_file(str(options.directory / "tokenizer.json"))
    right = score.exact(weights, tokenizer, items)
    wrong = [item for item, mark in zip(items, right, strict=True) if not mark]
    for item in wrong[: options.show]:
        turn = item.conversation.turns[-1]
        print(f"not said: {turn.question!r}: {turn.text!r}", file=sys.stderr)
    return right


def main() -> None:
    """Evaluates."""
    parser = argparse.ArgumentParser(description=__doc__)
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--url", help="of a server, such as http://127.0.0.1:8000")
    where.add_argument("--directory", type=Path, help="of a model")
    parser.add_argument("--model", help="the name to ask for; the server's default if left out")
    parser.add_argument("--int8", action="store_true", help="round the weights to 8 bits first")
    parser.add_argument("--items", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--concurrent", type=int, default=16)
    parser.add_argument("--show", type=int, default=10, help="how many wrong answers to show")
    options = parser.parse_args()
    items = held_out.items(options.items, options.seed)
    right = over_http(options, items) if options.url else from_files(options, items)
    print(held_out.report([item.kind for item in items], right))


if __name__ == "__main__":
    main()
