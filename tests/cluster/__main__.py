"""Explore the model beyond what the fast tests do, and say if it was exhausted.

usage: python -m tests.cluster [--seconds 600] [--without SAFEGUARD ...]
"""

import argparse
import sys
import time
from functools import partial
from typing import Any

from tests.cluster import runs
from tests.cluster.explore import explore

CASES: list[dict[str, Any]] = [
    {"overlap": "queue", "change": "edit", "cancels": True},
    {"overlap": "cancel", "cancels": True},
    {"slots": 3, "overlap": "queue"},
    {"nodes": 3, "overlap": "queue"},
    {"nodes": 3, "overlap": "cancel", "cancels": True},
    {"nodes": 3, "overlap": "queue", "change": "edit", "cancels": True},
    {"nodes": 3, "slots": 3},
    {"nodes": 3, "crashes": 2, "stops": 2},
    {"slots": 3, "overlap": "queue", "change": "edit", "cancels": True},
    {"nodes": 3, "slots": 3, "overlap": "queue", "cancels": True},
]


def main() -> int:
    """Explore all cases within the time; return 1 if an invariant does not hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=600, help="for all cases together")
    parser.add_argument("--without", nargs="*", default=[], help="safeguards to leave out")
    options = parser.parse_args()
    until = time.monotonic() + options.seconds
    has_failed = False
    for bounds in CASES:
        given = runs.Bounds(**bounds, left_out=frozenset(options.without))
        began = time.monotonic()
        found = explore(
            runs.start(given),
            partial(runs.steps, given),
            is_stuck_well=partial(runs.is_stuck_well, given),
            is_over=lambda _: time.monotonic() > until,
        )
        end = "exhausted" if found.is_exhausted else "NOT exhausted: the time is over"
        result = f"VIOLATION {found.violation}" if found.violation else f"no violation, {end}"
        took = f"{time.monotonic() - began:.0f} s"
        sys.stdout.write(f"{bounds}: {found.states:,} states, {took}: {result}\n")
        sys.stdout.write("".join(f"    {step}\n" for step in found.path))
        sys.stdout.flush()
        has_failed |= bool(found.violation)
    return int(has_failed)


if __name__ == "__main__":
    sys.exit(main())
