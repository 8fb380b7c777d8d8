"""Tasks move from a SQLite file to a Redis and back, by the command line, and go on there."""

import json
import os
import subprocess

from harness import PROGRAM, serving

NO_WORKERS = """
[models.slow]
implementation = "slow.py:Slow"
num_workers = 0
"""


def store(folder, *arguments, url=None, stdin=None, status=0) -> bytes:
    """Runs `modelyard store`; the store is in the folder, or in the Redis of the URL."""
    environment = os.environ | {"MODELYARD_DATA_DIR": str(folder / "data")}
    done = subprocess.run(
        [PROGRAM, "store", *arguments],
        cwd=folder,
        env=environment | ({"REDIS_URL": url} if url else {}),
        input=stdin,
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == status, done.stderr.decode()
    return done.stdout


def submit(server, number: int) -> str:
    payload = {"number": number, "seconds": 0}
    headers = {"idempotency-key": f"key-{number}"}
    answer = server.post("/tasks/slow", payload, headers=headers)
    assert answer.status == 202, answer.text()
    return answer.json()["task_id"]


def test_tasks_move_to_redis_and_back_and_go_on(tmp_path, yard):
    url = f"redis://127.0.0.1:{yard.redis.port}/0"
    here, back = tmp_path / "here", tmp_path / "back"
    here.mkdir()
    back.mkdir()
    (here / "slow.py").write_text("class Slow: ...\n")
    with serving(here, config=NO_WORKERS) as server:
        ended = server.post("/tasks/local-echo", {"text": "é"}).json()["task_id"]
        assert server.finished(ended)["status"] == "completed"
        waiting = [submit(server, number) for number in range(5)]
        # The file is the server's own.
        store(here, "check", status=1)

    moved = store(here, "export")
    assert len(moved.splitlines()) == 6 + 2
    imported = json.loads(store(here, "import", "-", url=url, stdin=moved))
    assert imported["tasks_written"] == 6
    assert store(here, "export", url=url) == moved
    # A second time only what is missing is written, and nothing is.
    store(here, "import", "-", url=url, stdin=moved, status=64)
    again = json.loads(store(here, "import", "--merge", url=url, stdin=moved))
    assert (again["tasks_written"], again["tasks_there_already"]) == (0, 6)

    there = yard.server("there")
    assert there.finished(ended)["result"]["echo"] == {"text": "é"}
    for number, task in enumerate(waiting):
        assert there.finished(task)["status"] == "completed"
        assert submit(there, number) == task
    assert [number for number, _, _ in yard.notes("begin")] == list(range(5))
    report = json.loads(store(here, "check", url=url))
    assert (report["tasks"], report["problems"]) == ({"completed": 6}, [])
    gone_on = store(here, "export", url=url)
    store(back, "import", stdin=gone_on)
    assert store(back, "export") == gone_on
    assert json.loads(store(back, "check"))["problems"] == []
