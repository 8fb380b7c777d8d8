"""Type hints as shapes: what a value must look like, in code, in words and as JSON schema."""

from .hints import shape_of
from .shape import ANY, Invalid, Shape, Unreadable

__all__ = ["ANY", "Invalid", "Shape", "Unreadable", "shape_of"]
