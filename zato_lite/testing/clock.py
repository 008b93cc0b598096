"""Manual clock: stands still until a test moves it, so that an hour passes without waiting."""

import asyncio
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count

DEFAULT_START = 1_800_000_000_000_000
"""2027-01-15T08:00:00Z."""


class ManualAlarm:
    """Wake-up at an instant of a ``ManualClock``."""

    def __init__(self, wake: Callable[[], None]) -> None:
        self.wake = wake
        self.is_cancelled = False

    def cancel(self) -> None:
        self.is_cancelled = True


class ManualClock:
    """``Clock`` whose time a test sets."""

    def __init__(self, now: int = DEFAULT_START) -> None:
        self._now = now
        self._monotonic = 0
        self._numbers = count()
        self._alarms: list[tuple[int, int, ManualAlarm]] = []

    def now(self) -> int:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic / 1e6

    def call_at(self, instant: int, wake: Callable[[], None]) -> ManualAlarm:
        alarm = ManualAlarm(wake)
        if instant <= self._now:
            asyncio.get_running_loop().call_soon(_ring, alarm)
        else:
            heappush(self._alarms, (instant, next(self._numbers), alarm))
        return alarm

    def advance(
        self,
        *,
        days: float = 0,
        hours: float = 0,
        minutes: float = 0,
        seconds: float = 0,
        milliseconds: float = 0,
    ) -> None:
        """Move time forward in one step; alarms in between ring late, as after a long stop."""
        seconds += ((days * 24 + hours) * 60 + minutes) * 60
        passed = round(seconds * 1e6 + milliseconds * 1e3)
        self._monotonic += passed
        self.set(self._now + passed)

    def set(self, instant: int) -> None:
        """Set the time, as if the machine's clock was set; moving back is allowed."""
        self._now = instant
        while self._alarms and self._alarms[0][0] <= instant:
            _ring(heappop(self._alarms)[2])

    @property
    def next_alarm(self) -> int | None:
        """Instant of the first alarm, or None."""
        while self._alarms and self._alarms[0][2].is_cancelled:
            heappop(self._alarms)
        return self._alarms[0][0] if self._alarms else None


def _ring(alarm: ManualAlarm) -> None:
    if not alarm.is_cancelled:
        alarm.is_cancelled = True
        alarm.wake()
