"""What results and exceptions become."""

from __future__ import annotations

import http.client
import os

import pytest


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("files") / "some.txt"
    path.write_bytes(os.urandom(300_000))
    return path


@pytest.fixture(scope="module")
def worker(start_shared, file):
    return start_shared("answers:Answers", launch={"metadata": {"file": str(file)}})


def test_numbers_and_text_come_back_exactly(worker):
    text = (
        b'{"big":123456789012345678901234567890,"min":-9223372036854775808,"e":1e-7,'
        b'"f":0.1,"one":1.0,"s":"\\u0000\\"\\\\\xc3\xa9","deep":[[[{}]]],"a":{"z":1,"b":2}}'
    )
    assert worker.call("/predict", raw=text).body == text


def test_rich_values_have_a_json_form(worker):
    assert worker.call("/rich").json() == {
        "point": {"x": 1.0, "names": {"a": "red"}},
        "level": 3,
        "pair": [1, 2],
        "ordered": {"b": 1, "a": 2},
        "when": "2026-01-31T12:00:00+00:00",
        "id": "00000000-0000-0000-0000-000000000007",
        "data": "AAE=",
        "big": 2**70,
        "2": None,
        "true": 1.5,
        "path": "/a/b",
    }
    assert worker.call("/point").json() == {"x": 2.0, "names": {}}


def test_numpy_values_are_plain_numbers(worker):
    pytest.importorskip("numpy")
    assert worker.call("/arrays").json() == {
        "matrix": [[0.0, 1.0], [2.0, 3.0]],
        "scalar": 0.5,
        "flag": True,
        "key": 7,
    }
    assert worker.call("/array").json() == [1, 2, 3]


def test_bytes_are_sent_as_they_are(worker):
    answer = worker.call("/raw")
    assert (answer.type, answer.body) == ("application/octet-stream", b"\x89PNG")


def test_a_response_chooses_status_headers_and_type(worker):
    answer = worker.call("/response")
    assert (answer.status, answer.type, answer.text) == (201, "text/html", "<p>hi</p>")
    assert (answer.headers["x-model"], answer.headers["set-cookie"]) == ("m", "a=1")
    answer = worker.call("/response_json")
    assert (answer.status, answer.type, answer.json()) == (202, "application/json", {"a": [1]})


def test_a_response_may_come_piece_by_piece(worker):
    answer = worker.call("/response_pieces")
    assert (answer.type, answer.text) == ("text/plain", "abc")
    answer = worker.call("/response_pieces_later")
    assert (answer.status, answer.text) == (206, "ab")


def test_a_file_is_sent_whole(worker, file):
    answer = worker.call("/download")
    assert answer.body == file.read_bytes()
    assert answer.headers["content-length"] == "300000"
    assert answer.headers["content-disposition"] == 'attachment; filename="my _file_.txt"'
    assert (answer.type, answer.headers["x-a"]) == ("text/plain", "b")


def test_a_file_that_is_not_there_is_the_handlers_failure(worker):
    answer = worker.call("/missing_file")
    assert (answer.status, answer.json()["code"]) == (500, "handler_failed")
    assert "No such file" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/set_inside", "result.items[1].deep: an object of type set has no JSON form"),
        ("/object", "result: an object of type object has no JSON form"),
        ("/nan", "result.loss: NaN has no JSON form; return None instead"),
        ("/lone_surrogate", "result: the text holds half of a surrogate pair"),
        ("/bad_key", "result: a key of type tuple has no JSON form; use text"),
        ("/open_file", "result.file: an object of type StringIO has no JSON form"),
    ],
)
def test_what_cannot_be_sent_is_named_with_its_place(worker, path, detail):
    problem = worker.call(path).json()
    assert (problem["status"], problem["code"]) == (500, "result_not_serializable")
    assert problem["detail"] == detail


def test_a_list_that_holds_itself_is_not_sent(worker):
    problem = worker.call("/circle").json()
    assert problem["code"] == "result_not_serializable"
    assert problem["detail"].endswith("nested more than 200 levels deep; does it contain itself?")


@pytest.mark.parametrize(
    ("path", "detail"),
    [
        ("/raises", "cannot take 1"),
        ("/raises_later", "'missing'"),
        ("/raises_nothing_to_say", "RuntimeError"),
        ("/exits", "the handler called sys.exit(3)"),
        ("/exits_later", "the handler called sys.exit('enough')"),
        ("/bad_header", 'header a b: "c" cannot be sent'),
    ],
)
def test_an_exception_is_a_500_with_its_text(worker, path, detail):
    answer = worker.call(path, 1, headers={"x-request-id": "r-9"})
    problem = answer.json()
    assert (answer.status, answer.type) == (500, "application/problem+json")
    assert answer.headers["x-error-code"] == "handler_failed"
    assert (problem["detail"], problem["code"]) == (detail, "handler_failed")
    assert worker.call("/predict", 1).json() == 1


def test_the_traceback_is_in_the_log_with_the_request_id(worker):
    worker.call("/raises", 5, headers={"x-request-id": "r-77"})
    output = worker.wait_for_output('"request_id": "r-77"')
    line = next(line for line in output.splitlines() if '"request_id": "r-77"' in line)
    assert '"level": "ERROR"' in line
    assert "ValueError: cannot take 5" in line
    assert "in raises" in line


def test_a_refusal_has_the_status_that_the_code_chose(worker):
    answer = worker.call("/refuses", headers={"x-request-id": "r-3"})
    assert (answer.status, answer.type) == (404, "application/problem+json")
    assert answer.headers["x-hint"] == "look"
    assert answer.json()["detail"] == "there is no such voice"
    assert answer.json()["request_id"] == "r-3"
    assert worker.call("/refuses_later").status == 402


@pytest.mark.parametrize(
    ("raw", "detail"),
    [
        (b"", "the body is empty; send a JSON value"),
        (b"{x", "the body is not valid JSON: key must be a string at line 1 column 2"),
        (b"[1,]", "the body is not valid JSON: trailing comma at line 1 column 4"),
        (b"[NaN]", "the body is not valid JSON: expected value at line 1 column 2"),
        (b"1 2", "the body is not valid JSON: trailing characters at line 1 column 3"),
    ],
)
def test_a_body_that_is_not_json_says_where(worker, raw, detail):
    answer = worker.call("/predict", raw=raw)
    assert (answer.status, answer.json()["code"]) == (422, "invalid_json")
    assert answer.json()["detail"] == detail


def test_a_body_nested_without_end_is_refused(worker):
    answer = worker.call("/predict", raw=b"[" * 100_000)
    assert (answer.status, answer.json()["code"]) == (422, "invalid_json")


def test_a_handler_that_ends_the_process_ends_only_the_process(start, file):
    worker = start("answers:Answers", launch={"metadata": {"file": str(file)}})
    connection = worker.send("/dies")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
        connection.getresponse()
    assert worker.process.wait(10) == 9
