"""Shapes of types from libraries that may not be there."""

from __future__ import annotations

import pytest

from modelyard._shapes import Invalid, shape_of


def test_arrays_are_made_from_lists():
    numpy = pytest.importorskip("numpy")
    from numpy.typing import NDArray

    plain = shape_of(numpy.ndarray).check([[1, 2], [3, 4]])
    assert plain.shape == (2, 2)
    typed = shape_of(NDArray[numpy.float32]).check([1, 2])
    assert typed.dtype == numpy.float32
    with pytest.raises(Invalid) as caught:
        shape_of(NDArray[numpy.float32]).check(["x"])
    assert caught.value.sentence().startswith("body: expected an array")


def test_pydantic_models_are_used_as_they_are():
    pydantic = pytest.importorskip("pydantic")

    class Image(pydantic.BaseModel):
        pixels: list[float]
        size: int = pydantic.Field(gt=0)

    shape = shape_of(list[Image])
    assert shape.check([{"pixels": [1], "size": 2}]) == [Image(pixels=[1.0], size=2)]
    with pytest.raises(Invalid) as caught:
        shape.check([{"pixels": ["x"], "size": 0}])
    assert [place for place, _ in caught.value.fields()] == ["[0].pixels[0]", "[0].size"]
    assert shape.schema["items"]["properties"]["size"]["exclusiveMinimum"] == 0


def test_lists_of_the_right_type_are_passed_on_without_a_copy():
    numbers = [1.0, 2.0]
    assert shape_of(list[float]).check(numbers) is numbers
    assert shape_of(list[float]).check([1, 2.0]) == [1.0, 2.0]
    assert shape_of(list[dict]).check([{}]) == [{}]
