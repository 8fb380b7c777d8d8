"""Measures cases: `measure.py quick|all [case…]`. `bench/run.sh` prepares what it needs."""

import argparse
import dataclasses
import signal
import sys

from suite.cases import CASES, USUAL, case_name
from suite.session import EFFORTS, Effort, Session, say


def main() -> int:
    arguments = _arguments()
    # A signal unwinds the blocks that stop the servers.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))
    names = arguments.case or USUAL
    if arguments.peers:
        print("\n".join(sorted({peer for name in names for peer in CASES[name].PEERS})))
        return 0
    sessions = [_measure(name, _effort(arguments)) for name in names]
    return 1 if any(session.failures for session in sessions) else 0


def _measure(name: str, effort: Effort) -> Session:
    case = CASES[name]
    say(f"== {name}: {case.TITLE}")
    session = Session(name, effort)
    try:
        case.measure(session)
    except Exception as error:
        session.failures.append(f"{name}: {error}")
        say(f"  {name} failed: {error}")
    session.save()
    return session


def _effort(arguments: argparse.Namespace) -> Effort:
    wanted = {"rounds": arguments.rounds, "seconds": arguments.seconds}
    given = {name: value for name, value in wanted.items() if value is not None}
    return dataclasses.replace(EFFORTS[arguments.mode], **given)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("mode", choices=EFFORTS, help="quick: does it work; all: what is it")
    parser.add_argument(
        "case", nargs="*", type=case_name, help="default: all that need no checkpoint"
    )
    parser.add_argument("--rounds", type=int, help="rounds of each comparison")
    parser.add_argument("--seconds", type=float, help="time of each run that counts")
    parser.add_argument("--peers", action="store_true", help="only name what must be installed")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
