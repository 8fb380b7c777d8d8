"""Celery on Redis: a task that does nothing, and a flood of them.

`celery -A celery_noop worker` runs them; `python celery_noop.py SECONDS` submits for a while, waits
until all are done, and prints what was seen as one line of JSON.
"""

import json
import os
import sys
import time

from celery import Celery
from redis import Redis

PORT = int(os.environ["REDIS_PORT"])
RESULTS = f"redis://127.0.0.1:{PORT}/1"

app = Celery("celery_noop", broker=f"redis://127.0.0.1:{PORT}/0", backend=RESULTS)
# As durable as it gets: a task is acknowledged when it is done, and its result is kept.
app.conf.task_acks_late = True
app.conf.worker_prefetch_multiplier = 32


@app.task
def noop(payload):
    return payload


def main() -> None:
    seconds = float(sys.argv[1])
    results = Redis.from_url(RESULTS)
    begin = time.perf_counter()
    tasks = 0
    while time.perf_counter() < begin + seconds:
        noop.delay({"payload": {"text": "hello"}})
        tasks += 1
    submit_s = time.perf_counter() - begin
    # The second database holds one key per result.
    while results.dbsize() < tasks:
        time.sleep(0.005)
    whole_s = time.perf_counter() - begin
    print(json.dumps({"tasks": tasks, "submit_s": submit_s, "whole_s": whole_s}))


if __name__ == "__main__":
    main()
