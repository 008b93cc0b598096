"""Names the service that keeps the loop from turning, and says where in its code it is."""

import asyncio
import inspect
import itertools
import logging
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from types import FrameType, TracebackType
from typing import NamedTuple, Self

from zato_lite.clock import SystemClock
from zato_lite.service.base import Service

_LOOKS = 120
"""So many are remembered: those of a minute, if the loop may not turn for one second."""

_log = logging.getLogger(__name__)


class Stall(NamedTuple):
    """The loop has not turned for so many seconds; which service runs, and its stack."""

    seconds: float
    service: str
    stack: str


ASK_AT_REST = 20
"""A loop that seems to be at rest is asked for a sign in one look of so many."""


class Watchdog:
    """A thread that looks at the loop; ``async with`` watches it.

    A loop that waits for something to happen is left asleep: its thread is then seen where the
    loop was started. (That is so with uvloop; one written in Python is asked each time.)

    Args:
        limit: seconds that the loop may not turn.
        monotonic: seconds, by a clock that nobody sets.

    Attributes:
        stalls: what was seen, the last one at the end.
    """

    def __init__(self, limit: float = 1.0, monotonic: Callable[[], float] | None = None) -> None:
        self.limit = limit
        self.stalls: list[Stall] = []
        self._monotonic = monotonic or SystemClock().monotonic
        self._lags: deque[float] = deque(maxlen=_LOOKS)
        self._turned = threading.Event()
        self._over = threading.Event()
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

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()

    @property
    def lag(self) -> float:
        """Seconds that a sign of the loop took at most, in the latest looks, of a minute or so."""
        return max(self._lags, default=0.0)

    def _watch(
        self, loop: asyncio.AbstractEventLoop, ident: int, starter: FrameType | None
    ) -> None:
        """Ask the loop for a sign, again and again; a stall is told once, when it is noticed."""
        for look in itertools.count(1):
            if self._over.wait(self.limit / 2):
                return
            if look % ASK_AT_REST and sys._current_frames().get(ident) is starter:
                self._lags.append(0.0)  # who waits is not late
                continue
            self._turned.clear()
            asked = self._monotonic()
            try:
                loop.call_soon_threadsafe(self._turned.set)
            except RuntimeError:  # the loop is closed
                return
            if not self._turned.wait(self.limit):
                self._tell(sys._current_frames().get(ident))
                while not self._turned.wait(self.limit) and not self._over.is_set():
                    pass
            self._lags.append(self._monotonic() - asked)

    def _tell(self, frame: FrameType | None) -> None:
        stall = Stall(self.limit, _service_in(frame), "".join(traceback.format_stack(frame)))
        self.stalls = [*self.stalls[-9:], stall]
        _log.warning(
            "loop blocked",
            extra={"service": stall.service, "seconds": stall.seconds, "stack": stall.stack},
        )


def _starter(frame: FrameType | None) -> FrameType | None:
    """What has started the loop: the innermost frame on a stack that is no coroutine's."""
    while frame is not None and frame.f_code.co_flags & inspect.CO_COROUTINE:
        frame = frame.f_back
    return frame


def _service_in(frame: FrameType | None) -> str:
    """The innermost service on a stack."""
    while frame is not None:
        found = frame.f_locals.get("self")
        if isinstance(found, Service):
            return found.get_name()
        frame = frame.f_back
    return ""
