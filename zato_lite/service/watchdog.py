"""Watchdog: reports a service that blocks the event loop, with its stack."""

import asyncio
import inspect
import itertools
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType
from typing import NamedTuple, Self

from zato_lite.clock import SystemClock
from zato_lite.service.base import Service

_KEPT_LAGS = 120
"""Measured lags that are kept: those of one minute, with the default limit."""

_log = logging.getLogger(__name__)


class Stall(NamedTuple):
    """A period in which the loop was blocked: its least length, the running service, its stack."""

    seconds: float
    service: str
    stack: str


IDLE_CHECK_INTERVAL = 20
"""An idle loop is woken for a check only once in this number of checks."""


class Watchdog:
    """Thread that checks the event loop while its ``async with`` block runs.

    An idle loop is not woken: the innermost frame of its thread is then the one that started the
    loop. (That holds for uvloop; a loop written in Python is woken for each check.)

    Args:
        limit: seconds after which the loop counts as blocked.
        monotonic: the clock, in seconds.

    Attributes:
        stalls: the last ten stalls, the newest last.
    """

    def __init__(self, limit: float = 1.0, monotonic: Callable[[], float] | None = None) -> None:
        self.limit = limit
        self.stalls: list[Stall] = []
        self._monotonic = monotonic or SystemClock().monotonic
        self._lags: deque[float] = deque(maxlen=_KEPT_LAGS)
        self._has_answered = threading.Event()
        self._is_stopped = threading.Event()
        self._thread: threading.Thread | None = None

    async def __aenter__(self) -> Self:
        loop = asyncio.get_running_loop()
        ident = threading.get_ident()
        self._thread = threading.Thread(
            target=self._watch,
            args=(loop, ident, _starter(sys._getframe())),
            name="zato-lite-watchdog",
            daemon=True,
        )
        self._thread.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        self._is_stopped.set()

    @property
    def lag(self) -> float:
        """Return the loop's longest time to answer a check in about the last minute."""
        return max(self._lags, default=0.0)

    def _watch(
        self, loop: asyncio.AbstractEventLoop, ident: int, starter: FrameType | None
    ) -> None:
        """Check the loop repeatedly; report each stall once."""
        for check in itertools.count(1):
            if self._is_stopped.wait(self.limit / 2):
                return
            if check % IDLE_CHECK_INTERVAL and sys._current_frames().get(ident) is starter:
                self._lags.append(0.0)  # an idle loop is not late
                continue
            self._has_answered.clear()
            asked_at = self._monotonic()
            try:
                loop.call_soon_threadsafe(self._has_answered.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._has_answered.wait(self.limit):
                self._report(sys._current_frames().get(ident))
                while not self._has_answered.wait(self.limit) and not self._is_stopped.is_set():
                    pass
            self._lags.append(self._monotonic() - asked_at)

    def _report(self, frame: FrameType | None) -> None:
        stall = Stall(self.limit, service_in(frame), "".join(traceback.format_stack(frame)))
        self.stalls = [*self.stalls[-9:], stall]
        _log.warning(
            "loop blocked",
            extra={"service": stall.service, "seconds": stall.seconds, "stack": stall.stack},
        )


def _starter(frame: FrameType | None) -> FrameType | None:
    """Return the frame that started the loop: the innermost one that is not a coroutine's."""
    while frame is not None and frame.f_code.co_flags & inspect.CO_COROUTINE:
        frame = frame.f_back
    return frame


def service_in(frame: FrameType | None) -> str:
    """Return the name of the innermost service on a stack."""
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, Service):
            return owner.get_name()
        frame = frame.f_back
    return ""
