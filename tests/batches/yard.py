"""Servers with a model that keeps an account, and the official client."""

import json
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import openai
from harness import READY_SECONDS_MAX, Server, serving

# Notes each number when it has been doubled, in one write, so that lines of several processes do
# not mix; refuses odd numbers that are asked to be refused.
MODEL = """
import os

from modelyard import Model


class Double(Model):
    def predict(self, payload: dict) -> dict:
        if payload.get("refuse"):
            raise ValueError(f"number {payload['n']} is refused")
        with open(os.environ["NOTES"], "a") as file:
            file.write(f"{payload['n']}\\n")
        return {"doubled": 2 * payload["n"], "text": "line\\nbreak"}
"""

CONFIG = """
{store}

[workers]
heartbeat_seconds = 0.5
lease_seconds = 2

[files]
dir = "{folder}/files"

[batches]
window = 16

[models.double]
implementation = "double.py:Double"
retry.attempts_max = 2
retry.backoff_ms = 1
env = {{ NOTES = "{folder}/notes" }}
"""

URL = "/invoke/double"


@contextmanager
def yard(folder: Path, *, shared: Path | None = None, store: str = "") -> Iterator[Server]:
    """A ready server; those that share a folder share files and notes."""
    folder.mkdir(exist_ok=True)
    (folder / "double.py").write_text(MODEL)
    config = CONFIG.format(store=store, folder=shared or folder)
    with serving(folder, config=config) as server:
        yield server


def client_of(server: Server) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="sk-any", max_retries=0, timeout=60)


def call(number: int, url: str = URL, **body) -> str:
    line = {"custom_id": f"call-{number}", "method": "POST", "url": url}
    return json.dumps({**line, "body": {"n": number, **body}})


def upload(client: openai.OpenAI, lines) -> str:
    content = "\n".join(lines).encode()
    return client.files.create(file=("calls.jsonl", content), purpose="batch").id


def submit(client: openai.OpenAI, lines, url: str = URL, **options):
    file = upload(client, lines)
    options = {"completion_window": "24h", **options}
    return client.batches.create(input_file_id=file, endpoint=url, **options)


def until(client: openai.OpenAI, batch_id: str, is_so):
    deadline = time.monotonic() + 2 * READY_SECONDS_MAX
    while time.monotonic() < deadline:
        batch = client.batches.retrieve(batch_id)
        if is_so(batch):
            return batch
        time.sleep(0.05)
    raise AssertionError(f"the batch does not get there: {batch}")


def ended(client: openai.OpenAI, batch_id: str):
    final = {"completed", "failed", "expired", "cancelled"}
    return until(client, batch_id, lambda batch: batch.status in final)


def results(client: openai.OpenAI, file_id: str | None) -> list[dict]:
    if file_id is None:
        return []
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]


def check_each_once(client: openai.OpenAI, batch, count: int) -> None:
    """Every line has one answer, in the order of the input."""
    answers = results(client, batch.output_file_id)
    assert [answer["custom_id"] for answer in answers] == [f"call-{n}" for n in range(count)]
    bodies = [answer["response"]["body"]["doubled"] for answer in answers]
    assert bodies == [2 * n for n in range(count)]
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (count, count, 0)


def notes(folder: Path) -> Counter:
    """How often each number was doubled."""
    return Counter(int(line) for line in (folder / "notes").read_text().split())
