"""A client that leaves in the middle of an answer."""

import re
import time

from harness import READY_SECONDS_MAX

LENGTH = 1900


def engine(server) -> dict[str, float]:
    """What the engine of the model counts, by the end of the name."""
    pattern = r'^modelyard_engine_(\w+)\{[^}]*model="modelyard-demo"[^}]*\} ([0-9.e+-]+)$'
    found = re.findall(pattern, server.get("/metrics").text(), re.MULTILINE)
    return {name: float(value) for name, value in found if not name.endswith("_bucket")}


def test_a_stream_that_is_left_stops_its_sequence_and_counts_what_was_made(server, chat):
    chat("Hello!", max_completion_tokens=1)
    before = settled(server, 1)["generated_tokens_total"]
    options = {"max_completion_tokens": LENGTH, "extra_body": {"ignore_eos": True}}
    stream = chat("Count as far as you can.", stream=True, **options)
    read = 0
    for chunk in stream:
        read += bool(chunk.choices[0].delta.content)
        if read == 5:
            break
    stream.close()
    after = settled(server, before + 5)
    made = after["generated_tokens_total"] - before
    assert 5 <= made < LENGTH
    assert (after["sequences_waiting"], after["kv_blocks_used"]) == (0, 0)
    # Nothing goes on unseen: the next answer adds only its own tokens.
    chat("Hello!", max_completion_tokens=3, extra_body={"ignore_eos": True})
    total = settled(server, before + made + 3)["generated_tokens_total"]
    assert total == before + made + 3


def settled(server, generated: float) -> dict[str, float]:
    """The counts, once they hold so many tokens and nothing runs; workers report them by and by."""
    deadline = time.monotonic() + READY_SECONDS_MAX
    while time.monotonic() < deadline:
        counts = engine(server)
        if counts.get("generated_tokens_total", 0) >= generated and not counts["sequences_running"]:
            return counts
        time.sleep(0.1)
    raise AssertionError(f"the engine does not come to rest: {counts}")
