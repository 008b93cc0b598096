"""``self.lock``: one at a time, on all nodes if the locks are kept in the store."""

import asyncio
import itertools
from collections.abc import Awaitable, Coroutine
from types import TracebackType
from typing import Any, Protocol, Self, TypeVar

from zato_lite.clock import Clock
from zato_lite.errors import UnavailableError
from zato_lite.service.needs import Locks

T = TypeVar("T")

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


class Threads(Protocol):
    """The way from a worker thread to the loop."""

    def wait(self, awaitable: Awaitable[T]) -> T:
        """What the loop makes of it."""
        ...

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Have the loop do it, also for a thread that nobody waits for any more."""
        ...


class Lock:
    """A lock to be held for the length of a block: ``async with self.lock("name")``.

    Whatever ends the block gives it back, and one that is still waited for when the service is
    cancelled is given back as soon as it is had.

    Attributes:
        token: grows with each holder; lets a slow one be told from the present one (fencing).
    """

    def __init__(self, locks: Locks, name: str, owner: str, times: tuple[float, float]) -> None:
        self.name = name
        self.token = 0
        self._is_held = False
        self._locks = locks
        self._owner = owner
        self._ttl, self._block = times

    async def renew(self) -> bool:
        """Hold it for its full time from now; False if it has lapsed."""
        return await self._locks.renew(self.name, self.token, self._ttl)

    async def __aenter__(self) -> Self:
        waited, pause = 0.0, _FIRST_WAIT
        while (token := await self._acquire()) is None:
            if waited >= self._block:
                raise LockTakenError(f"Lock `{self.name}` is held by somebody else")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_WAIT)
        self.token, self._is_held = token, True
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.give_back()

    async def give_back(self) -> None:
        """Hold it no longer; nothing happens if it is not held."""
        if self._is_held:
            self._is_held = False
            await asyncio.shield(_kept(self._locks.release(self.name, self.token)))

    async def _acquire(self) -> int | None:
        """Ask once. Who is cancelled meanwhile may have got it: then it is given back."""
        asking = _kept(self._locks.acquire(self.name, self._owner, self._ttl))
        try:
            return await asyncio.shield(asking)
        except asyncio.CancelledError:
            asking.add_done_callback(self._give_back_unused)
            raise

    def _give_back_unused(self, asked: asyncio.Task[int | None]) -> None:
        if asked.cancelled() or asked.exception() is not None:
            return
        if (token := asked.result()) is not None:
            _ = _kept(self._locks.release(self.name, token))


class BlockingLock:
    """The same in a worker thread: ``with self.lock("name")``.

    A thread that nobody waits for any more still gives it back when it leaves the block.
    """

    def __init__(self, lock: Lock, threads: Threads) -> None:
        self._lock = lock
        self._threads = threads

    @property
    def name(self) -> str:
        """What is locked."""
        return self._lock.name

    @property
    def token(self) -> int:
        """Grows with each holder; lets a slow one be told from the present one (fencing)."""
        return self._lock.token

    def renew(self) -> bool:
        """Hold it for its full time from now; False if it has lapsed."""
        return self._threads.wait(self._lock.renew())

    def __enter__(self) -> Self:
        try:
            self._threads.wait(self._lock.__aenter__())
        except BaseException:
            self._threads.finish(self._lock.give_back())  # it may have come in the last moment
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.finish(self._lock.give_back())


_under_way: set[asyncio.Task[Any]] = set()


def _kept(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """A task that goes on when whoever awaits it is cancelled; the loop alone would forget it."""
    task = asyncio.ensure_future(coroutine)
    _under_way.add(task)
    task.add_done_callback(_under_way.discard)
    return task
