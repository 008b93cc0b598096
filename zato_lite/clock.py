"""Clock: wall time, monotonic time and alarms. Only module that asks the system for the time."""

import asyncio
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Protocol

from zato_lite._timerfd import IS_AVAILABLE, TimerQueue

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


def to_datetime(instant: int) -> datetime:
    """Return the aware UTC datetime of an instant in microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=instant)


def to_instant(moment: datetime) -> int:
    """Return the microseconds since 1970 of an aware datetime."""
    return (moment - _EPOCH) // _MICROSECOND


class Alarm(Protocol):
    """A scheduled call that can be cancelled."""

    def cancel(self) -> None:
        """Do not call; no effect if the alarm has been called already."""
        ...


class Clock(Protocol):
    """Wall time for slots and records, monotonic time for durations, alarms for waiting."""

    def now(self) -> int:
        """Return wall time: microseconds since 1970-01-01T00:00:00Z."""
        ...

    def monotonic(self) -> float:
        """Return seconds since a fixed moment in the past; never decreases."""
        ...

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        """Call ``wake`` in the running loop at or after ``instant`` of wall time, never before."""
        ...


class SystemClock:
    """The machine's clock."""

    def __init__(self) -> None:
        self._timers: TimerQueue | None = None

    def now(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(
        time.monotonic
    )  # bound directly: each invocation calls it several times

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        loop = asyncio.get_running_loop()
        if not IS_AVAILABLE:
            return _PollingAlarm(self, instant, wake)
        timers = self._timers
        if timers is None or timers.loop is not loop:  # another loop's alarms stay in its queue
            timers = self._timers = TimerQueue(self.now, loop)
        return timers.add(instant, wake)


class _PollingAlarm:
    """Alarm without a kernel timer: sleeps, asks the clock, and sleeps again if it is early.

    uvloop rounds to milliseconds and is early in a third of the cases, and the wall clock may be
    stepped back meanwhile. Sleeps are limited, so that a step forward is noticed.
    """

    MAX_SLEEP_S = 60.0

    def __init__(self, clock: SystemClock, instant: int, wake: Callable[[], None]) -> None:
        self._clock, self._instant, self._wake = clock, instant, wake
        self._loop = asyncio.get_running_loop()
        self._handle: asyncio.Handle | None = None
        self._sleep()

    def cancel(self) -> None:
        if self._handle is not None:
            self._handle.cancel()

    def _sleep(self) -> None:
        left = (self._instant - self._clock.now()) / 1e6
        if left <= 0:
            self._handle = self._loop.call_soon(self._wake)
        else:
            self._handle = self._loop.call_later(min(left, self.MAX_SLEEP_S), self._sleep)
