"""What time it is, and who wakes whom: the only module that asks the time."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    """The aware UTC datetime of an instant in microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=instant)


def to_instant(moment: datetime) -> int:
    """Microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


class Alarm(Protocol):
    """A wake-up that was asked for and can be called off."""

    def cancel(self) -> None:
        """Never call; nothing happens if it has been called already."""
        ...


class Clock(Protocol):
    """Wall time for slots and records, monotonic time for durations, alarms for waiting."""

    def now(self) -> int:
        """Wall time: microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Seconds since some moment in the past; never goes back."""
        ...

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        """Call ``wake`` in the running loop at or after ``instant`` of wall time, never before."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> int:
        return time.time_ns() // 1000

    # The C function itself: it is asked twice in each invocation.
    monotonic = staticmethod(time.monotonic)

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        return _SystemAlarm(self, instant, wake)


class _SystemAlarm:
    """Sleeps, looks at the clock, and sleeps again: a loop's timer may fire early.

    uvloop rounds to milliseconds and is early in a third of the cases; the wall clock may also
    be stepped back while we sleep. Naps are at most a minute, so that a step forward is noticed.
    """

    LONGEST_NAP_S = 60.0

    def __init__(self, clock: SystemClock, instant: int, wake: Callable[[], None]) -> None:
        self._clock, self._instant, self._wake = clock, instant, wake
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._nap()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _nap(self) -> None:
        left = (self._instant - self._clock.now()) / 1e6
        if left <= 0:
            self._handle = self._loop.call_soon(self._wake)
        else:
            self._handle = self._loop.call_later(min(left, self.LONGEST_NAP_S), self._nap)
