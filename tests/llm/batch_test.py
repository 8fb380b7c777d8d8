"""A batch of chats, of completions and of embeddings, through the official client."""

import json
import time

import pytest
from harness import READY_SECONDS_MAX

DEMO = {"model": "modelyard-demo", "temperature": 0, "max_tokens": 8}
BODIES = {
    "/v1/chat/completions": {**DEMO, "messages": [{"role": "user", "content": "What is 17 + 25?"}]},
    "/v1/completions": {**DEMO, "prompt": "Once"},
    "/v1/embeddings": {"model": "bert", "input": "hello"},
}


@pytest.mark.parametrize("endpoint", BODIES)
def test_each_line_is_answered_as_a_call_of_its_own_would_be(client, endpoint):
    body = BODIES[endpoint]
    wrong = {**body, "max_tokens": -1, "input": []}
    line = {"method": "POST", "url": endpoint}
    bodies = [body, body, wrong]
    lines = [{**line, "custom_id": str(number), "body": one} for number, one in enumerate(bodies)]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("calls.jsonl", content), purpose="batch")
    batch = client.batches.create(input_file_id=file.id, endpoint=endpoint, completion_window="24h")
    batch = ended(client, batch)
    assert (batch.status, batch.errors) == ("completed", None)
    assert (batch.request_counts.completed, batch.request_counts.failed) == (2, 1)
    own = client.post(endpoint.removeprefix("/v1"), body=body, cast_to=object)
    for answer in results(client, batch.output_file_id):
        assert answer["response"]["status_code"] == 200
        assert told(answer["response"]["body"]) == told(own)
    (refused,) = results(client, batch.error_file_id)
    assert refused["custom_id"] == "2"
    assert 400 <= refused["response"]["status_code"] < 500
    assert refused["response"]["body"]["error"]["message"]


def told(answer) -> list:
    """What an answer says, without its name and time."""
    if "data" in answer:
        return [item["embedding"] for item in answer["data"]]
    return [choice.get("text") or choice["message"]["content"] for choice in answer["choices"]]


def ended(client, batch):
    deadline = time.monotonic() + READY_SECONDS_MAX
    while batch.status not in {"completed", "failed", "expired", "cancelled"}:
        assert time.monotonic() < deadline, batch
        time.sleep(0.1)
        batch = client.batches.retrieve(batch.id)
    return batch


def results(client, file_id: str) -> list[dict]:
    return [json.loads(line) for line in client.files.content(file_id).text.splitlines()]
