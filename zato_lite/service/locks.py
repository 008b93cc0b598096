"""``self.lock``: mutual exclusion, on all nodes if the locks are in the store."""

import asyncio
import itertools
from collections.abc import Awaitable, Coroutine
from typing import Any, Protocol, Self, TypeVar

from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, UnavailableError
from zato_lite.service.needs import Locks

T = TypeVar("T")

_FIRST_WAIT, _LONGEST_WAIT = 0.005, 0.25


MAX_NAME = 500
"""Characters of a lock's name at most: PostgreSQL's index keeps no longer ones."""


def _checked(name: Any) -> str:
    """Return a name of a lock that every store can keep.

    Raises:
        BadInputError: it is not such a name.
    """
    is_text = isinstance(name, str) and len(name) <= MAX_NAME and "\0" not in name
    if is_text and name == name.encode("utf-8", "ignore").decode():
        return str(name)
    allowed = f"a text of at most {MAX_NAME} characters, without null characters"
    raise BadInputError(f"lock: {name!r:.100} is not a valid name; use {allowed}")


class LockTakenError(UnavailableError):
    """The lock was held by another owner for the whole time of waiting."""


class LocalLocks:
    """Locks of this process, used if the application provides none."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._held: dict[str, tuple[int, float]] = {}
        self._tokens = itertools.count(1)

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Acquire a lock for ``ttl`` seconds; return a token, or None if it is held."""
        now = self._clock.monotonic()
        if name in self._held and self._held[name][1] > now:
            return None
        token = next(self._tokens)
        self._held[name] = (token, now + ttl)
        return token

    async def renew(self, name: str, token: int, ttl: float) -> bool:
        """Hold the lock for ``ttl`` seconds from now; return False if it has lapsed."""
        now = self._clock.monotonic()
        held, until = self._held.get(name, (0, 0.0))
        if held != token or until <= now:
            return False
        self._held[name] = (token, now + ttl)
        return True

    async def release(self, name: str, token: int) -> None:
        """Release the lock; do nothing if it has lapsed."""
        if self._held.get(name, (0, 0.0))[0] == token:
            del self._held[name]


class Threads(Protocol):
    """Access to the loop from worker threads."""

    def wait(self, awaitable: Awaitable[T]) -> T:
        """Await in the loop and return the result."""
        ...

    def finish(self, coroutine: Coroutine[Any, Any, None]) -> None:
        """Run in the loop, also for a thread whose invocation was given up."""
        ...


class Lock:
    """A lock that is held during a block: ``async with self.lock("name")``.

    The end of the block releases it. If the service is cancelled while it waits for the lock, the
    lock is released as soon as it is acquired.

    Attributes:
        token: fencing token; it grows with each holder.
    """

    def __init__(self, locks: Locks, name: str, owner: str, times: tuple[float, float]) -> None:
        self.name = _checked(name)
        self.token = 0
        self._is_held = False
        self._locks = locks
        self._owner = owner
        self._ttl, self._block = times

    async def renew(self) -> bool:
        """Hold the lock for its full time from now; return False if it has lapsed."""
        return await self._locks.renew(self.name, self.token, self._ttl)

    async def __aenter__(self) -> Self:
        waited, pause = 0.0, _FIRST_WAIT
        while (token := await self._acquire()) is None:
            if waited >= self._block:
                raise LockTakenError(f"Lock `{self.name}` is held by another owner")
            await asyncio.sleep(pause)
            waited, pause = waited + pause, min(2 * pause, _LONGEST_WAIT)
        self.token, self._is_held = token, True
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.release()

    async def release(self) -> None:
        """Release the lock; do nothing if it is not held."""
        if self._is_held:
            self._is_held = False
            await asyncio.shield(_referenced(self._locks.release(self.name, self.token)))

    async def _acquire(self) -> int | None:
        """Try once. If this is cancelled meanwhile, release the lock once it is acquired."""
        attempt = _referenced(self._locks.acquire(self.name, self._owner, self._ttl))
        try:
            return await asyncio.shield(attempt)
        except asyncio.CancelledError:
            attempt.add_done_callback(self._release_unused)
            raise

    def _release_unused(self, attempt: asyncio.Task[int | None]) -> None:
        if attempt.cancelled() or attempt.exception() is not None:
            return
        if (token := attempt.result()) is not None:
            _ = _referenced(self._locks.release(self.name, token))


class BlockingLock:
    """``Lock`` in a worker thread: ``with self.lock("name")``.

    The end of the block releases it even if the invocation was given up.
    """

    def __init__(self, lock: Lock, threads: Threads) -> None:
        self._lock = lock
        self._threads = threads

    @property
    def name(self) -> str:
        """Return the name of the lock."""
        return self._lock.name

    @property
    def token(self) -> int:
        """Return the fencing token; it grows with each holder."""
        return self._lock.token

    def renew(self) -> bool:
        """Hold the lock for its full time from now; return False if it has lapsed."""
        return self._threads.wait(self._lock.renew())

    def __enter__(self) -> Self:
        try:
            self._threads.wait(self._lock.__aenter__())
        except BaseException:
            self._threads.finish(self._lock.release())  # it may have been acquired meanwhile
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._threads.finish(self._lock.release())


_running: set[asyncio.Task[Any]] = set()


def _referenced(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Return a task that is kept referenced until it ends, as the loop holds tasks weakly."""
    task = asyncio.ensure_future(coroutine)
    _running.add(task)
    task.add_done_callback(_running.discard)
    return task
