"""A campaign by hand: `cd tests && ../.venv/bin/python -m faults --store redis --faults 1000`."""

import argparse
import dataclasses
import json
import sys
import tempfile
from pathlib import Path

from faults import campaign


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--store", choices=campaign.KINDS, default="redis")
    parser.add_argument("--faults", type=int, default=100, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="decides their order")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        report = campaign.run(Path(folder), arguments.store, arguments.faults, arguments.seed)
    print(json.dumps(dataclasses.asdict(report), indent=1))
    return 1 if report.broken else 0


if __name__ == "__main__":
    sys.exit(main())
