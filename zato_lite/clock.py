"""Clock: wall time, monotonic time and alarms. Only module that asks the system for the time."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from threading import Lock
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


class DatabaseClock:
    """Clock of a cluster: the database's time, carried on by this machine's monotonic clock.

    All nodes agree on it however wrong their own wall clocks are. It is never ahead of the
    database: an answer arrives after the instant that it contains.
    """

    WINDOW_US = 10_000_000
    """Microseconds during which an observation counts; the quickest answer is the most exact."""

    STEP_US = 1_000
    """Microseconds of a change of the database's clock after which alarms are set again."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._seen: deque[tuple[int, int]] = deque()
        self._offset: int | None = None
        self._timers: TimerQueue | None = None

    def observe(self, instant: int) -> None:
        """Learn the database's time, from an answer that has just arrived; from any thread."""
        at = time.monotonic_ns() // 1000
        with self._lock:
            self._seen.append((at, instant - at))
            while self._seen[0][0] < at - self.WINDOW_US:
                self._seen.popleft()
            before, latest = self._offset, instant - at
            if before is not None and abs(latest - before) > self.WINDOW_US:
                self._seen = deque([(at, latest)])  # a step: what was seen before counts no more
            self._offset = max(offset for _, offset in self._seen)
            is_step = before is None or abs(self._offset - before) > self.STEP_US
        if is_step and (timers := self._timers) is not None and not timers.loop.is_closed():
            timers.loop.call_soon_threadsafe(timers.reset)

    def now(self) -> int:
        """Return the database's time; this machine's before the first observation."""
        offset = self._offset
        return time.time_ns() // 1000 if offset is None else time.monotonic_ns() // 1000 + offset

    monotonic = staticmethod(time.monotonic)

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        loop = asyncio.get_running_loop()
        if not IS_AVAILABLE:
            return _PollingAlarm(self, instant, wake)
        timers = self._timers
        if timers is None or timers.loop is not loop:
            timers = self._timers = TimerQueue(self.now, loop, self._monotonic_time)
        return timers.add(instant, wake)

    def _monotonic_time(self, instant: int) -> int:
        return instant - (self.now() - time.monotonic_ns() // 1000)


class _PollingAlarm:
    """Alarm without a kernel timer: sleeps, asks the clock, and sleeps again if it is early.

    uvloop rounds to milliseconds and is early in a third of the cases, and the wall clock may be
    stepped back meanwhile. Sleeps are limited, so that a step forward is noticed.
    """

    MAX_SLEEP_S = 60.0

    def __init__(self, clock: Clock, instant: int, wake: Callable[[], None]) -> None:
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
