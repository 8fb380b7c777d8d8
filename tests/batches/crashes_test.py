"""Servers that are killed while a batch runs: no line is lost, and none is answered twice."""

from contextlib import ExitStack

import pytest
from batches.yard import (
    call,
    check_each_once,
    client_of,
    ended,
    notes,
    results,
    submit,
    until,
    yard,
)
from stores.conftest import Redis

LINES = 600


@pytest.fixture
def redis(tmp_path):
    """A Redis of its own."""
    folder = tmp_path / "redis"
    folder.mkdir()
    redis = Redis(folder)
    yield redis
    redis.kill()


def kill(server) -> None:
    server.process.kill()
    server.process.wait()
    # The harness wants servers to have ended in order.
    server.process.returncode = 0


def test_a_batch_survives_servers_that_are_killed_again_and_again(tmp_path):
    folder = tmp_path / "yard"
    with yard(folder) as server, client_of(server) as client:
        batch = submit(client, map(call, range(LINES)))
        kill(server)
    for done in [50, 200, 400]:
        with yard(folder) as server, client_of(server) as client:
            until(client, batch.id, lambda it, n=done: it.request_counts.completed >= n)
            kill(server)
    with yard(folder) as server, client_of(server) as client:
        batch = ended(client, batch.id)
        assert batch.status == "completed"
        check_each_once(client, batch, LINES)
        outputs = client.files.list(purpose="batch_output")
        assert [file.id for file in outputs] == [batch.output_file_id]
    # Only what ran at the moment of a kill may have run again.
    assert set(notes(folder)) == set(range(LINES))


def test_another_server_takes_a_batch_over_from_one_that_is_killed(tmp_path, redis):
    store = f'[store]\nurl = "redis://127.0.0.1:{redis.port}/0"\n'
    shared = tmp_path / "shared"
    shared.mkdir()
    with ExitStack() as stack:
        first = stack.enter_context(yard(tmp_path / "first", shared=shared, store=store))
        client = stack.enter_context(client_of(first))
        batch = submit(client, map(call, range(LINES)))
        until(client, batch.id, lambda it: it.request_counts.completed >= 50)
        second = stack.enter_context(yard(tmp_path / "second", shared=shared, store=store))
        other = stack.enter_context(client_of(second))
        kill(first)
        batch = ended(other, batch.id)
        assert batch.status == "completed"
        check_each_once(other, batch, LINES)


def test_a_cancelled_batch_keeps_what_was_answered_and_calls_no_more(tmp_path):
    folder = tmp_path / "yard"
    with yard(folder) as server, client_of(server) as client:
        batch = submit(client, map(call, range(5000)))
        until(client, batch.id, lambda it: it.request_counts.completed >= 20)
        assert client.batches.cancel(batch.id).status == "cancelling"
        batch = ended(client, batch.id)
        assert batch.status == "cancelled"
        answered = results(client, batch.output_file_id)
        rest = results(client, batch.error_file_id)
        names = {line["custom_id"] for line in [*answered, *rest]}
        assert names == {f"call-{n}" for n in range(5000)}
        assert len(answered) + len(rest) == 5000
        assert {line["error"]["code"] for line in rest if line["error"]} == {"batch_cancelled"}
        running = server.get("/tasks?model=double&state=queued").json()["tasks"]
        assert running == []
