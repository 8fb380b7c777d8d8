"""How methods are found and called."""

from __future__ import annotations

import json
import select
from concurrent.futures import ThreadPoolExecutor

import pytest


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("calls:Calls", "--metadata", '{"layers": 3}')


@pytest.mark.parametrize("path", ["/predict", "/echo_later", "/echo_at_once"])
def test_a_method_gets_the_whole_body_and_its_result_is_sent_as_json(worker, path):
    payload = {"payload": {"text": "hello"}, "é": [1, 2.5, None, True, "😀"]}
    answer = worker.call(path, payload)
    assert (answer.status, answer.type) == (200, "application/json")
    assert answer.json() == {"echo": payload}


@pytest.mark.parametrize("path", ["/numbers", "/numbers_later"])
def test_a_generator_answers_with_lines_unless_events_are_asked_for(worker, path):
    lines = worker.call(path, 3)
    assert lines.type == "application/x-ndjson"
    assert lines.text == '{"n":0}\n{"n":1}\n{"n":2}\n'
    events = worker.call(path, 2, headers={"accept": "text/event-stream"})
    assert events.type == "text/event-stream"
    assert events.text == 'data: {"n":0}\n\ndata: {"n":1}\n\n'
    empty = worker.call(path, 0)
    assert (empty.status, empty.text) == (200, "")


def test_a_method_without_parameters_ignores_the_body(worker):
    assert worker.call("/nothing", raw=b"not json").text == "null"


def test_several_parameters_are_keys_of_the_body(worker):
    assert worker.call("/add", {"left": 2, "right": 3}).json() == 5.0
    assert worker.call("/add", {"left": 2, "scale": 10}).json() == 30.0


def test_a_parameter_with_a_default_may_have_no_body(worker):
    assert worker.call("/maybe", raw=b"").text == "null"
    assert worker.call("/maybe", 7).json() == 7
    assert worker.call("/predict", raw=b"").status == 422


def test_bytes_are_the_body_as_it_came(worker):
    answer = worker.call("/raw", raw=b"\x00\xff", headers={"content-type": "image/png"})
    assert answer.json() == {"length": 2, "type": "image/png"}


def test_text_may_come_plain_or_as_json(worker):
    assert worker.call("/text", "hé").json() == "HÉ"
    plain = worker.call("/text", raw="hé".encode(), headers={"content-type": "text/plain"})
    assert plain.json() == "HÉ"
    broken = worker.call("/text", raw=b"\xff", headers={"content-type": "text/plain"})
    assert broken.json()["detail"] == "body: expected text in UTF-8"


def test_a_method_can_look_at_its_call(worker):
    headers = {"x-request-id": "r-1", "x-tenant": "acme", "x-deadline-ms": "5000"}
    seen = worker.call("/about?a=1&b=", {"x": 1}, headers=headers).json()
    assert 0 < seen.pop("left") <= 5
    assert 0 < seen.pop("deadline") <= 5
    assert seen == {
        "id": "r-1",
        "tenant": "acme",
        "method": "POST",
        "path": "/about",
        "query": {"a": "1", "b": ""},
        "cancelled": False,
        "body": '{"x": 1}',
    }


def test_a_route_with_another_method_takes_query_parameters(worker):
    answer = worker.call("/search?q=12&limit=3&tags=a&tags=b", method="GET")
    assert answer.json() == {"q": "12", "limit": 3, "tags": ["a", "b"]}
    wrong = worker.call("/search?limit=x", method="GET")
    assert wrong.status == 422
    assert wrong.json()["detail"] == "q: required, expected text (and 1 more)"
    assert worker.call("/search", raw=b"").status == 405


def test_setup_sees_the_free_fields_of_the_model(worker):
    assert worker.call("/config_of").json() == {"config": {"layers": 3}, "device": "cpu"}


def test_private_names_are_no_routes(worker):
    assert worker.call("/_private", raw=b"").status == 404
    assert worker.call("/setup", raw=b"").status == 404


def test_a_method_that_waits_or_blocks_does_not_hold_up_the_others(worker):
    waiting = [worker.send("/sleep", 1), worker.send("/block", 1)]
    assert worker.call("/predict", 1).status == 200
    assert worker.call("/echo_later", 1).status == 200
    answered, _, _ = select.select([call.sock for call in waiting], [], [], 0)
    assert answered == []
    assert [json.loads(call.getresponse().read()) for call in waiting] == ["slept", "blocked"]


def test_the_first_step_of_an_async_method_is_inside_a_task(worker):
    assert worker.call("/with_timeout", 5).json() == [0, 1, 2]


def test_context_variables_do_not_leak_between_calls(worker):
    with ThreadPoolExecutor(8) as pool:
        seen = pool.map(lambda n: worker.call("/context_stays", f"w{n}").json(), range(16))
        assert list(seen) == [["", f"w{n}"] for n in range(16)]


def test_a_method_that_forgot_its_async_is_told(worker):
    detail = worker.call("/forgets_async").json()["detail"]
    assert detail == "the method returned something to await; declare it with `async def`"


def test_many_calls_at_once_are_all_answered(worker):
    def talk(n):
        connection = worker.connection()
        for i in range(50):
            path = "/predict" if (n + i) % 2 else "/echo_later"
            connection.request("POST", path, json.dumps([n, i]))
            assert json.load(connection.getresponse()) == {"echo": [n, i]}
        connection.close()

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(talk, range(16)))


def test_a_log_line_carries_the_request_id(worker):
    worker.call("/log_line", 1, headers={"x-request-id": "r-42"})
    assert "seen [r-42]" in worker.wait_for_output("seen [r-42]")


def test_the_description_tells_routes_kinds_and_schemas(worker):
    told = worker.call("/-/describe", method="GET").json()
    routes = {route["path"]: route for route in told["routes"]}
    assert (told["default_route"], told["name"]) == ("/predict", "Calls")
    assert routes["/predict"] == {
        "path": "/predict",
        "method": "POST",
        "kind": "api",
        "summary": "Answer with the payload.",
    }
    assert routes["/search"]["summary"] == "Finds things"
    assert routes["/add"]["input_schema"] == {
        "type": "object",
        "properties": {
            "left": {"type": "number"},
            "right": {"type": "number", "default": 1.0},
            "scale": {"type": "integer", "default": 1},
        },
        "required": ["left"],
    }
    assert routes["/numbers"]["output_schema"] == {"type": "object"}


def test_a_function_can_be_a_model(start):
    worker = start("calls:double")
    assert worker.call("/double", 21).json() == 42


@pytest.mark.parametrize(
    ("model", "default"),
    [("ByCall", "/call"), ("Marked", "/second"), ("Plain", "/only")],
)
def test_the_default_route_is_found_by_mark_or_name(start, model, default):
    worker = start(f"calls:{model}")
    told = worker.call("/-/describe", method="GET").json()
    assert told["default_route"] == default
    assert worker.call(default, 0).status == 200


def test_a_timeout_of_a_route_ends_the_call(start):
    worker = start("calls:Marked")
    answer = worker.call("/second", 5)
    assert (answer.status, answer.json()["code"]) == (504, "deadline_exceeded")
