import asyncio

import pytest

from zato_lite.service.supervisor import Supervisor


async def until(event: asyncio.Event) -> None:
    await asyncio.wait_for(event.wait(), 10)


async def test_work_is_repeated_until_the_supervisor_is_stopped() -> None:
    done, calls = asyncio.Event(), list[int]()

    async def work() -> None:
        calls.append(1)
        await asyncio.sleep(0)
        if len(calls) == 3:
            done.set()

    async with Supervisor("counting", work):
        await until(done)
    count = len(calls)
    await asyncio.sleep(0)

    assert count == len(calls) >= 3


async def test_failed_work_is_logged_and_retried(caplog: pytest.LogCaptureFixture) -> None:
    resumed, restarts, calls = asyncio.Event(), list[int](), list[int]()

    async def work() -> None:
        calls.append(1)
        if len(calls) <= 2:
            raise ValueError("store is away")
        if len(calls) == 4:
            resumed.set()
            await asyncio.Event().wait()

    supervisor = Supervisor(
        "saving", work, min_delay_s=0.001, on_restart=lambda: restarts.append(1)
    )
    async with supervisor:
        await until(resumed)

    events = [(record.message, getattr(record, "work", "")) for record in caplog.records]
    assert events == [("work failed", "saving")] * 2 + [("work resumed", "saving")]
    assert len(restarts) == 2
    assert supervisor.failures.count == 0


@pytest.mark.parametrize("has_started", [True, False])
async def test_work_that_a_service_cancels_is_restarted(
    has_started: bool, caplog: pytest.LogCaptureFixture
) -> None:
    started, restarted = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        started.set()
        await asyncio.Event().wait()

    async with Supervisor("watching", work, on_restart=restarted.set):
        if has_started:
            await until(started)
        task = next(task for task in asyncio.all_tasks() if task.get_name() == "watching")
        started.clear()
        task.cancel()
        await until(restarted)
        await until(started)

    messages = [record.message for record in caplog.records]
    assert messages == ["task restarted after a service cancelled it"]
