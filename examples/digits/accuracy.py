"""Sends the held-out digits through a running server and prints how many it reads right.

python examples/digits/accuracy.py [http://127.0.0.1:8000]
"""

import json
import os
import time
import urllib.request
from concurrent.futures import ThreadPoolExecutor

from digits import SIDE, split

# As many requests at once as one batch takes.
THREADS = 32


def read(url: str, pixels: list[float]) -> int:
    rows = [pixels[start : start + SIDE] for start in range(0, SIDE * SIDE, SIDE)]
    request = urllib.request.Request(
        f"{url}/invoke/digits",
        data=json.dumps({"pixels": rows}).encode(),
        headers={"content-type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return json.load(answer)["result"]["digit"]


def main(url: str) -> None:
    _, images, _, digits = split()
    begun = time.monotonic()
    with ThreadPoolExecutor(THREADS) as pool:
        answers = list(pool.map(lambda image: read(url, image.tolist()), images))
    seconds = time.monotonic() - begun
    right = sum(answer == digit for answer, digit in zip(answers, digits, strict=True))
    print(f"{right} of {len(digits)} held-out digits are right: {right / len(digits):.1%}")
    print(f"{len(digits) / seconds:.0f} calls a second from {THREADS} threads")


if __name__ == "__main__":
    main(os.environ.get("MODELYARD_URL", "http://127.0.0.1:8000"))
