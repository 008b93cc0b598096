import asyncio
import itertools
import threading
from collections.abc import Iterator

import pytest
import uvloop

from zato_lite import Service
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation
from zato_lite.service.registry import Registry
from zato_lite.service.watchdog import Watchdog


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def loop(request: pytest.FixtureRequest) -> Iterator[asyncio.AbstractEventLoop]:
    loop: asyncio.AbstractEventLoop = request.param()
    yield loop
    loop.close()


def test_a_service_that_blocks_the_loop_is_named_with_its_stack(
    loop: asyncio.AbstractEventLoop,
) -> None:
    dog = Watchdog(limit=0.02)

    class Blocks(Service):
        name = "blocks"

        async def handle(self) -> None:
            for _ in range(500):
                if dog.stalls:
                    break
                threading.Event().wait(0.01)

    registry = Registry()
    registry.add(Blocks)

    async def run() -> None:
        async with dog:
            await Invoker(registry).run(Invocation("blocks"))

    loop.run_until_complete(run())

    assert dog.stalls[-1].service == "blocks"
    assert "threading.Event().wait(0.01)" in dog.stalls[-1].stack


async def test_a_loop_that_is_not_blocked_is_not_reported() -> None:
    async with Watchdog(limit=5) as dog:
        await asyncio.sleep(0)

    assert dog.stalls == []


def test_an_idle_loop_is_not_woken() -> None:
    loop = uvloop.new_event_loop()
    signs = 0
    ask = loop.call_soon_threadsafe

    def count(*values: object, **options: object) -> object:
        nonlocal signs
        signs += threading.current_thread().name == "zato-lite-watchdog"
        return ask(*values, **options)  # type: ignore[arg-type]

    loop.call_soon_threadsafe = count  # type: ignore[assignment]

    async def rest() -> None:
        async with Watchdog(limit=0.01):
            await asyncio.sleep(0.5)

    loop.run_until_complete(rest())
    loop.close()

    assert 0 < signs < 20  # of some hundred looks


async def test_the_longest_lag_of_the_loop_is_measured() -> None:
    times = itertools.count()
    async with Watchdog(limit=0.01, monotonic=lambda: next(times) / 8) as dog:
        while not dog.lag:  # noqa: ASYNC110 - a thread of its own
            await asyncio.sleep(0)

    assert dog.lag == 0.125


def test_an_idle_loop_is_soon_known_to_have_no_lag() -> None:
    loop = uvloop.new_event_loop()
    times = itertools.chain([0.0, 5.0], itertools.repeat(5.0))  # the first sign takes 5 s
    dog = Watchdog(limit=0.002, monotonic=lambda: next(times))
    looks = 0
    over_wait = dog._is_stopped.wait

    def count(timeout: float | None = None) -> bool:
        nonlocal looks
        looks += 1
        return over_wait(timeout)

    dog._is_stopped.wait = count  # type: ignore[method-assign]

    async def rest() -> float:
        async with dog:
            while not dog.lag:  # noqa: ASYNC110 - a thread of its own
                await asyncio.sleep(0)
            was = dog.lag
            seen = looks
            # Not twenty times as many looks as are remembered.
            while dog.lag and looks < seen + 1_000:  # noqa: ASYNC110 - as above
                await asyncio.sleep(0.02)
        return was

    assert loop.run_until_complete(rest()) == 5.0
    loop.close()
    assert dog.lag == 0.0
