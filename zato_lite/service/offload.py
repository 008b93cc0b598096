"""Offload: functions that take long are called in threads, so that the event loop stays free.

Work that the size of a request bounds, such as decoding it, has one thread; work that can take
seconds has two others. Owners take turns: one that asks for much does not keep others waiting.
"""

import asyncio
import sys
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from zato_lite.errors import TooManyRequestsError
from zato_lite.log import invocation_context
from zato_lite.service.message import Invocation
from zato_lite.service.threads import WorkerPool

Result = TypeVar("Result")

OFFLOAD_FROM = 65_536
"""Bytes of a text from which it is decoded in a thread: less takes a few milliseconds."""

_MAX_WAITING = 20
"""Long work that one owner may have waiting; more is refused."""

_RETRY_S = 5

SWITCH_INTERVAL_S = 0.001
"""Seconds for which long work may keep the interpreter from the event loop."""


class FairThreads:
    """Threads for the work of several owners, of which each has one thread at a time.

    Args:
        threads: their number. Few: each thread that computes can delay the loop by the
            interpreter's switch interval.
        max_waiting: calls of one owner that may wait; None for no limit.
    """

    def __init__(self, threads: int, max_waiting: int | None = None) -> None:
        self._pool, self._free = WorkerPool(threads), threads
        self._max_waiting = max_waiting
        self._busy: set[str] = set()
        self._waiting: dict[str, deque[asyncio.Future[None]]] = {}

    async def run(self, owner: str, function: Callable[[], Result]) -> Result:
        """Call the function in a thread, when it is the owner's turn, and return its result.

        The call keeps its thread until it ends, also if the caller gives up.

        Raises:
            TooManyRequestsError: too many calls of this owner are waiting.
        """
        if not self._free or owner in self._busy or owner in self._waiting:
            await self._wait(owner)
        else:
            self._begin(owner)
        call = asyncio.ensure_future(self._pool.run(function))
        call.add_done_callback(partial(self._ended, owner))
        return await asyncio.shield(call)

    async def _wait(self, owner: str) -> None:
        waiting = self._waiting.setdefault(owner, deque())
        if self._max_waiting is not None and len(waiting) >= self._max_waiting:
            message = f"{self._max_waiting} long requests of one caller are waiting already"
            raise TooManyRequestsError(message, retry_after=_RETRY_S)
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting.append(granted)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled():
                self._release(owner)  # the thread was granted in the moment of the cancellation
            raise

    def _begin(self, owner: str) -> None:
        self._free -= 1
        self._busy.add(owner)

    def _ended(self, owner: str, call: "asyncio.Future[Any]") -> None:
        if not call.cancelled():
            call.exception()  # asyncio warns of an exception that no caller has retrieved
        self._release(owner)

    def _release(self, owner: str) -> None:
        """Give the thread to the first owner in turn that has none."""
        self._free += 1
        self._busy.discard(owner)
        for other in [*self._waiting]:
            waiting = self._waiting[other]
            while waiting and waiting[0].done():  # its caller gave up
                del waiting[0]
            if waiting and other in self._busy:
                continue
            del self._waiting[other]
            if waiting:
                granted = waiting.popleft()
                if waiting:
                    self._waiting[other] = waiting  # at the end: the other owners come first
                self._begin(other)
                granted.set_result(None)
                return


class ShortSwitches:
    """Shortens the interpreter's switch interval as long as there is long work.

    The event loop gives the interpreter away at each system call, and then waits for this interval
    while a thread computes. It is not short always, since the threads of the store would then
    interrupt the loop more often.
    """

    def __init__(self) -> None:
        self._count, self._usual = 0, 0.0

    def __enter__(self) -> None:
        if not self._count:
            self._usual = sys.getswitchinterval()
            sys.setswitchinterval(SWITCH_INTERVAL_S)
        self._count += 1

    def __exit__(self, *error: object) -> None:
        self._count -= 1
        if not self._count:
            sys.setswitchinterval(self._usual)


_short_switches = ShortSwitches()
_short, _long = FairThreads(1), FairThreads(2, _MAX_WAITING)


async def offload(function: Callable[..., Result], *arguments: Any, owner: str) -> Result:
    """Call a pure function that takes milliseconds in a thread and return its result."""
    return await _short.run(owner, partial(function, *arguments))


async def offload_long(function: Callable[..., Result], *arguments: Any) -> Result:
    """Call a pure function that may take seconds in a thread, in turns with other callers.

    Raises:
        TooManyRequestsError: too much work of the invocation's caller is waiting.
    """
    invocation = invocation_context.get()
    owner = invocation.caller.principal if isinstance(invocation, Invocation) else ""
    with _short_switches:
        return await _long.run(owner, partial(function, *arguments))
