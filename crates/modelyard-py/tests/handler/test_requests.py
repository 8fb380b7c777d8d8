"""What reaches a handler, and what of its results reaches the caller."""

from collections.abc import Iterator

import pytest
from served import Worker, served


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with served("kinds") as worker:
        yield worker


def test_the_members_of_a_body_are_the_query(worker: Worker) -> None:
    told = worker.call("/api/echo", {"a": [1, {"b": None}], "zh": "你好"}).json()
    assert told.pop("trace_id").startswith("traceid-")
    raw = '{"a": [1, {"b": null}], "zh": "\\u4f60\\u597d"}'
    assert told == {"a": [1, {"b": None}], "zh": "你好", "_request_body": raw}


def test_a_body_that_is_no_object_is_the_payload(worker: Worker) -> None:
    for raw, value in ((b"[1]", [1]), (b'"text"', "text"), (b"null", None), (b"1e3", 1000.0)):
        assert worker.call("/api/echo", raw=raw).json()["payload"] == value


def test_a_body_that_is_no_json_is_there_as_it_came(worker: Worker) -> None:
    for raw in (b"a=b", b'{"a": 1', b'{"a": 1} x', b"{'a': 1}"):
        told = worker.call("/api/echo", raw=raw).json()
        assert set(told) == {"_request_body", "trace_id"}
        assert told["_request_body"] == raw.decode()


def test_path_url_and_body_make_one_query_and_the_later_one_wins(worker: Worker) -> None:
    told = worker.get("/api/files/a%20b/7?x=1&x=2&empty=&name=url").json()
    del told["trace_id"]
    assert told == {"name": "url", "n": 7, "x": "2", "empty": ""}
    told = worker.call("/api/echo?a=url&b=url", {"a": "body"}).json()
    assert (told["a"], told["b"]) == ("body", "url")


def test_the_trace_id_of_a_caller_is_kept_and_told_back(worker: Worker) -> None:
    for headers, body, expected in (
        ({"x-trace-id": "mine"}, {}, "mine"),
        ({}, {"trace_id": "in-body"}, "in-body"),
        ({"x-trace-id": "mine"}, {"trace_id": "in-body"}, "mine"),
    ):
        answer = worker.call("/api/echo", body, headers=headers)
        assert answer.json()["trace_id"] == answer.headers["x-trace-id"] == expected
    # What cannot stand in a header, or is no text, is no trace id.
    for body in ({"trace_id": 7}, {"trace_id": "你"}, {"trace_id": "a b"}, {"trace_id": "x" * 129}):
        answer = worker.call("/api/echo", body)
        assert answer.json()["trace_id"] == answer.headers["x-trace-id"]
        assert answer.headers["x-trace-id"].startswith("traceid-")


def test_new_trace_ids_differ(worker: Worker) -> None:
    told = {worker.call("/api/echo").headers["x-trace-id"] for _ in range(50)}
    assert len(told) == 50
    assert all(len(trace_id) == len("traceid-") + 8 for trace_id in told)


@pytest.mark.parametrize(
    ("route", "body", "expected"),
    [
        ("add", {"a": 1, "b": 2}, 3),
        ("acount", {"n": 2}, {"results": [{"i": 0, "zh": "你好"}, {"i": 1, "zh": "你好"}]}),
        ("acount", {"n": 1}, {"i": 0, "zh": "你好"}),
        ("acount", {"n": 0}, {"results": []}),
        ("count", {"n": 2}, {"results": [0, 1]}),
        ("count", {"n": 1}, 0),
        ("object", {}, True),
        ("generating", {}, {"results": ["a", "b"]}),
        ("returns_generator", {"n": 2}, {"results": [0, 1]}),
        ("returns_async_generator", {"n": 1}, {"i": 0, "zh": "你好"}),
        ("odd", {}, {"point": {"x": 1, "when": "2026-01-02"}, "set": [7], "bytes": "é",
                     "path": "sse"}),
    ],
)  # fmt: skip
def test_every_kind_of_handler_answers_with_one_value(
    worker: Worker, route: str, body: object, expected: object
) -> None:
    answer = worker.call(f"/api/{route}", body)
    assert (answer.status, answer.json()) == (200, expected)
    assert answer.headers["content-type"] == "application/json"


