"""Both packages, as they are installed, are typed in every corner."""

from __future__ import annotations

import subprocess
import sys
from importlib.resources import files
from pathlib import Path

import pytest


def test_the_packages_pass_mypy_strict():
    # It reads its settings here; what it looks at is what was installed.
    folder = Path(__file__).parent.parent
    checked = subprocess.run(
        [sys.executable, "-m", "mypy"], cwd=folder, capture_output=True, text=True, timeout=110
    )
    assert checked.returncode == 0, checked.stdout + checked.stderr


@pytest.mark.parametrize("package", ["modelyard", "gmi_ieops"])
def test_a_package_says_that_it_is_typed(package):
    assert files(package).joinpath("py.typed").is_file()
