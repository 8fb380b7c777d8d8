"""Streams: how they are told apart, how they end, and who waits for whom."""

from __future__ import annotations

import http.client
import json
from concurrent.futures import ThreadPoolExecutor

import pytest

from conftest import until


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("streams:Streams")


def state(worker):
    return worker.call("/predict").json()


def test_a_stream_is_sent_as_events_whatever_is_asked_for(worker):
    answer = worker.call("/words", "one two")
    assert answer.type == "text/event-stream"
    assert answer.headers["cache-control"] == "no-cache"
    assert answer.text == "data: one\n\ndata: two\n\n"


def test_events_carry_text_json_and_names(worker):
    assert worker.call("/events").text == (
        "data: two\ndata: lines\n\n"
        'data: {"n":1}\n\n'
        "event: greeting\nid: 7\nretry: 100\ndata: named\n\n"
        'data: {"a":1}\n\n'
    )


def test_bytes_are_streamed_as_they_are(worker):
    answer = worker.call("/pieces", 3)
    assert (answer.type, answer.body) == ("application/octet-stream", b"\x00\x01\x02")


@pytest.mark.parametrize("path", ["/returns_a_generator", "/returns_a_generator_later"])
def test_a_returned_generator_is_a_stream_too(worker, path):
    assert worker.call(path, 2).text == "0\n1\n"


@pytest.mark.parametrize("path", ["/fails_at_once", "/fails_at_once_later"])
def test_a_stream_that_fails_before_its_first_item_is_a_plain_500(worker, path):
    answer = worker.call(path)
    assert (answer.status, answer.json()["detail"]) == (500, "no first item")


@pytest.mark.parametrize("path", ["/fails_midway", "/fails_midway_later"])
def test_a_stream_that_fails_midway_says_so_as_its_last_item(worker, path):
    error = {"code": "handler_failed", "detail": "no second item"}
    lines = worker.call(path).text.splitlines()
    assert [json.loads(line) for line in lines] == [1, {"error": error}]
    events = worker.call(path, headers={"accept": "text/event-stream"}).text
    assert (
        events == f"data: 1\n\nevent: error\ndata: {json.dumps(error, separators=(',', ':'))}\n\n"
    )


def test_a_raw_stream_that_fails_midway_breaks_off(worker):
    # How much of it comes before the end is a matter of time.
    with pytest.raises((http.client.IncompleteRead, http.client.RemoteDisconnected)):
        worker.call("/fails_midway_raw")


def test_an_item_that_cannot_be_sent_ends_the_stream(worker):
    last = json.loads(worker.call("/not_serializable").text.splitlines()[-1])
    assert last["error"]["code"] == "result_not_serializable"


@pytest.mark.parametrize("path", ["/endless", "/endless_later"])
def test_a_slow_reader_stops_its_own_stream_only(worker, path):
    name = f"slow{path}"
    connection = worker.send(path, name)
    response = connection.getresponse()
    response.read(10)
    made = -1
    while made != (now := state(worker)["made"][name]):
        made = now
        # Others are served meanwhile, on the same thread and on the same loop.
        assert worker.call("/words", "a").status == 200
        assert worker.call("/events").status == 200
    assert name not in state(worker)["closed"]
    response.read(1_500_000)
    until(lambda: state(worker)["made"][name] > made)
    connection.close()
    response.close()
    until(lambda: name in state(worker)["closed"])


@pytest.mark.parametrize("path", ["/endless", "/endless_later", "/waits_after_one"])
def test_a_generator_is_closed_when_its_reader_leaves(worker, path):
    name = f"left{path}"
    connection = worker.send(path, name)
    response = connection.getresponse()
    response.read(1)
    response.close()
    connection.close()
    until(lambda: name in state(worker)["closed"])


def test_a_stream_stays_in_its_thread(start):
    worker = start("streams:Streams", "--threads", "3")
    with ThreadPoolExecutor(8) as pool:
        answers = pool.map(lambda _: worker.call("/threads_seen", 200).text, range(8))
        for answer in answers:
            assert len(set(answer.splitlines())) == 1


def test_streams_and_calls_share_a_thread_in_turns(worker):
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda _: worker.call("/words", "a " * 500).text, range(8)))
    assert answers == ["data: a\n\n" * 500] * 8
