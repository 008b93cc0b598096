"""What tests over real processes have in common."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any


def until(condition: Callable[[], Any], patience: float = 10.0) -> Any:
    """What the condition gives once it gives something: another process has no announcements."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, "it did not come about"
        time.sleep(0.02)
    return found


def naive(moment: datetime) -> str:
    """As Zato writes a date, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
