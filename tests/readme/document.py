"""Reads a document as a person would: writes its files, types its commands, compares the answers.

A fenced block whose first line is a comment with a file name (`# hello.py`) is written there. A
`console` block holds commands after `$ ` and what they print. In what they print, `…` stands for
anything, and ids and times may differ; an id that a document shows is remembered, so that a later
command of the document means the same task.
"""

import re
from dataclasses import dataclass
from pathlib import Path

FENCE = re.compile(r"^```(\w*)\n(.*?)^```$", re.M | re.S)
FILE = re.compile(r"^# ([\w./-]+\.(?:py|toml))\n")
ID = re.compile(r"\b[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}\b")
# Unix times as the server prints them, and request ids.
CHANGING = re.compile(r'(?<="ts":")[0-9.]+|(?<=_ms":)[0-9]+|\b[0-9a-f]{32}\b')


@dataclass
class File:
    name: str
    text: str


@dataclass
class Command:
    line: str
    shows: str


def steps(text: str) -> list[File | Command]:
    """What a reader does, in order."""
    found: list[File | Command] = []
    for language, block in FENCE.findall(text):
        if language == "console":
            found.extend(commands(block))
        elif named := FILE.match(block):
            found.append(File(named[1], block))
    return found


def commands(block: str) -> list[Command]:
    """The commands of a console block, continued lines joined, each with what it shows."""
    found: list[Command] = []
    continued = False
    for line in block.splitlines():
        if line.startswith("$ "):
            found.append(Command(line[2:], ""))
        elif continued:
            found[-1].line += "\n" + line
        else:
            found[-1].shows += line + "\n"
            continue
        quotes = found[-1].line.count("'")
        continued = line.endswith("\\") or quotes % 2 == 1
    return found


def pattern(shown: str) -> re.Pattern:
    """What the answer must look like."""
    shown = ID.sub("<id>", shown.strip())
    shown = CHANGING.sub("<changing>", shown)
    regex = re.escape(shown)
    regex = regex.replace(re.escape("<id>"), f"({ID.pattern})")
    regex = regex.replace(re.escape("<changing>"), "[0-9a-f.]+")
    regex = regex.replace("…", ".*?")
    return re.compile(regex + r"\s*", re.S)


class Reader:
    """Remembers which id of the document is which id of this run."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.ids: dict[str, str] = {}

    def write(self, file: File) -> None:
        path = self.folder / file.name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(file.text)

    def typed(self, command: Command) -> str:
        """The command with the ids of this run."""
        return ID.sub(lambda found: self.ids.get(found[0], found[0]), command.line)

    def check(self, command: Command, printed: str) -> None:
        """Fails the test if the document shows something else."""
        match = pattern(command.shows).fullmatch(printed.strip())
        assert match, (
            f"$ {command.line}\n--- the document shows\n{command.shows}\n--- it printed\n{printed}"
        )
        self.ids.update(zip(ID.findall(command.shows), match.groups(), strict=True))
