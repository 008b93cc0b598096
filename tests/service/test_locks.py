import asyncio
import threading
from typing import Any

import pytest

from tests.service.running import (
    SteppedClock,
    run_async,
    run_blocking,
    wait_until,
)
from zato_lite.errors import BadInputError
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.invoker import Invoker
from zato_lite.service.locks import LocalLocks, LockTakenError
from zato_lite.service.message import Invocation
from zato_lite.service.needs import Locks
from zato_lite.service.registry import Registry


class SlowLocks(LocalLocks):
    """Locks that are had, and given back, when a test says so."""

    def __init__(self) -> None:
        super().__init__(SteppedClock())
        self.may_go_on = asyncio.Event()
        self.asked = asyncio.Event()

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        self.asked.set()
        token = await super().acquire(name, owner, ttl)
        await self.may_go_on.wait()
        return token

    @property
    def held(self) -> list[str]:
        return [*self._held]


async def test_a_lock_has_one_holder_at_a_time() -> None:
    inside_now, most = 0, 0

    class Locks(Service):
        name = "locks"

        async def handle(self) -> int:
            nonlocal inside_now, most
            async with self.lock("the-one") as lock:
                inside_now += 1
                most = max(most, inside_now)
                await asyncio.sleep(0)
                inside_now -= 1
                return lock.token

    tokens = await run_async(
        lambda self: self.patterns.parallel([("locks", None) for _ in range(3)]), Locks
    )

    assert most == 1
    assert len({*tokens}) == 3


async def test_a_lock_that_stays_held_is_an_error() -> None:
    async def body(self: Service) -> None:
        async with self.lock():
            with pytest.raises(LockTakenError, match="Lock `outer` is held by another owner"):
                async with self.lock(block=0):
                    pass

    await run_async(body)


async def test_a_lock_can_be_renewed_until_it_has_lapsed() -> None:
    clock = SteppedClock()

    async def body(self: Service) -> list[bool]:
        async with self.lock("a", ttl=10) as lock:
            clock.passed = 9
            renewed = [await lock.renew()]
            clock.passed = 18
            renewed.append(await lock.renew())
            clock.passed = 40
            renewed.append(await lock.renew())
            return renewed

    assert await run_async(body, clock=clock) == [True, True, False]


async def test_a_lapsed_lock_goes_to_the_next_with_a_greater_token() -> None:
    clock = SteppedClock()
    locks = LocalLocks(clock)
    first = await locks.acquire("a", "x", 10)
    assert await locks.acquire("a", "y", 10) is None

    clock.passed = 10
    second = await locks.acquire("a", "y", 10)
    assert first is not None
    await locks.release("a", first)

    assert second is not None
    assert second > first
    assert await locks.acquire("a", "x", 10) is None


@pytest.mark.parametrize("is_blocking", [False, True])
async def test_a_lock_that_is_acquired_too_late_is_released(is_blocking: bool) -> None:
    class Async(Service):
        name = "locks"

        async def handle(self) -> None:
            async with self.lock("a", ttl=60):
                pass

    class Blocking(BlockingService):
        name = "locks"

        def handle(self) -> None:
            with self.lock("a", ttl=60):
                pass

    registry, locks = Registry(), SlowLocks()
    registry.add(Blocking if is_blocking else Async)
    invoker = Invoker(registry, resources={Locks: locks})

    running = asyncio.create_task(invoker.run(Invocation("locks")))
    await locks.asked.wait()
    running.cancel()
    await asyncio.wait([running])
    locks.may_go_on.set()

    await wait_until(lambda: not locks.held and not invoker.pool.abandoned)
    assert locks.held == []


async def test_a_thread_past_its_deadline_releases_its_lock_when_it_leaves_the_block() -> None:
    may_leave, has_left = threading.Event(), threading.Event()

    class Holds(BlockingService):
        name = "holds"

        def handle(self) -> None:
            with self.lock("a", ttl=30):
                may_leave.wait()
            has_left.set()

    registry, locks = Registry(), LocalLocks(SteppedClock())
    registry.add(Holds)
    invoker = Invoker(registry, resources={Locks: locks})

    # Long enough for the thread to take the lock on a busy machine.
    outcome = await invoker.run(Invocation("holds", timeout=0.3))
    assert outcome.is_timeout
    assert await locks.acquire("a", "x", 1) is None
    may_leave.set()
    await asyncio.to_thread(has_left.wait, 5)

    await wait_until(lambda: not locks._held)
    assert await locks.acquire("a", "x", 1) is not None


async def test_a_lock_is_released_although_its_release_is_cancelled() -> None:
    class SlowRelease(LocalLocks):
        asked, may_go_on = asyncio.Event(), asyncio.Event()

        async def release(self, name: str, token: int) -> None:
            self.asked.set()
            await self.may_go_on.wait()
            await super().release(name, token)

    class Holds(Service):
        name = "holds"

        async def handle(self) -> None:
            async with self.lock("a"):
                pass

    registry, locks = Registry(), SlowRelease(SteppedClock())
    registry.add(Holds)
    running = asyncio.create_task(
        Invoker(registry, resources={Locks: locks}).run(Invocation("holds"))
    )
    await locks.asked.wait()
    running.cancel()
    await asyncio.wait([running])
    locks.may_go_on.set()

    await wait_until(lambda: not locks._held)


async def test_a_blocking_service_renews_its_lock() -> None:
    clock = SteppedClock()

    def body(self: BlockingService) -> list[bool]:
        with self.lock("a", ttl=10) as lock:
            clock.passed = 9
            renewed = [lock.renew()]
            clock.passed = 40
            return [*renewed, lock.renew(), lock.token > 0]

    assert await run_blocking(body, clock=clock) == [True, False, True]


@pytest.mark.parametrize("given", ["a\0b", "x" * 501, "\ud800", 7])
async def test_a_name_that_a_store_cannot_keep_is_refused(given: Any) -> None:
    async def body(service: Service[Any, Any]) -> None:
        async with service.lock(given):
            raise AssertionError("the lock is held")

    with pytest.raises(BadInputError) as caught:
        await run_async(body)

    assert str(caught.value).startswith(f"lock: {given!r:.100} is not a valid name")
