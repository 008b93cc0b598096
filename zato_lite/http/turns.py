"""Turns: a few places for costly checks, given fairly to those who wait."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from zato_lite.errors import TooManyRequestsError
from zato_lite.http.throttle import FairQueue

_RETRY_S = 5


class Turns:
    """Semaphore whose waiters are ordered by rank and network."""

    def __init__(self, places: int, queue: FairQueue[asyncio.Future[None]] | None = None) -> None:
        self._free = places
        self._waiting: FairQueue[asyncio.Future[None]] = FairQueue() if queue is None else queue

    @asynccontextmanager
    async def turn(self, rank: int, network: str) -> AsyncIterator[None]:
        """Wait for a place, and hold it as long as the block lasts.

        Raises:
            TooManyRequestsError: too many are waiting.
        """
        if self._free and not self._waiting:
            self._free -= 1
        else:
            await self._wait(rank, network)
        try:
            yield
        finally:
            self._release()

    async def _wait(self, rank: int, network: str) -> None:
        granted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        displaced = self._waiting.put(granted, rank, network)
        if displaced is not None and not displaced.done():
            error = TooManyRequestsError(
                "Too many sign-ins in progress; try again later", retry_after=_RETRY_S
            )
            displaced.set_exception(error)
        try:
            await granted
        except asyncio.CancelledError:
            if granted.done() and not granted.cancelled() and granted.exception() is None:
                self._release()  # the place was granted in the moment of the cancellation
            raise

    def _release(self) -> None:
        while (granted := self._waiting.take()) is not None:
            if not granted.done():
                granted.set_result(None)
                return
        self._free += 1
