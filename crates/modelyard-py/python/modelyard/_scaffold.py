"""`modelyard-py new NAME`: a folder with a worker that runs at once."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

_FILES = ("handler.py", "test_handler.py", "requirements.txt", "README.md")
# Stands for the name in the template; `APP_NAME` is another word.
_PLACE = re.compile(r"\bNAME\b")
# The name becomes a folder, part of a socket's name, and a part of URLs.
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,62}")


class Refused(Exception):
    """Why no folder was made."""


def new(name: str, parent: Path) -> Path:
    """Makes the folder `name` in `parent`; returns it.

    Raises `Refused` for a name that cannot be one, and for a folder that has something in it.
    """
    if not _NAME.fullmatch(name):
        raise Refused(
            f"{name!r} cannot be the name of a worker: it has small letters, digits and hyphens,"
            " at most 63, and begins with no hyphen"
        )
    folder = parent / name
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise Refused(f"{folder} is there already, and not an empty folder")
    folder.mkdir(parents=True, exist_ok=True)
    template = files("modelyard").joinpath("_template")
    for file in _FILES:
        text = template.joinpath(file).read_text("utf-8")
        (folder / file).write_text(_PLACE.sub(name, text), "utf-8")
    return folder


def main(arguments: Sequence[str] | None = None) -> int:
    """The command `modelyard-py`; returns its exit status."""
    parser = argparse.ArgumentParser(
        prog="modelyard-py", description="Helps with model workers in Python."
    )
    commands = parser.add_subparsers(dest="command", required=True)
    making = commands.add_parser("new", help="make a folder with a worker that runs at once")
    making.add_argument("name", metavar="NAME", help="of the worker and of the folder")
    chosen = parser.parse_args(arguments)
    try:
        folder = new(chosen.name, Path())
    except (Refused, OSError) as error:
        print(f"modelyard-py: {error}", file=sys.stderr)
        return 1
    print(f"Made {folder}. Next:\n\n  cd {folder}\n  MODEL_SERVER_PORT=8001 python handler.py")
    return 0


if __name__ == "__main__":
    sys.exit(main())
