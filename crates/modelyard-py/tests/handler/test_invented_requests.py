"""Requests that nobody thought of: what is sent comes back, and nothing breaks the server."""

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import parse_qsl, quote, urlencode

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from served import Worker, served

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXT, inner, max_size=4),
    max_leaves=12,
)
OURS = {"trace_id", "_request_body"}


def few(function: Any) -> Any:
    return settings(
        max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
    )(function)


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    with served("kinds") as worker:
        yield worker


@few
@given(value=VALUES)
def test_a_body_comes_back_as_it_was_meant(worker: Worker, value: Any) -> None:
    raw = json.dumps(value).encode()
    told = worker.call("/api/echo", raw=raw).json()
    if isinstance(value, dict):
        expected = {"_request_body": raw.decode(), **value}
        expected["trace_id"] = told["trace_id"]
    else:
        expected = {
            "payload": value,
            "_request_body": raw.decode(),
            "trace_id": told["trace_id"],
        }
    assert told == expected


@few
@given(value=VALUES)
def test_an_event_is_what_pythons_json_writes(worker: Worker, value: Any) -> None:
    event = worker.call("/sse/payload", raw=json.dumps({"payload": value}).encode()).text
    assert event == f"data: {json.dumps(value, ensure_ascii=False)}\n\ndata: [DONE]\n\n"


@few
@given(raw=st.binary(min_size=1, max_size=200))
def test_a_body_of_any_bytes_reaches_the_handler(worker: Worker, raw: bytes) -> None:
    answer = worker.call("/api/length", raw=raw)
    assert (answer.status, answer.json()) == (200, len(raw))


@few
@given(pairs=st.lists(st.tuples(TEXT, TEXT), max_size=4), name=TEXT.filter(lambda t: "/" not in t))
def test_names_in_the_url_come_back_decoded(
    worker: Worker, pairs: list[tuple[str, str]], name: str
) -> None:
    url = urlencode(pairs)
    answer = worker.get(f"/api/files/{quote(name, safe='')}/7?{url}")
    if name in ("", ".", ".."):
        return  # No part of a path.
    told = answer.json()
    expected = {"name": name, "n": 7, **dict(parse_qsl(url, keep_blank_values=True))}
    assert told == {**expected, "trace_id": told["trace_id"]}
