import asyncio

import pytest

from zato_lite.errors import TooManyRequestsError
from zato_lite.http.throttle import FairQueue
from zato_lite.http.turns import Turns


async def hold(
    turns: Turns, name: str, rank: int, ended: list[str], may_end: asyncio.Event
) -> None:
    async with turns.turn(rank, name):
        await may_end.wait()
        ended.append(name)


async def begin(work: "asyncio.Task[None]") -> "asyncio.Task[None]":
    for _ in range(3):
        await asyncio.sleep(0)
    return work


async def test_waiters_get_places_by_rank() -> None:
    turns, ended, may_end = Turns(1), list[str](), asyncio.Event()
    tasks = [
        await begin(asyncio.create_task(hold(turns, name, rank, ended, may_end)))
        for name, rank in (("first", 4), ("low", 4), ("middle", 2), ("high", 0))
    ]

    may_end.set()
    await asyncio.gather(*tasks)

    assert ended == ["first", "high", "middle", "low"]
    async with asyncio.timeout(20), turns.turn(4, "again"):
        pass


async def test_a_cancelled_waiter_takes_no_place() -> None:
    turns, ended, may_end = Turns(1), list[str](), asyncio.Event()
    first, second, third = [
        await begin(asyncio.create_task(hold(turns, name, 0, ended, may_end)))
        for name in ("first", "second", "third")
    ]

    second.cancel()
    may_end.set()
    await asyncio.gather(first, second, third, return_exceptions=True)

    assert ended == ["first", "third"]
    async with asyncio.timeout(20), turns.turn(4, "again"):
        pass


async def test_a_waiter_cancelled_with_its_place_gives_it_back() -> None:
    turns, ended, may_end = Turns(1), list[str](), asyncio.Event()
    first = await begin(asyncio.create_task(hold(turns, "first", 0, ended, may_end)))
    second = await begin(asyncio.create_task(hold(turns, "second", 0, ended, may_end)))

    may_end.set()
    first.add_done_callback(lambda _: second.cancel())
    await asyncio.gather(first, second, return_exceptions=True)

    async with asyncio.timeout(20), turns.turn(4, "again"):
        pass


async def test_who_is_displaced_is_refused() -> None:
    turns, ended, may_end = Turns(1, FairQueue(capacity=1)), list[str](), asyncio.Event()
    tasks = [
        await begin(asyncio.create_task(hold(turns, name, rank, ended, may_end)))
        for name, rank in (("first", 4), ("low", 4), ("high", 0), ("late", 3))
    ]

    may_end.set()
    found = await asyncio.gather(*tasks, return_exceptions=True)

    refused = [error for error in found if isinstance(error, TooManyRequestsError)]
    assert len(refused) == 2
    assert all(error.retry_after for error in refused)
    assert ended == ["first", "high"]


async def test_an_error_gives_the_place_back() -> None:
    turns = Turns(1)

    with pytest.raises(ZeroDivisionError):
        async with turns.turn(0, ""):
            raise ZeroDivisionError

    async with asyncio.timeout(20), turns.turn(0, ""):
        pass
