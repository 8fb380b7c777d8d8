"""Results that are kept in files beside the store."""

import signal

from harness import serving

CONFIG = """
[store]
inline_result_mb_max = 0
"""


def test_a_result_in_a_file_is_read_whole_also_after_the_server_was_killed(tmp_path):
    text = "a" * 5_000_000
    with serving(tmp_path, config=CONFIG) as server:
        task = server.post("/tasks/local-echo", {"text": text}).json()["task_id"]
        assert server.finished(task)["result"]["echo"] == {"text": text}
        files = list((tmp_path / "data/results").iterdir())
        assert [file.name for file in files] == [f"{task}.1"]
        assert files[0].stat().st_mode & 0o077 == 0
        server.process.send_signal(signal.SIGKILL)
        server.process.wait()
        # The harness wants servers to have ended in order.
        server.process.returncode = 0
    with serving(tmp_path, config=CONFIG) as server:
        assert server.get(f"/tasks/{task}").json()["result"]["echo"] == {"text": text}
        listed = server.get("/tasks?model=local-echo").json()["tasks"]
        assert listed[0]["result"]["result_omitted"] is True
        assert listed[0]["result"]["bytes"] > len(text)
