"""First steps made by hand: what does not wait is done, what waits goes on where it is awaited."""

import asyncio

import pytest

from zato_lite.service.eager import Stepper


async def now(value: int) -> int:
    return value


async def later(value: int) -> int:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return value


async def test_a_stepper_makes_the_first_steps_of_many() -> None:
    stepper = Stepper()

    found = []
    for number in range(3):
        assert stepper.send(now(number)) is stepper
        found.append(stepper.returned)

    assert found == [0, 1, 2]


async def test_what_waits_is_given_away_and_goes_on_where_it_is_awaited() -> None:
    stepper = Stepper()
    stepper.send(now(1))

    awaited = stepper.send(later(5))

    assert awaited is not stepper
    assert await stepper.begun(awaited) == 5


async def test_what_is_raised_in_the_first_step_is_raised_by_it() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Stepper().send(fails())


async def test_what_is_raised_later_is_raised_where_it_is_awaited() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    stepper = Stepper()
    begun = stepper.begun(stepper.send(fails()))

    with pytest.raises(KeyError):
        await begun


async def test_a_cancellation_reaches_what_was_given_away() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def whole() -> None:
        stepper = Stepper()
        await stepper.begun(stepper.send(waits()))

    task = asyncio.create_task(whole())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert seen == ["cancelled"]
