"""What is begun by hand notices nothing of it, and leaves nothing behind."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextvars import ContextVar
from typing import Any, NamedTuple

import pytest

from zato_lite.log import invocation_context
from zato_lite.scheduler.steps import Steps
from zato_lite.service.containment import contain

Begin = Callable[[Coroutine[Any, Any, None]], Awaitable[bool | None]]

VARIABLE = ContextVar("VARIABLE", default="clean")


@pytest.fixture
async def steps() -> AsyncIterator[Steps]:
    steps = Steps()
    steps.start()
    yield steps
    steps.stop()


@pytest.fixture
def begin(steps: Steps) -> Begin:
    """Begin a coroutine in a callback, as an alarm does; None if it needs a task of its own."""

    async def begin(coroutine: Coroutine[Any, Any, None]) -> bool | None:
        done: asyncio.Future[bool | None] = asyncio.get_running_loop().create_future()

        def begin_now() -> None:
            if steps.task() is None:
                coroutine.close()
                done.set_result(None)
            else:
                done.set_result(steps.begin(coroutine))

        asyncio.get_running_loop().call_later(0, begin_now)
        return await done

    return begin


async def test_what_ends_in_its_first_step_needs_no_task(begin: Begin) -> None:
    tasks = []

    async def ends() -> None:
        tasks.append(asyncio.current_task())

    answers = [await begin(ends()) for _ in range(3)]

    assert answers == [False, False, False]
    assert len({*tasks}) == 1
    assert tasks[0] is not asyncio.current_task()


async def test_what_waits_goes_on_in_the_task_that_it_began_in(begin: Begin) -> None:
    seen, over = [], asyncio.Event()

    async def waits() -> None:
        seen.append(asyncio.current_task())
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())
            over.set()

    goes_on = await begin(waits())
    await over.wait()

    assert goes_on is True
    assert len(seen) == 3
    assert len({*seen}) == 1


async def test_who_cancels_itself_is_cancelled_when_it_waits_and_nobody_else_is(
    begin: Begin,
) -> None:
    heard, over = [], asyncio.Event()

    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            heard.append(task.cancelling())
        over.set()

    async def ends() -> None:
        task = asyncio.current_task()
        assert task is not None
        heard.append(task.cancelling())

    await begin(cancels())
    await over.wait()
    while await begin(ends()) is None:
        pass

    assert heard == [1, 0]


async def test_who_cancels_itself_and_ends_cancels_nobody_else(begin: Begin) -> None:
    heard, over = [], asyncio.Event()

    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    async def waits() -> None:
        await asyncio.sleep(0)
        heard.append("went on")
        over.set()

    ended = await begin(cancels())
    while await begin(waits()) is None:
        pass
    await over.wait()

    assert ended is False
    assert heard == ["went on"]


async def test_a_service_that_cancels_itself_and_ends_hits_nothing_in_the_same_turn() -> None:
    loop, heard, over = asyncio.get_running_loop(), [], asyncio.Event()
    contain(loop)
    steps = Steps()
    steps.start()

    async def cancels() -> None:
        token = invocation_context.set(_Invocation())
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        invocation_context.reset(token)

    async def waits() -> None:
        try:
            await asyncio.sleep(0)
            heard.append("went on")
        finally:
            over.set()

    def both() -> None:
        assert steps.task() is not None
        steps.begin(cancels())
        if steps.task() is not None:
            steps.begin(waits())
        else:
            others.append(loop.create_task(waits()))

    others: list[asyncio.Task[None]] = []
    await asyncio.sleep(0)
    loop.call_soon(both)
    await over.wait()
    steps.stop()
    loop.set_task_factory(None)

    assert heard == ["went on"]


class _Invocation(NamedTuple):
    cid: str = "K1"
    sink: None = None


async def test_a_variable_that_is_set_is_not_seen_by_the_next_one(begin: Begin) -> None:
    seen = []

    async def sets() -> None:
        seen.append(VARIABLE.get())
        VARIABLE.set("dirty")

    for _ in range(2):
        while await begin(sets()) is None:
            pass

    assert seen == ["clean", "clean"]


async def test_a_variable_is_kept_over_a_wait(begin: Begin) -> None:
    seen, over = [], asyncio.Event()

    async def sets() -> None:
        VARIABLE.set("mine")
        await asyncio.sleep(0)
        seen.append(VARIABLE.get())
        over.set()

    await begin(sets())
    await over.wait()

    assert seen == ["mine"]


async def test_all_tasks_may_be_cancelled_while_nothing_is_begun(begin: Begin) -> None:
    seen = []

    async def ends() -> None:
        seen.append("ran")

    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()
    while await begin(ends()) is None:
        pass

    assert seen == ["ran"]


async def test_within_a_task_nothing_is_begun_by_hand(steps: Steps) -> None:
    await asyncio.sleep(0)

    assert steps.task() is None
