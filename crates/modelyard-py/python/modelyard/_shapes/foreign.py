"""Types of libraries that may be there: pydantic models and numpy arrays."""

from __future__ import annotations

import sys
from typing import Any, get_args

from .containers import list_of
from .shape import ANY, Invalid, Shape


def pydantic_model(hint: Any) -> Shape | None:
    """The shape of a pydantic model; `None` if the hint is none."""
    pydantic = sys.modules.get("pydantic")
    if pydantic is None or not isinstance(hint, type) or not issubclass(hint, pydantic.BaseModel):
        return None

    def check(value: Any) -> Any:
        try:
            return hint.model_validate(value)  # type: ignore[attr-defined]
        except pydantic.ValidationError as error:
            raise Invalid([_issue(each) for each in error.errors(include_url=False)]) from None

    schema = hint.model_json_schema()  # type: ignore[attr-defined]
    return Shape(f"an object ({hint.__name__})", "objects", schema, check)


def _issue(error: Any) -> tuple[list[str | int], str]:
    path = [step if isinstance(step, int) else str(step) for step in reversed(error["loc"])]
    return path, f"{error['msg'][:1].lower()}{error['msg'][1:]}"


def numpy_array(hint: Any, origin: Any) -> Shape | None:
    """The shape of an array, with its type if it names one (`NDArray[np.float32]`)."""
    numpy = sys.modules.get("numpy")
    if numpy is None or (origin or hint) is not numpy.ndarray:
        return None
    dtype = next(iter(get_args(get_args(hint)[1])), None) if origin is not None else None
    dtype = dtype if isinstance(dtype, type) else None
    values = list_of(ANY)

    def check(value: Any) -> Any:
        if type(value) is not list:
            shape.refuse(value)
        try:
            return numpy.asarray(value, dtype)
        except (ValueError, TypeError) as error:
            raise Invalid.of(f"expected {shape.one}: {error}") from None

    shape = Shape("an array (lists of equal length)", "arrays", values.schema, check)
    return shape
