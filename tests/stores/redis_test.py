"""Servers that share a Redis: one queue, one cap, and no task lost with any of them."""

import json
import signal
import subprocess
import time

from harness import PROGRAM, READY_SECONDS_MAX

LEASE_SECONDS = 2


def submit(server, number: int, seconds: float) -> str:
    answer = server.post("/tasks/slow", {"number": number, "seconds": seconds})
    assert answer.status == 202, answer.text()
    return answer.json()["task_id"]


def wait_until(condition) -> None:
    deadline = time.monotonic() + READY_SECONDS_MAX
    while not condition():
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.02)


def most_at_once(yard) -> int:
    changes = [(at, 1) for _, _, at in yard.notes("begin")]
    changes += [(at, -1) for _, _, at in yard.notes("end")]
    running, most = 0, 0
    for _, change in sorted(changes):
        running += change
        most = max(most, running)
    return most


def test_two_servers_share_the_queue_and_the_cap(yard):
    one, two = yard.server("one"), yard.server("two")
    # What one server takes, both run; each can be asked about it.
    tasks = [submit(one, number, 0.2) for number in range(20)]
    for number, task in enumerate(tasks):
        ended = two.finished(task)
        assert (ended["status"], ended["result"]["number"]) == ("completed", number)
    servers = {server for _, server, _ in yard.notes("end")}
    assert servers == {one.process.pid, two.process.pid}
    assert sorted(number for number, _, _ in yard.notes("begin")) == list(range(20))
    assert most_at_once(yard) <= 2


def test_who_waits_at_one_server_hears_what_another_finished(yard):
    one, two = yard.server("one"), yard.server("two")
    task = submit(one, 1, 0.5)
    for server in [two, one]:
        assert server.get(f"/tasks/{task}?wait=20").json()["status"] == "completed"
    task = submit(one, 2, 60)
    wait_until(lambda: len(yard.notes("begin")) == 2)
    assert two.post(f"/tasks/{task}/cancel").status == 200
    assert one.get(f"/tasks/{task}").json()["state"] == "cancelled"


def test_the_tasks_of_a_killed_server_are_taken_over(yard):
    doomed = yard.server("doomed")
    tasks = [submit(doomed, number, 1.5) for number in range(4)]
    wait_until(lambda: len(yard.notes("begin")) == 2)
    heir = yard.server("heir")
    kill(doomed)
    killed = time.time()
    for task in tasks:
        assert heir.finished(task)["status"] == "completed"
    heirs = [at for _, server, at in yard.notes("begin") if server == heir.process.pid]
    assert len(heirs) >= 2
    # Lease and a second; and as much again for a machine that does other things too.
    assert min(heirs) - killed < 2 * (LEASE_SECONDS + 1)


def kill(server) -> None:
    """As a crash does; its workers go with it."""
    server.process.kill()
    server.process.wait()
    # The harness wants servers to have ended in order.
    server.process.returncode = 0


def test_a_redis_that_is_killed_loses_no_task(yard):
    server = yard.server("one")
    tasks = [submit(server, number, 0.1) for number in range(8)]
    yard.redis.kill()
    yard.redis.start()
    tasks += [submit(server, number, 0.1) for number in range(8, 12)]
    for task in tasks:
        assert server.finished(task)["status"] == "completed"


def test_synchronous_calls_do_not_wait_for_redis(yard):
    server = yard.server("one")
    yard.redis.process.send_signal(signal.SIGSTOP)
    try:
        for number in range(5):
            body = {"number": number, "seconds": 0}
            assert server.post("/invoke/slow", body, timeout=10).status == 200
            assert server.post("/invoke/local-echo", body, timeout=10).status == 200
        assert server.get("/health/ready").status == 503
        # A task waits as long as that is sensible; this one longer than the stop.
        time.sleep(1)
    finally:
        yard.redis.process.send_signal(signal.SIGCONT)
    assert server.finished(submit(server, 9, 0))["status"] == "completed"
    wait_until(lambda: server.get("/health/ready").status == 200)


def test_a_redis_that_forgets_is_told_loudly(yard):
    yard.redis.kill()
    yard.redis.append_only = "no"
    yard.redis.start()
    server = yard.server("one")
    health = server.get("/health").json()
    assert health["status"] == "degraded"
    assert "appendonly yes" in health["checks"]["store"]
    assert "TASKS MAY BE LOST" in server.log.read_text()


def test_an_operator_sees_the_tasks_and_the_servers(yard):
    server = yard.server("one")
    server.finished(submit(server, 1, 0))
    submit(server, 2, 3)
    wait_until(lambda: len(yard.notes("begin")) == 2)
    command = [PROGRAM, "task", "stats", "--url", server.url]
    stats = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    (slow,) = stats["models"]
    assert (slow["model"], slow["running"], slow["completed"]) == ("slow", 1, 1)
    (seen,) = stats["servers"]
    assert seen["name"].endswith(f":{server.port}")
    assert seen["silent_ms"] < 60_000


def test_what_a_task_says_of_itself_is_read_at_any_server(yard):
    one, two = yard.server("one"), yard.server("two")
    task = submit(one, 1, 3)
    told, version = [], ""
    while (seen := two.get(f"/tasks/{task}?wait=20&after={version}").json())[
        "state"
    ] != "completed":
        version = seen["version"]
        told.append((seen.get("message"), seen.get("partial")))
    assert ("asleep", {"number": 1}) in told
    assert (seen.get("message"), seen.get("partial")) == (None, None)
    # Who follows it hears of it too.
    task = submit(two, 2, 3)
    events = one.get(f"/tasks/{task}/events").text()
    assert '"message":"asleep","partial":{"number":2}' in events
    assert events.index('"running"') < events.index("asleep") < events.index('"completed"')
