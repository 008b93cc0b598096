"""``self.lock``: one at a time, on all nodes if the locks are kept in the store."""

import asyncio
import itertools
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Any, Self

from zato_lite.clock import Clock
from zato_lite.errors import UnavailableError
from zato_lite.service.ports import Locks

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.25


class LockTakenError(UnavailableError):
    """Somebody else has held the lock for longer than one was ready to wait."""


class LocalLocks:
    """Locks that only this process sees; the application's own go before them."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[int, float]] = {}
        self._tokens = itertools.count(1)

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Take a lock for ``ttl`` seconds: a token, or None if it is held."""
        now = self._clock.monotonic()
        if name in self._held and self._held[name][1] > now:
            return None
        token = next(self._tokens)
        self._held[name] = (token, now + ttl)
        return token

    async def renew(self, name: str, token: int, ttl: float) -> bool:
        """Hold it for ``ttl`` seconds from now; False if it has lapsed."""
        now = self._clock.monotonic()
        held, until = self._held.get(name, (0, 0.0))
        if held != token or until <= now:
            return False
        self._held[name] = (token, now + ttl)
        return True

    async def release(self, name: str, token: int) -> None:
        """Give it back; nothing happens if it has lapsed."""
        if self._held.get(name, (0, 0.0))[0] == token:
            del self._held[name]


class Lock:
    """A lock to be held for the length of a block: ``async with`` or, in a thread, ``with``.

    Attributes:
        token: grows with each holder; lets a slow one be told from the present one (fencing).
    """

    def __init__(
        self,
        locks: Locks,
        name: str,
        owner: str,
        times: tuple[float, float],
        wait: Callable[[Awaitable[Any]], Any],
    ) -> None:
        self.name = name
        self.token = 0
        self._locks = locks
        self._owner = owner
        self._ttl, self._block = times
        self._wait = wait

    async def renew(self) -> bool:
        """Hold it for its full time from now; False if it has lapsed."""
        return await self._locks.renew(self.name, self.token, self._ttl)

    async def __aenter__(self) -> Self:
        waited, pause = 0.0, _FIRST_WAIT
        while (token := await self._locks.acquire(self.name, self._owner, self._ttl)) is None:
            if waited >= self._block:
                raise LockTakenError(f"Lock `{self.name}` is held by somebody else")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_WAIT)
        self.token = token
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._locks.release(self.name, self.token)

    def __enter__(self) -> Self:
        self._wait(self.__aenter__())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._wait(self.__aexit__(kind, error, trace))
