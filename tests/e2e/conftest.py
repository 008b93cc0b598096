"""Helpers of tests with real processes."""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any


def until(condition: Callable[[], Any], patience: float = 10.0) -> Any:
    """Poll a condition in another process until its value is true; return the value."""
    ends = time.monotonic() + patience
    while not (found := condition()):
        assert time.monotonic() < ends, "condition not met in time"
        time.sleep(0.02)
    return found


def naive(moment: datetime) -> str:
    """Format a date as Zato does, in UTC."""
    return moment.strftime("%Y-%m-%d %H:%M:%S")
