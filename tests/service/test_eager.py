"""Eager start: a call that never waits needs no task; one that waits is resumed in its own."""

import asyncio
import gc
from collections.abc import AsyncIterator, Awaitable, Callable
from contextvars import ContextVar, copy_context
from typing import Any, NamedTuple

import pytest

from zato_lite.log import invocation_context
from zato_lite.service.containment import contain_tasks
from zato_lite.service.eager import EagerRunner, Stepper, Unstarted

VARIABLE = ContextVar("VARIABLE", default="clean")

Run = Callable[[Callable[[], Any]], Awaitable[Any]]


async def immediate(value: int) -> int:
    return value


async def later(value: int) -> int:
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return value


class Invocation(NamedTuple):
    cid: str = "K1"
    sink: None = None


@pytest.fixture
async def runner() -> AsyncIterator[EagerRunner]:
    """Return a runner with an idle task."""
    runner = EagerRunner(asyncio.get_running_loop(), copy_context())
    await make_idle(runner)
    yield runner
    runner.close()


async def make_idle(runner: EagerRunner) -> None:
    runner.resume(Unstarted(immediate, 0))
    await asyncio.sleep(0)


@pytest.fixture
def run(runner: EagerRunner) -> Run:
    """Run a call in a callback of the loop, as a timer or a transport does."""

    async def run(function: Callable[[], Any]) -> Any:
        return await in_callback(lambda: runner.run(lambda _: function(), None))

    return run


async def in_callback(function: Callable[[], Any]) -> Any:
    loop = asyncio.get_running_loop()
    done: asyncio.Future[Any] = loop.create_future()

    def call() -> None:
        try:
            done.set_result(function())
        except BaseException as error:  # noqa: BLE001 - it is raised in the test
            done.set_exception(error)

    loop.call_soon(call)
    return await done


async def test_a_call_that_never_waits_returns_its_result(run: Run) -> None:
    tasks = []

    async def ends() -> int:
        tasks.append(asyncio.current_task())
        return 5

    results = [await run(ends) for _ in range(3)]

    assert results == [5, 5, 5]
    assert len({*tasks}) == 1
    assert tasks[0] is not asyncio.current_task()


async def test_a_plain_function_is_called_in_the_idle_task(run: Run) -> None:
    assert await run(asyncio.current_task) is not asyncio.current_task()


async def test_a_call_that_waits_continues_in_the_task_in_which_it_began(
    runner: EagerRunner,
) -> None:
    seen, over = [], asyncio.Event()

    async def waits(_: None) -> None:
        seen.append(asyncio.current_task())
        try:
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()
        except TimeoutError:
            seen.append(asyncio.current_task())
            await asyncio.sleep(0)
            seen.append(asyncio.current_task())
            over.set()

    host = await in_callback(lambda: runner.resume(runner.run(waits, None)))
    await over.wait()

    assert {*seen} == {host.task}
    assert len(seen) == 3


async def test_the_rest_of_a_call_can_be_awaited_by_other_work(runner: EagerRunner) -> None:
    results = []

    async def work(rest: Awaitable[int]) -> None:
        results.append(await rest)

    await in_callback(lambda: runner.resume(runner.run(later, 5), work))
    await settle()

    assert results == [5]


async def test_a_task_whose_work_has_ended_is_reused(runner: EagerRunner) -> None:
    first = await in_callback(lambda: runner.resume(runner.run(later, 1)))
    await settle()
    second = await in_callback(lambda: runner.resume(runner.run(later, 2)))
    await settle()

    assert second is first


async def test_while_a_call_waits_another_call_gets_another_task(runner: EagerRunner) -> None:
    event = asyncio.Event()

    async def waits(_: int) -> None:
        await event.wait()

    first = await in_callback(lambda: runner.resume(runner.run(waits, 1)))
    rest = await in_callback(lambda: runner.run(waits, 2))
    second = runner.resume(rest)
    event.set()
    await settle()

    assert isinstance(rest, Unstarted)
    assert second is not first


async def test_within_a_task_a_call_does_not_begin(runner: EagerRunner) -> None:
    assert isinstance(runner.run(immediate, 1), Unstarted)


async def test_within_an_eager_call_another_one_does_not_begin(runner: EagerRunner) -> None:
    results: list[Any] = []

    def outer(_: None) -> str:
        inner = runner.run(immediate, 1)
        results.append(inner)
        results.append(runner.resume(inner).task)
        results.append(asyncio.current_task())
        return "done"

    assert await in_callback(lambda: runner.run(outer, None)) == "done"
    assert isinstance(results[0], Unstarted)
    assert results[1] is not results[2]


async def test_an_exception_in_the_first_step_is_raised_by_run(run: Run) -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await run(fails)
    while isinstance(rest := await run(lambda: 1), Unstarted):
        assert await rest == 1
        break


async def test_a_call_that_cancels_itself_is_cancelled_when_it_waits_and_no_other_is(
    runner: EagerRunner, run: Run
) -> None:
    received, over = [], asyncio.Event()

    async def cancels(_: None) -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            received.append(task.cancelling())
        over.set()

    async def ends() -> None:
        task = asyncio.current_task()
        assert task is not None
        received.append(task.cancelling())

    await in_callback(lambda: runner.resume(runner.run(cancels, None)))
    await over.wait()
    await settle()
    await make_idle(runner)
    await run(ends)

    assert received == [1, 0]


