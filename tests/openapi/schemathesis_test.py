"""`/openapi.json` against the server itself: no bug of ours, no status that is not documented."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from harness import serving

CHECKS = [
    "content_type_conformance",
    "response_headers_conformance",
    "response_schema_conformance",
    "status_code_conformance",
]


@pytest.fixture(scope="module")
def server(folder):
    # The echo worker alone: the other built-in models have nothing to answer here.
    config = "[models.local-echo]\nqueue_max = 1024\n"
    with serving(folder, config=config) as server:
        yield server


# Names that no model has, and the one that is there.
@pytest.mark.parametrize("parameters", ["", '"path.model" = "local-echo"'], ids=["any", "echo"])
@pytest.mark.timeout(600)
def test_the_native_routes_are_what_the_document_says(server, tmp_path, parameters):
    config = tmp_path / "schemathesis.toml"
    config.write_text(f"[parameters]\n{parameters}\n")
    schemathesis = subprocess.run(
        [
            Path(sys.executable).parent / "schemathesis",
            f"--config-file={config}",
            "run",
            f"{server.url}/openapi.json",
            f"--checks={','.join(CHECKS)}",
            "--max-examples=40",
            # A fixed seed, so that a failure can be seen again.
            "--seed=1",
            "--generation-database=none",
            "--request-timeout=30",
            "--no-color",
        ],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert schemathesis.returncode == 0, schemathesis.stdout + schemathesis.stderr
    assert "internal_error" not in server.log.read_text()
    counted = re.findall(r'outcome="internal_error".*', server.get("/metrics").text())
    assert counted == []