def test_a_partial_and_a_function_that_returns_a_coroutine_are_awaited(worker: Worker) -> None:
    for route in ("partial", "returns_coroutine"):
        assert worker.call(f"/api/{route}", {"a": 1}).json()["a"] == 1


def test_an_answer_is_compact_and_keeps_its_letters(worker: Worker) -> None:
    assert worker.call("/api/acount", {"n": 1}).text == '{"i":0,"zh":"你好"}'


def test_a_path_is_found_with_and_without_a_slash_at_its_end(worker: Worker) -> None:
    for path in ("/models", "/models/", "/bare", "/bare/"):
        method = "GET" if path.startswith("/models") else "POST"
        assert worker.call(path, method=method).status == 200, path


def test_order_goes_before_the_place_in_the_list(worker: Worker) -> None:
    assert worker.get("/order/first?n=1").json() == 0
    assert worker.get("/order/a/b").json()["rest"] == "a/b"


def test_methods_are_kept_apart(worker: Worker) -> None:
    assert worker.get("/api/by_get").status == 200
    assert worker.call("/api/by_put", {}, method="PUT").status == 200
    for path, method in (
        ("/api/by_get", "POST"),
        ("/api/by_get", "HEAD"),
        ("/api/echo", "OPTIONS"),
        ("/health", "HEAD"),
        ("/health", "POST"),
    ):
        answer = worker.call(path, method=method)
        assert answer.status == 405
        if method != "HEAD":
            assert answer.error() == (405, "http_error", "Method Not Allowed")


def test_a_path_that_is_none_is_not_found(worker: Worker) -> None:
    for path in ("/nowhere", "/api", "/-/describe", "/api/echo/more"):
        assert worker.call(path, {}).error() == (404, "http_error", "Not Found")


def test_the_server_tells_what_it_is(worker: Worker) -> None:
    root = worker.get("/").json()
    listed = worker.get("/routes").json()["routes"]
    assert root == {
        "service": "kinds of handlers",
        "status": "running",
        "routes_count": len(listed),
    }
    assert worker.get("/health").json() == {"status": "ok"}
    entry = next(route for route in listed if route["path"] == "/sse/items")
    assert entry == {"path": "/sse/items", "methods": ["POST"], "name": "sse_endpoint"}
    document = worker.get("/openapi.json").json()
    assert document["info"]["title"] == "kinds of handlers"
    operation = document["paths"]["/api/files/{name}/{n}"]["get"]
    assert [parameter["name"] for parameter in operation["parameters"]] == ["name", "n"]
    for path in ("/docs", "/redoc"):
        page = worker.get(path)
        assert page.headers["content-type"].startswith("text/html")
        assert "/api/echo" in page.text


def test_a_site_that_was_named_may_call(worker: Worker) -> None:
    named = {"origin": "https://shop.example"}
    answer = worker.call("/api/echo", {}, headers=named)
    assert answer.headers["access-control-allow-origin"] == "https://shop.example"
    asks = {**named, "access-control-request-method": "POST"}
    preflight = worker.call("/api/echo", method="OPTIONS", headers=asks)
    assert (preflight.status, preflight.text) == (200, "OK")
    other = {"origin": "https://evil.example"}
    assert "access-control-allow-origin" not in worker.call("/api/echo", headers=other).headers


def test_a_body_beyond_the_limit_is_refused(worker: Worker) -> None:
    answer = worker.call("/api/echo", raw=b"x" * 20_001)
    status, kind, message = answer.error()
    assert (status, kind) == (413, "http_error")
    assert "longer than this worker takes" in message


def test_what_is_no_request_does_not_trouble_the_server(worker: Worker) -> None:
    head = b"POST /api/echo HTTP/1.1\r\nhost: x\r\n"
    for raw in (
        b"nonsense\r\n\r\n",
        head + b"content-length: -1\r\n\r\n",
        head + b"transfer-encoding: chunked\r\n\r\nZZ\r\nabc\r\n",
        head + b"content-length: 10\r\n\r\nabc",
        b"POST " + b"/" * 100_000 + b" HTTP/1.1\r\n\r\n",
    ):
        connection = worker.raw()
        connection.sendall(raw)
        connection.shutdown(1)
        while connection.recv(65_536):
            pass
        connection.close()
    assert worker.get("/health").status == 200
