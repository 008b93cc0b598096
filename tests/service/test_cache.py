import asyncio
import sys
import threading
from collections.abc import Callable
from typing import Any

from tests.service.running import (
    SteppedClock,
    run_async,
)
from zato_lite.service.base import Service
from zato_lite.service.cache import Cache


def test_a_cache_drops_an_expired_value() -> None:
    clock = SteppedClock()
    cache = Cache(clock)
    cache.set("a", 1, expiry=10)
    cache.set("b", 2)

    clock.passed = 10

    assert (cache.get("a"), cache.get("a", 7), cache.get("b")) == (None, 7, 2)
    assert "b" in cache
    assert "a" not in cache


def test_a_full_cache_drops_the_least_recently_used_value() -> None:
    cache = Cache(SteppedClock(), limit=2)
    cache.set("a", 1)
    cache.set("b", 2)
    cache.get("a")
    cache.set("c", 3)

    assert [key for key in "abc" if key in cache] == ["a", "c"]
    assert len(cache) == 2
    cache.delete("a")
    cache.delete("a")
    cache.clear()
    assert len(cache) == 0


async def test_services_share_the_cache() -> None:
    class Remembers(Service):
        name = "remembers"

        async def handle(self) -> None:
            self.cache.set("seen", self.cid)

    async def look(self: Service) -> Any:
        await self.invoke("remembers")
        return self.cache.get("seen")

    assert await run_async(look, Remembers) == "c1"


async def test_threads_may_use_the_cache_concurrently() -> None:
    cache = Cache(SteppedClock(), limit=2)
    before = sys.getswitchinterval()
    raised: list[BaseException] = []

    def use(action: Callable[[str], Any]) -> None:
        try:
            all_run.wait()
            for n in range(20_000):
                action("abc"[n % 3])
        except BaseException as error:  # noqa: BLE001 - told below
            raised.append(error)

    actions: list[Callable[[str], Any]] = [
        cache.get,
        lambda key: cache.set(key, 1),
        cache.delete,
        lambda _: cache.clear(),
    ]
    # Only once all have begun, so that they contend.
    all_run = threading.Barrier(len(actions), action=lambda: sys.setswitchinterval(1e-6))
    try:
        await asyncio.gather(*(asyncio.to_thread(use, action) for action in actions))
    finally:
        sys.setswitchinterval(before)

    assert raised == []
