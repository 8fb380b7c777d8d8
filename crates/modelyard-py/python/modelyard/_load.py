"""Finds the class that a worker is to run."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from pathlib import Path
from types import ModuleType
from typing import Any


class LoadError(Exception):
    """What is to run cannot be loaded; the text says what failed."""


def load(implementation: str) -> Any:
    """The class (or function) behind `module:Class` or `file.py:Class`."""
    place, _, name = implementation.rpartition(":")
    if not place or not name:
        raise LoadError(f"`{implementation}` is not `module:Class` or `file.py:Class`")
    module = _from_file(Path(place)) if place.endswith(".py") else _from_path(place)
    target: Any = module
    for part in name.split("."):
        if not hasattr(target, part):
            raise LoadError(f"{place} has no `{name}`{_suggestion(module)}")
        target = getattr(target, part)
    if not callable(target):
        raise LoadError(f"{implementation} is {type(target).__name__}; name a class or a function")
    return target


def _from_path(name: str) -> ModuleType:
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    return importlib.import_module(name)


def _from_file(file: Path) -> ModuleType:
    """The module in a file, under its own name, so that its neighbours and `pickle` find it."""
    file = file.resolve()
    if not file.is_file():
        raise LoadError(f"there is no file {file}")
    sys.path.insert(0, str(file.parent))
    spec = importlib.util.spec_from_file_location(file.stem, file)
    if spec is None or spec.loader is None:
        raise LoadError(f"{file} is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[file.stem] = module
    spec.loader.exec_module(module)
    return module


def _suggestion(module: ModuleType) -> str:
    own = [
        name
        for name, value in vars(module).items()
        if isinstance(value, type) and value.__module__ == module.__name__ and name[0] != "_"
    ]
    return f"; it has {', '.join(own)}" if own else ""
