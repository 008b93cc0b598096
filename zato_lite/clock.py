"""What time it is, and who wakes whom: the only module that asks the time."""

import asyncio
import ctypes
import itertools
import os
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from heapq import heappop, heappush
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

    def __init__(self) -> None:
        self._waker: _Waker | None = None

    def now(self) -> int:
        return time.time_ns() // 1000

    monotonic = staticmethod(time.monotonic)  # asked several times in each invocation

    def call_at(self, instant: int, wake: Callable[[], None]) -> Alarm:
        loop = asyncio.get_running_loop()
        if not _HAS_TIMERS:
            return _NappingAlarm(self, instant, wake)
        waker = self._waker
        if waker is None or waker.loop is not loop:  # another one's goes on with what it has
            waker = self._waker = _Waker(self, loop)
        return waker.add(instant, wake)


class _Waker:
    """Alarms of one loop on one of the kernel's timers, which is exact and never early.

    It runs by wall time itself: a step of the clock moves it along. It is closed whenever nobody
    waits, as nobody tells it that its loop ends. It is never read: setting it anew has the same
    effect, and that is done after each ring anyway.
    """

    def __init__(self, clock: SystemClock, loop: asyncio.AbstractEventLoop) -> None:
        self._clock, self.loop = clock, loop
        self._alarms: list[tuple[int, int, _KernelAlarm]] = []
        self._numbers = itertools.count()
        self._waiting = 0
        self._timer: int | None = None
        self._set_to: int | None = None
        self._wanted = _Itimerspec()

    def add(self, instant: int, wake: Callable[[], None]) -> Alarm:
        alarm = _KernelAlarm(self, wake)
        self._waiting += 1
        heappush(self._alarms, (instant, next(self._numbers), alarm))
        self._set()
        return alarm

    def forget(self) -> None:
        """One alarm less is waited for."""
        self._waiting -= 1
        if not self._waiting:
            self._close()

    def _set(self) -> None:
        while self._alarms and self._alarms[0][2].wake is None:
            heappop(self._alarms)
        if not self._alarms:
            return
        instant = self._alarms[0][0]
        if self._timer is None:
            self._timer = _create_timer()
            self.loop.add_reader(self._timer, self._ring)
        if instant != self._set_to:
            self._set_to = instant
            _set_timer(self._timer, max(instant, 1), self._wanted)

    def _ring(self) -> None:
        self._set_to = None
        now = self._clock.now()
        due: list[_KernelAlarm] = []
        while self._alarms and self._alarms[0][0] <= now:
            due.append(heappop(self._alarms)[2])
        try:
            for alarm in due:
                wake = alarm.wake
                if wake is not None:
                    alarm.wake = None
                    self._waiting -= 1
                    wake()
        finally:  # or it would ring on and on
            if self._waiting:
                self._set()
            else:
                self._close()

    def _close(self) -> None:
        self._alarms.clear()
        self._set_to = None
        if self._timer is not None:
            self.loop.remove_reader(self._timer)
            os.close(self._timer)
            self._timer = None


class _KernelAlarm:
    """An alarm of a waker."""

    def __init__(self, waker: _Waker, wake: Callable[[], None]) -> None:
        self._waker = waker
        self.wake: Callable[[], None] | None = wake

    def cancel(self) -> None:
        if self.wake is not None:
            self.wake = None
            self._waker.forget()


class _NappingAlarm:
    """Where the kernel has no such timers: sleeps, looks at the clock, and sleeps again.

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


_Itimerspec = ctypes.c_long * 4
"""Interval and instant, each in seconds and nanoseconds."""

_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1
# Keeps the GIL: these calls do not block, and whoever gives it away may wait for it.
_LIBC = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None
_HAS_TIMERS = _LIBC is not None and hasattr(_LIBC, "timerfd_create")


def _create_timer() -> int:
    if _LIBC is None:
        raise NotImplementedError
    timer = int(_LIBC.timerfd_create(time.CLOCK_REALTIME, _TFD_NONBLOCK_CLOEXEC))
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return timer


def _set_timer(timer: int, instant: int, wanted: "ctypes.Array[ctypes.c_long]") -> None:
    if _LIBC is None:
        raise NotImplementedError
    seconds, microseconds = divmod(instant, 1_000_000)
    wanted[2], wanted[3] = seconds, microseconds * 1000
    if _LIBC.timerfd_settime(timer, _TFD_TIMER_ABSTIME, wanted, None):
        raise OSError(ctypes.get_errno(), "timerfd_settime")
