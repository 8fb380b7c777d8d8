"""Every command that the documents show, typed into a shell; every answer compared."""

import os
import re
import shlex
import subprocess
import sys
from contextlib import ExitStack

import pytest
from harness import PROGRAM, ROOT, free_port, serving, wait_for_port
from readme.document import Command, File, Reader, steps

DOCUMENTS = sorted(
    str(page.relative_to(ROOT))
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/*.md"), *ROOT.glob("examples/*/*.md")]
    if "```console" in page.read_text()
)

# A worker with its settings before it: `MODEL_SERVER_PORT=8001 python worker.py`.
WORKER = re.compile(r"(?P<settings>([A-Z_]+=\S+ )+)python (?P<file>\S+\.py)")


class Shell:
    """Types commands in the folder of the document; a server runs until the next one is started."""

    def __init__(self, folder):
        self.folder = folder
        self.reader = Reader(folder)
        self.server = None
        self.worker_port = None
        self.running = ExitStack()
        (folder / "examples").symlink_to(ROOT / "examples")

    def follow(self, step: File | Command) -> None:
        if isinstance(step, File):
            return self.reader.write(step)
        words = shlex.split(step.line)
        if step.line == "make run":
            return self.serve([])
        if words[:2] == ["modelyard", "serve"]:
            return self.serve(words[2:])
        if worker := WORKER.fullmatch(step.line):
            return self.work(worker["settings"].split(), worker["file"])
        self.reader.check(step, self.type(self.reader.typed(step)))

    def serve(self, arguments: list[str]) -> None:
        self.running.close()
        self.server = self.running.enter_context(serving(self.folder, *arguments))

    def work(self, settings: list[str], file: str) -> None:
        """Starts a worker that listens by itself; the document says port 8001."""
        self.running.close()
        self.worker_port = free_port()
        chosen = dict(setting.split("=", 1) for setting in settings)
        assert chosen["MODEL_SERVER_PORT"] == "8001", f"{file} listens elsewhere"
        chosen["MODEL_SERVER_PORT"] = str(self.worker_port)
        environment = {**os.environ, "REGISTER_ENABLED": "false", **chosen}
        process = subprocess.Popen([sys.executable, file], cwd=self.folder, env=environment)
        self.running.callback(process.wait, 30)
        self.running.callback(process.terminate)
        wait_for_port(self.worker_port, process)

    def type(self, line: str) -> str:
        environment = {**os.environ, "LC_ALL": "C.UTF-8"}
        if self.worker_port:
            line = line.replace("127.0.0.1:8001", f"127.0.0.1:{self.worker_port}")
        environment["PATH"] = f"{PROGRAM.parent}:{ROOT / '.venv/bin'}:{os.environ['PATH']}"
        if self.server:
            line = line.replace("127.0.0.1:8000", f"127.0.0.1:{self.server.port}")
            environment["MODELYARD_URL"] = self.server.url
        done = subprocess.run(
            ["bash", "-c", line],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
        )
        printed = done.stdout if done.stdout else done.stderr
        return (
            printed.replace(f"127.0.0.1:{self.server.port}", "127.0.0.1:8000")
            if self.server
            else printed
        )


@pytest.mark.parametrize("page", DOCUMENTS)
def test_each_command_gives_what_the_document_shows(page, tmp_path):
    shell = Shell(tmp_path)
    with shell.running:
        for step in steps((ROOT / page).read_text()):
            shell.follow(step)


def test_both_readmes_show_the_same_commands():
    def typed(page):
        return [step.line for step in steps((ROOT / page).read_text()) if isinstance(step, Command)]

    assert typed("README.md") == typed("README.zh-CN.md")


def test_the_make_targets_that_the_readme_names_exist():
    makefile = (ROOT / "Makefile").read_text()
    for page in ("README.md", "README.zh-CN.md"):
        for word in (ROOT / page).read_text().split("`make ")[1:]:
            target = word.split("`")[0].split()[0]
            assert f"\n{target}:" in makefile, f"{page} names `make {target}`"