async def test_a_call_that_cancels_itself_and_ends_cancels_no_other(
    runner: EagerRunner, run: Run
) -> None:
    received: list[str] = []

    async def cancels() -> str:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        return "ended"

    async def waits(_: None) -> None:
        await asyncio.sleep(0)
        received.append("ran")

    ended = await run(cancels)
    await in_callback(lambda: runner.resume(runner.run(waits, None)))
    await settle()

    assert ended == "ended"
    assert received == ["ran"]


async def test_a_service_that_cancels_itself_and_ends_cancels_no_call_in_the_same_turn() -> None:
    loop, received = asyncio.get_running_loop(), []
    contain_tasks(loop)
    runner = EagerRunner(loop, copy_context())
    await make_idle(runner)

    async def cancels(_: None) -> str:
        token = invocation_context.set(Invocation())
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        invocation_context.reset(token)
        return "ended"

    async def waits(_: None) -> None:
        await asyncio.sleep(0)
        received.append("ran")

    def both() -> Any:
        return runner.run(cancels, None), runner.resume(runner.run(waits, None))

    ended, _ = await in_callback(both)
    await settle()
    runner.close()
    loop.set_task_factory(None)

    assert ended == "ended"
    assert received == ["ran"]


async def test_a_context_variable_is_not_seen_by_the_next_call(
    runner: EagerRunner, run: Run
) -> None:
    async def sets() -> str:
        seen = VARIABLE.get()
        VARIABLE.set("dirty")
        return seen

    first = await run(sets)
    await make_idle(runner)
    second = await run(sets)

    assert [first, second] == ["clean", "clean"]


async def test_a_context_variable_that_was_set_in_the_rest_is_not_seen_by_the_next_call(
    runner: EagerRunner, run: Run
) -> None:
    async def sets(_: None) -> None:
        await asyncio.sleep(0)
        VARIABLE.set("dirty")

    await in_callback(lambda: runner.resume(runner.run(sets, None)))
    await settle()
    await make_idle(runner)

    assert await run(VARIABLE.get) == "clean"


async def test_a_context_variable_is_kept_while_a_call_waits(runner: EagerRunner) -> None:
    seen = []

    async def sets(_: None) -> None:
        VARIABLE.set("mine")
        await asyncio.sleep(0)
        seen.append(VARIABLE.get())

    await in_callback(lambda: runner.resume(runner.run(sets, None)))
    await settle()

    assert seen == ["mine"]


async def test_an_idle_task_that_was_cancelled_is_replaced(runner: EagerRunner, run: Run) -> None:
    for task in asyncio.all_tasks() - {asyncio.current_task()}:
        task.cancel()

    rest = await run(lambda: 1)
    runner.resume(rest)
    await settle()

    assert isinstance(rest, Unstarted)
    assert await run(lambda: 1) == 1


async def test_a_task_that_is_cancelled_before_its_work_reports_its_end() -> None:
    ended: list[asyncio.Task[None]] = []
    runner = EagerRunner(asyncio.get_running_loop(), copy_context(), ended.append)
    await make_idle(runner)

    host = runner.resume(Unstarted(later, 1))
    host.task.cancel()
    await settle()
    gc.collect()  # no coroutine was made that would be reported as never awaited

    assert ended == [host.task]
    assert host.task.cancelled()


async def test_a_closed_runner_ends_its_tasks_when_their_work_has_ended(
    runner: EagerRunner,
) -> None:
    waiting = await in_callback(lambda: runner.resume(runner.run(later, 1)))
    runner.close()
    own = runner.resume(Unstarted(later, 2))
    await asyncio.wait([waiting.task, own.task], timeout=5)

    assert waiting.task.done()
    assert own.task.done()


async def settle() -> None:
    for _ in range(6):
        await asyncio.sleep(0)


async def test_a_stepper_runs_the_first_steps_of_several_coroutines() -> None:
    stepper = Stepper()

    found = []
    for number in range(3):
        assert stepper.send(immediate(number)) is stepper
        found.append(stepper.returned)

    assert found == [0, 1, 2]


async def test_a_coroutine_that_a_stepper_started_continues_where_it_is_awaited() -> None:
    stepper = Stepper()
    stepper.send(immediate(1))

    awaited = stepper.send(later(5))

    assert awaited is not stepper
    assert await stepper.suspended(awaited) == 5


async def test_an_exception_in_the_first_step_is_raised_by_send() -> None:
    async def fails() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        Stepper().send(fails())


async def test_a_later_exception_is_raised_where_the_rest_is_awaited() -> None:
    async def fails() -> None:
        await asyncio.sleep(0)
        raise KeyError("x")

    stepper = Stepper()
    rest = stepper.suspended(stepper.send(fails()))

    with pytest.raises(KeyError):
        await rest


async def test_a_cancellation_reaches_a_suspended_coroutine() -> None:
    seen: list[str] = []

    async def waits() -> None:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            seen.append("cancelled")
            raise

    async def whole() -> None:
        stepper = Stepper()
        await stepper.suspended(stepper.send(waits()))

    task = asyncio.create_task(whole())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert seen == ["cancelled"]
