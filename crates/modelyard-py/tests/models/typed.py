"""Methods with type hints of every kind."""

import datetime
import enum
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Optional, TypedDict, Union

import modelyard
from modelyard import Model


class Mode(enum.Enum):
    FAST = "fast"
    EXACT = "exact"


@dataclass
class Image:
    pixels: list[float]
    name: str = "unnamed"
    tags: set[str] = field(default_factory=set)

    def __post_init__(self):
        if len(self.pixels) > 4:
            raise ValueError("at most 4 pixels")


@dataclass
class Node:
    value: int
    children: list["Node"] = field(default_factory=list)


class Box(TypedDict):
    left: int
    width: int


class Size(NamedTuple):
    width: int
    height: int = 1


@dataclass
class Everything:
    mode: Mode
    kind: Literal["a", 1]
    box: Box
    size: Size
    pair: tuple[int, str]
    many: tuple[float, ...]
    maybe: Optional[int]  # noqa: UP045
    either: Union[int, str, None]  # noqa: UP007
    table: dict[str, list[int]]
    when: datetime.datetime
    anything: Any
    flag: bool = False


class Typed(Model):
    def predict(self, image: Image) -> dict[str, Any]:
        return {"type": type(image).__name__, "pixels": image.pixels, "tags": sorted(image.tags)}

    def images(self, images: list[Image]) -> list[int]:
        return [len(image.pixels) for image in images]

    def both(self, images: list[Image], mode: Mode = Mode.FAST):
        return {"n": len(images), "mode": mode.name}

    def everything(self, value: Everything):
        assert isinstance(value.mode, Mode) and isinstance(value.size, Size)
        assert isinstance(value.when, datetime.datetime) and isinstance(value.pair, tuple)
        return value

    def depth(self, node: Node) -> int:
        return 1 + max((self.depth(child) for child in node.children), default=0)

    def plain(self, payload: dict) -> dict:
        return payload


class Unreadable(Model):
    def predict(self, thing: modelyard.Response):
        return thing


class Unresolved(Model):
    def predict(self, thing: "Nowhere"):  # noqa: F821
        return thing
