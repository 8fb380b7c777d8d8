"""Answers that must have a shape: calls of tools, JSON, schemas, expressions.

A grammar leads the model, so that these hold for a small one as well.
"""

import json
from typing import Annotated, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

WEATHER = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "maxLength": 12},
        "unit": {"enum": ["celsius", "fahrenheit"]},
    },
    "required": ["city", "unit"],
    "additionalProperties": False,
}
DIGIT = {"type": "integer", "minimum": 0, "maximum": 9}
SUM = {
    "type": "object",
    "properties": {"a": DIGIT, "b": DIGIT},
    "required": ["a", "b"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "add_digits", "parameters": SUM}},
]
NAMED = {"type": "function", "function": {"name": "add_digits"}}


class Person(BaseModel):
    """What an answer must fit."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(max_length=10)]
    age: Annotated[int, Field(ge=1, le=99)]
    tags: Annotated[list[Literal["tall", "old"]], Field(max_length=3)]


def check_arguments(function) -> dict:
    """The arguments, which fit the parameters of the tool."""
    arguments = json.loads(function.arguments)
    if function.name == "add_digits":
        assert set(arguments) == {"a", "b"}
        assert all(number in range(10) for number in arguments.values())
    else:
        assert function.name == "weather"
        assert set(arguments) == {"city", "unit"}
        assert len(arguments["city"]) <= 12
        assert arguments["unit"] in ("celsius", "fahrenheit")
    return arguments


@pytest.mark.parametrize("think", [{}, {"enable_thinking": False}], ids=["may-think", "no-think"])
@pytest.mark.parametrize("choice", ["required", NAMED], ids=["required", "named"])
def test_a_tool_that_must_be_called_is_called(chat, choice, think):
    answer = chat(
        "How warm is it in Paris?",
        tools=TOOLS,
        tool_choice=choice,
        parallel_tool_calls=False,
        max_completion_tokens=300,
        extra_body=think,
    ).choices[0]
    assert answer.finish_reason == "tool_calls"
    (call,) = answer.message.tool_calls
    assert call.type == "function" and call.id
    check_arguments(call.function)
    assert choice == "required" or call.function.name == "add_digits"


def test_the_arguments_of_a_call_stream(chat):
    options = {"tools": TOOLS, "tool_choice": NAMED, "max_completion_tokens": 300}
    whole = chat("2 and 3", **options).choices[0].message.tool_calls[0].function
    heads, pieces = [], []
    for chunk in chat("2 and 3", stream=True, **options):
        for call in chunk.choices[0].delta.tool_calls or []:
            assert call.index == 0
            heads += [call.function.name] if call.function.name else []
            pieces += [call.function.arguments] if call.function.arguments else []
    assert heads == ["add_digits"]
    assert len(pieces) > 1
    assert json.loads("".join(pieces)) == json.loads(whole.arguments)


def test_tools_are_shown_to_the_model_unless_it_may_call_none(chat):
    plain, none, auto = (
        chat("Hello!", max_completion_tokens=40, **tools)
        for tools in ({}, {"tools": TOOLS, "tool_choice": "none"}, {"tools": TOOLS})
    )
    assert plain.usage.prompt_tokens == none.usage.prompt_tokens < auto.usage.prompt_tokens
    assert plain.choices[0].message == none.choices[0].message
    assert none.choices[0].message.tool_calls is None


def test_the_result_of_a_tool_is_read(client):
    call = {"id": "call_1", "type": "function"}
    call["function"] = {"name": "add_digits", "arguments": '{"a": 2, "b": 3}'}
    messages = [
        {"role": "user", "content": "2 and 3"},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": "5"},
    ]
    options = {"model": "modelyard-demo", "messages": messages, "tools": TOOLS}
    answer = client.chat.completions.create(**options, max_completion_tokens=20)
    assert answer.usage.completion_tokens > 0


def test_a_json_object_is_complete(chat, tokenize):
    # A model that wants nothing but braces still has to open one before it closes it.
    (opening,), (closing,) = tokenize(prompt="{"), tokenize(prompt="}")
    answer = chat(
        "Write JSON.",
        response_format={"type": "json_object"},
        logit_bias={str(opening): 100, str(closing): 100},
        max_completion_tokens=20,
    ).choices[0]
    assert answer.finish_reason == "stop"
    assert json.loads(answer.message.content) == {}


@pytest.mark.parametrize("sampling", [{"temperature": 0}, {"temperature": 1.5, "seed": 11}])
def test_an_answer_fits_its_schema(client, sampling):
    answer = client.chat.completions.parse(
        model="modelyard-demo",
        messages=[{"role": "user", "content": "Describe somebody."}],
        response_format=Person,
        max_completion_tokens=300,
        **sampling,
    ).choices[0]
    assert answer.finish_reason == "stop"
    assert isinstance(answer.message.parsed, Person)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [
        ({"guided_choice": ["left", "right"]}, {"left", "right"}),
        ({"guided_regex": "[ab]c"}, {"ac", "bc"}),
        ({"structured_outputs": {"regex": "[ab]c"}}, {"ac", "bc"}),
    ],
)
def test_an_answer_is_one_of_those_that_are_allowed(chat, shape, expected):
    answer = chat("Which?", extra_body=shape, max_completion_tokens=100).choices[0]
    assert answer.message.content in expected
    assert answer.finish_reason == "stop"
