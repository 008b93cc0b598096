"""Alarms on a kernel timer of Linux (timerfd), which is exact and never early."""

import asyncio
import ctypes
import itertools
import os
import sys
import time
from collections.abc import Callable
from heapq import heappop, heappush

_Itimerspec = ctypes.c_long * 4
"""Interval and instant, each in seconds and nanoseconds."""

_TFD_NONBLOCK_CLOEXEC = 0o2004000
_TFD_TIMER_ABSTIME = 1
# PyDLL keeps the GIL: these calls do not block, and taking the GIL back may have to wait.
_LIBC = ctypes.PyDLL(None, use_errno=True) if sys.platform == "linux" else None
IS_AVAILABLE = _LIBC is not None and hasattr(_LIBC, "timerfd_create")


class TimerQueue:
    """Alarms of one event loop on one kernel timer.

    The timer runs by wall time, so a step of the clock moves it too. It is closed whenever the
    queue is empty, because nothing reports that the loop has ended. Its descriptor is never read:
    setting the timer again, which is done after each expiry, has the same effect.
    """

    def __init__(
        self,
        now: Callable[[], int],
        loop: asyncio.AbstractEventLoop,
        monotonic: Callable[[int], int] | None = None,
    ) -> None:
        """Make a queue.

        Args:
            now: returns the time of which instants are.
            loop: that calls.
            monotonic: returns the monotonic time of an instant, in microseconds; without it,
                instants are of the machine's wall clock.
        """
        self._now, self.loop = now, loop
        self._clock = time.CLOCK_REALTIME if monotonic is None else time.CLOCK_MONOTONIC
        self._timer_time = monotonic or _same
        self._alarms: list[tuple[int, int, TimerAlarm]] = []
        self._numbers = itertools.count()
        self._pending = 0
        self._timer: int | None = None
        self._set_to: int | None = None
        self._spec = _Itimerspec()

    def add(self, instant: int, wake: Callable[[], None]) -> "TimerAlarm":
        """Have ``wake`` called at or after an instant of wall time."""
        alarm = TimerAlarm(self, wake)
        self._pending += 1
        heappush(self._alarms, (instant, next(self._numbers), alarm))
        self._set()
        return alarm

    def discard(self) -> None:
        """Count a cancelled alarm; it leaves the heap when it reaches the top."""
        self._pending -= 1
        if not self._pending:
            self._close()

    def _set(self) -> None:
        while self._alarms and self._alarms[0][2].wake is None:
            heappop(self._alarms)
        if not self._alarms:
            return
        instant = self._alarms[0][0]
        if self._timer is None:
            self._timer = _create_timer(self._clock)
            self.loop.add_reader(self._timer, self._expire)
        if instant != self._set_to:
            self._set_to = instant
            _set_timer(self._timer, max(self._timer_time(instant), 1), self._spec)

    def reset(self) -> None:
        """Set the timer again, after a step of the clock that ``monotonic`` follows."""
        self._set_to = None
        self._set()

    def _expire(self) -> None:
        self._set_to = None
        now = self._now()
        due: list[TimerAlarm] = []
        while self._alarms and self._alarms[0][0] <= now:
            due.append(heappop(self._alarms)[2])
        try:
            for alarm in due:
                wake = alarm.wake
                if wake is not None:
                    alarm.wake = None
                    self._pending -= 1
                    wake()
        finally:  # otherwise the descriptor would stay readable
            if self._pending:
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


class TimerAlarm:
    """An alarm of a timer queue."""

    def __init__(self, queue: TimerQueue, wake: Callable[[], None]) -> None:
        self._queue = queue
        self.wake: Callable[[], None] | None = wake

    def cancel(self) -> None:
        """Do not call; no effect if the alarm has been called already."""
        if self.wake is not None:
            self.wake = None
            self._queue.discard()


def _same(instant: int) -> int:
    return instant


def _create_timer(clock: int) -> int:
    if _LIBC is None:
        raise NotImplementedError
    timer = int(_LIBC.timerfd_create(clock, _TFD_NONBLOCK_CLOEXEC))
    if timer < 0:
        raise OSError(ctypes.get_errno(), "timerfd_create")
    return timer


def _set_timer(timer: int, instant: int, spec: "ctypes.Array[ctypes.c_long]") -> None:
    if _LIBC is None:
        raise NotImplementedError
    seconds, microseconds = divmod(instant, 1_000_000)
    spec[2], spec[3] = seconds, microseconds * 1000
    if _LIBC.timerfd_settime(timer, _TFD_TIMER_ABSTIME, spec, None):
        raise OSError(ctypes.get_errno(), "timerfd_settime")
