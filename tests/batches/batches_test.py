"""Files and batches as the official client uses them."""

import json

import openai
import pytest
from batches.yard import URL, call, check_each_once, client_of, ended, results, submit, upload, yard


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    with yard(tmp_path_factory.mktemp("batches")) as server:
        yield server


@pytest.fixture(scope="module")
def client(server):
    with client_of(server) as client:
        yield client


def test_a_file_is_kept_listed_read_and_deleted(client):
    content = (call(1) + "\n").encode() * 3
    file = client.files.create(file=("calls.jsonl", content), purpose="batch")
    assert (file.object, file.filename, file.purpose) == ("file", "calls.jsonl", "batch")
    assert (file.bytes, file.status, file.expires_at) == (len(content), "processed", None)
    assert client.files.retrieve(file.id) == file
    assert client.files.content(file.id).content == content
    assert file.id in [listed.id for listed in client.files.list(purpose="batch", limit=1)]
    deleted = client.files.delete(file.id)
    assert (deleted.id, deleted.deleted) == (file.id, True)
    with pytest.raises(openai.NotFoundError) as missing:
        client.files.content(file.id)
    assert missing.value.code == "file_not_found"


def test_a_file_with_a_time_says_when_it_goes(client):
    after = {"anchor": "created_at", "seconds": 3600}
    file = client.files.create(file=b"{}", purpose="batch", expires_after=after)
    assert file.expires_at == file.created_at + 3600
    client.files.delete(file.id)


def test_two_thousand_lines_are_answered_in_their_order(client):
    batch = submit(client, map(call, range(2000)), metadata={"night": "17"})
    assert (batch.object, batch.status, batch.endpoint) == ("batch", "validating", URL)
    assert batch.expires_at == batch.created_at + 24 * 3600
    batch = ended(client, batch.id)
    assert (batch.status, batch.metadata, batch.errors) == ("completed", {"night": "17"}, None)
    check_each_once(client, batch, 2000)
    output = client.files.retrieve(batch.output_file_id)
    assert (output.purpose, output.filename) == ("batch_output", f"{batch.id}_output.jsonl")
    assert batch.id in [listed.id for listed in client.batches.list(limit=5)]


def test_lines_that_fail_have_a_file_of_their_own(client):
    lines = [call(n, refuse=n % 2 == 1) for n in range(6)]
    batch = ended(client, submit(client, lines).id)
    assert batch.status == "completed"
    assert (batch.request_counts.completed, batch.request_counts.failed) == (3, 3)
    first, *_ = results(client, batch.error_file_id)
    assert (first["custom_id"], first["response"]["status_code"]) == ("call-1", 500)
    error = first["response"]["body"]["error"]
    assert error["code"] == "handler_failed"
    assert "number 1 is refused" in error["message"]


def test_every_bad_line_is_named(client):
    lines = [call(0), "{nonsense", call(0), call(3, url="/v1/embeddings"), '{"custom_id": "x"}']
    batch = ended(client, submit(client, lines).id)
    assert (batch.status, batch.output_file_id, batch.error_file_id) == ("failed", None, None)
    named = [(error.line, error.code, error.param) for error in batch.errors.data]
    assert named == [
        (2, "invalid_json_line", None),
        (3, "duplicate_custom_id", "custom_id"),
        (4, "invalid_url", "url"),
        (5, "missing_required_parameter", "method"),
    ]


def test_a_batch_of_chat_calls_names_its_models(client):
    body = {"model": "nobody", "messages": [{"role": "user", "content": "hi"}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    batch = submit(client, [json.dumps(line)], url="/v1/chat/completions")
    (error,) = ended(client, batch.id).errors.data
    assert (error.code, error.param) == ("model_not_found", "body.model")
    assert "nobody" in error.message


def test_what_has_ended_is_not_cancelled(client):
    batch = ended(client, submit(client, [call(0)]).id)
    with pytest.raises(openai.ConflictError) as refused:
        client.batches.cancel(batch.id)
    assert refused.value.code == "batch_finished"


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"input_file_id": "file-0"}, "input_file_id"),
        ({"endpoint": "/v1/images"}, "endpoint"),
        ({"completion_window": "soon"}, "completion_window"),
    ],
)
def test_a_request_that_cannot_be_is_refused_by_its_field(client, change, param):
    request = {"input_file_id": upload(client, [call(0)]), "endpoint": URL}
    with pytest.raises(openai.APIStatusError) as refused:
        client.batches.create(**{**request, "completion_window": "24h", **change})
    assert refused.value.param == param


def test_only_files_for_batches_are_taken(client):
    with pytest.raises(openai.BadRequestError) as refused:
        client.files.create(file=b"x", purpose="assistants")
    assert refused.value.param == "purpose"


def test_a_form_may_come_in_any_order_and_is_checked(server):
    def form(*fields: str):
        parts = "".join(f"--b\r\ncontent-disposition: form-data; {field}\r\n" for field in fields)
        headers = {"content-type": "multipart/form-data; boundary=b"}
        return server.post("/v1/files", f"{parts}--b--\r\n".encode(), headers=headers)

    file, purpose = 'name="file"; filename="a"\r\n\r\n{}', 'name="purpose"\r\n\r\nbatch'
    assert form(file, purpose).status == 200
    assert form(purpose, file).status == 200
    for fields, param in [((file,), "purpose"), ((purpose,), "file"), ((file, file), "file")]:
        refused = form(*fields)
        assert (refused.status, refused.json()["error"]["param"]) == (400, param)
    assert server.post("/v1/files", {"purpose": "batch"}).status == 415
