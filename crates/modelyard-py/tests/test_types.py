"""Type hints: what they make of a body, and what they say when it does not fit."""

from __future__ import annotations

import pytest

EVERYTHING = {
    "mode": "exact",
    "kind": 1,
    "box": {"left": 1, "width": 2},
    "size": {"width": 3},
    "pair": [1, "x"],
    "many": [1, 2.5],
    "maybe": None,
    "either": "text",
    "table": {"a": [1]},
    "when": "2026-01-31T12:00:00Z",
    "anything": {"x": [None]},
}


@pytest.fixture(scope="module")
def worker(start_shared):
    return start_shared("typed:Typed")


def test_a_dataclass_is_made_from_an_object(worker):
    seen = worker.call("/predict", {"pixels": [1, 2.5], "tags": ["b", "a", "a"]}).json()
    assert seen == {"type": "Image", "pixels": [1.0, 2.5], "tags": ["a", "b"]}


def test_every_kind_of_hint_is_read(worker):
    seen = worker.call("/everything", EVERYTHING)
    expected = {
        **EVERYTHING,
        "size": [3, 1],
        "flag": False,
        "when": "2026-01-31T12:00:00+00:00",
    }
    assert seen.json() == expected


def test_a_type_may_contain_itself(worker):
    tree = {"value": 1, "children": [{"value": 2, "children": [{"value": 3}]}]}
    assert worker.call("/depth", tree).json() == 3
    tree["children"][0]["children"][0]["value"] = "three"
    detail = worker.call("/depth", tree).json()["detail"]
    assert detail == "children[0].children[0].value: expected an integer, got str"


IMAGE = {"pixels": []}
NO_IMAGE = {"pixels": "x"}
NUMBERS = "expected a list of numbers"


@pytest.mark.parametrize(
    ("path", "body", "detail"),
    [
        ("/predict", "x", "body: expected an object with pixels, got str"),
        ("/predict", {}, f"pixels: required, {NUMBERS}"),
        ("/predict", {"pixels": "x"}, f"pixels: {NUMBERS}, got str"),
        ("/predict", {"pixels": [1, None]}, "pixels[1]: expected a number, got null"),
        ("/predict", {"pixels": [True]}, "pixels[0]: expected a number, got bool"),
        ("/predict", {"pixels": [1] * 5}, "body: at most 4 pixels"),
        ("/predict", {"pixels": 1, "name": 2}, f"pixels: {NUMBERS}, got int (and 1 more)"),
        ("/images", [IMAGE, NO_IMAGE], f"body[1].pixels: {NUMBERS}, got str"),
        ("/both", {"images": [IMAGE, NO_IMAGE]}, f"images[1].pixels: {NUMBERS}, got str"),
        ("/both", {"images": [], "mode": 1}, 'mode: expected one of "fast", "exact", got 1'),
        ("/both", [], "body: expected an object with images, got list"),
        ("/plain", [], "body: expected an object, got list"),
    ],
)
def test_what_does_not_fit_is_named_with_its_place(worker, path, body, detail):
    answer = worker.call(path, body)
    problem = answer.json()
    assert (answer.status, problem["code"]) == (422, "invalid_input")
    assert problem["detail"] == detail


@pytest.mark.parametrize(
    ("key", "value", "detail"),
    [
        ("kind", "1", 'expected one of "a", 1, got "1"'),
        ("box", {"left": 1}, "required, expected an integer"),
        ("size", {"width": 1.5}, "expected an integer, got float"),
        ("pair", [1], "expected a list of 2: an integer, text, got 1 items"),
        ("pair", [1, 2], "expected text, got int"),
        ("maybe", "x", "expected an integer or null, got str"),
        ("either", 1.5, "expected an integer or text or null, got float"),
        ("table", {"a": 1}, "expected a list of integers, got int"),
        ("when", "soon", 'expected a date and time like 2026-01-31T12:00:00Z, got "soon"'),
        ("flag", 1, "expected true or false, got int"),
    ],
)
def test_each_kind_of_hint_says_what_it_expects(worker, key, value, detail):
    problem = worker.call("/everything", {**EVERYTHING, key: value}).json()
    assert problem["code"] == "invalid_input"
    assert problem["detail"].endswith(detail)
    assert problem["detail"].startswith(key)


def test_every_field_that_does_not_fit_is_listed(worker):
    problem = worker.call("/predict", {"pixels": [1, "x"], "name": 3}).json()
    assert problem["errors"] == [
        {"field": "pixels[1]", "message": "expected a number, got str"},
        {"field": "name", "message": "expected text, got int"},
    ]


def test_hints_become_schemas(worker):
    told = worker.call("/-/describe", method="GET").json()
    routes = {route["path"]: route for route in told["routes"]}
    image = {
        "type": "object",
        "title": "Image",
        "properties": {
            "pixels": {"type": "array", "items": {"type": "number"}},
            "name": {"type": "string", "default": "unnamed"},
            "tags": {"type": "array", "items": {"type": "string"}},
        },
        "required": ["pixels"],
    }
    assert routes["/predict"]["input_schema"] == image
    assert routes["/images"]["input_schema"] == {"type": "array", "items": image}
    assert routes["/images"]["output_schema"] == {"type": "array", "items": {"type": "integer"}}
    mode = routes["/both"]["input_schema"]["properties"]["mode"]
    assert mode == {"enum": ["fast", "exact"]}


@pytest.mark.parametrize(
    ("model", "text"),
    [
        ("Unreadable", "predict: parameter `thing`: Response cannot be made from JSON"),
        ("Unresolved", "predict: the type hints cannot be read: name 'Nowhere' is not defined"),
    ],
)
def test_a_hint_that_cannot_be_read_stops_the_start(start, model, text):
    worker = start(f"typed:{model}", ready=False)
    assert worker.process.wait(20) == 1
    assert text in worker.output().splitlines()[-1]
