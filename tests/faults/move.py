"""A move that its process does not survive: ``python -m tests.faults.move STEP …``."""

import os
import resource
import signal
import sys
from pathlib import Path

from zato_lite.clock import SystemClock
from zato_lite.config import Store as Settings
from zato_lite.store.moving import move_store


def main(step: str, folder: str, source: str, target: str) -> None:
    """Move a store; kill this process at a step, or print how much memory it has taken."""

    def report(made: str, rows: int) -> None:
        if made == step:
            os.kill(os.getpid(), signal.SIGKILL)

    settings = Settings(url=source)
    move_store(Path(folder), settings, target, SystemClock().now(), report)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # noqa: T201


if __name__ == "__main__":
    main(*sys.argv[1:])
