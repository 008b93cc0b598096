"""Changes reach all runs that have not started: pauses, edits, renames and deletions."""

from typing import Any

import pytest

from tests.scheduler.conftest import Harness, Place, open_harness
from tests.scheduler.test_crashes import restart
from zato_lite.errors import ConflictError
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND, Interval


def names(harness: Harness) -> list[str]:
    return [call.job.name if call.job is not None else call.service for call in harness.calls]


async def pause_job(harness: Harness, job_id: int) -> None:
    await harness.jobs.pause(job_id)


async def edit_job(harness: Harness, job_id: int) -> None:
    await harness.edit(job_id, is_active=False)


async def pause_all(harness: Harness, job_id: int) -> None:
    await harness.jobs.pause_all("maintenance")


async def resume(harness: Harness, job_id: int) -> None:
    await harness.jobs.resume(job_id)
    await harness.jobs.resume_all()


PAUSES = [pause_job, edit_job, pause_all]


async def queue(harness: Harness, count: int = 4) -> int:
    """Let a run be in flight, and others wait behind it; return the job's id."""
    gate = harness.block("s")
    job_id = await harness.create(on_overlap="queue_all")
    for _ in range(count):
        await harness.advance(1)
    assert len(harness.calls) == 1
    harness.gates["s"] = gate
    return job_id


@pytest.mark.parametrize("pause", PAUSES)
async def test_queued_runs_wait_for_the_end_of_a_pause(harness: Harness, pause: Any) -> None:
    job_id = await queue(harness)
    await pause(harness, job_id)
    harness.gates["s"].set()
    for _ in range(5):
        await harness.advance(1)
    held = len(harness.calls)

    await resume(harness, job_id)
    for _ in range(5):
        await harness.settle()

    assert held == 1
    assert [run.number for run in await harness.runs(job_id)][:4] == [1, 2, 3, 4]
    assert {run.outcome for run in await harness.runs(job_id)} == {"ok"}
    slots = [run.slot for run in await harness.runs(job_id)]
    assert slots == sorted(slots)
    entries, _ = await harness.history.ledger(job_id)
    assert [entry.outcome for entry in entries] == ["paused"]


@pytest.mark.parametrize("pause", PAUSES)
async def test_a_retry_waits_for_the_end_of_a_pause(harness: Harness, pause: Any) -> None:
    harness.fail("s")
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, retry_delay_ms=5_000)
    await harness.advance(1)
    await pause(harness, job_id)
    await harness.advance(60)
    held = len(harness.calls)

    await resume(harness, job_id)
    await harness.settle()
    await harness.advance(1)

    assert held == 1
    assert len(harness.calls) == 2
    assert await harness.outcomes(job_id) == ["error"]


@pytest.mark.parametrize("pause", PAUSES)
async def test_a_run_that_fails_during_a_pause_is_retried_after_it(
    harness: Harness, pause: Any
) -> None:
    gate = harness.block("s")
    waiting = harness.services["s"]

    async def fail_at_the_gate(invocation: Any) -> None:
        await waiting(invocation)
        raise ValueError("broken")

    harness.services["s"] = fail_at_the_gate
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, retry_delay_ms=1_000)
    await harness.advance(1)
    await pause(harness, job_id)
    gate.set()
    for _ in range(3):
        await harness.advance(10)
    held = len(harness.calls)

    await resume(harness, job_id)
    await harness.settle()
    await harness.advance(1)

    assert held == 1
    assert await harness.outcomes(job_id) == ["error"]
    assert len(harness.calls) == 2


@pytest.mark.parametrize("pause", PAUSES)
async def test_held_runs_outlive_their_process(harness: Harness, pause: Any) -> None:
    job_id = await queue(harness)
    await pause(harness, job_id)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        for _ in range(3):
            await restarted.advance(10)
        assert names(restarted) == []

        await resume(restarted, job_id)
        for _ in range(5):
            await restarted.settle()
        runs = [run for run in await restarted.runs(job_id) if run.number <= 4]

    assert [(run.number, run.outcome, run.attempt) for run in runs] == [
        (1, "ok", 2),
        (2, "ok", 1),
        (3, "ok", 1),
        (4, "ok", 1),
    ]


@pytest.mark.parametrize("pause", PAUSES)
async def test_runs_on_demand_start_during_a_pause(harness: Harness, pause: Any) -> None:
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    await pause(harness, job_id)
    start = harness.clock.now()

    await harness.jobs.execute(job_id)
    await harness.jobs.retry_run(job_id, 1)
    await harness.edit(job_id, trigger=Interval(start=start - 3 * SECOND, seconds=1))
    await harness.jobs.backfill(job_id, start - 3 * SECOND, start - SECOND)
    await harness.scheduler.wait_until_idle()
    for _ in range(4):
        await harness.settle()

    assert len(harness.calls) == 1 + 2 + 3


async def test_callbacks_wait_for_the_end_of_a_pause_of_the_scheduler(harness: Harness) -> None:
    await harness.create(name="after", trigger=harness.once(9_999))
    gate = harness.block("s")
    await harness.create(
        name="first",
        trigger=harness.once(1),
        on_success_job="after",
        on_success_service="told",
    )
    await harness.advance(1)
    await harness.jobs.pause_all()
    gate.set()
    await harness.advance(20)
    held = names(harness)

    await harness.jobs.resume_all()
    for _ in range(4):
        await harness.settle()

    assert held == ["first"]
    assert sorted(names(harness)[1:]) == ["after", "told"]


async def test_a_pause_with_an_end_releases_what_it_held(harness: Harness) -> None:
    job_id = await queue(harness)
    await harness.jobs.pause(job_id, until=harness.clock.now() + 5 * SECOND)
    harness.gates["s"].set()
    await harness.advance(4)
    held = len(harness.calls)

    for _ in range(6):
        await harness.advance(1)

    assert held == 1
    runs = await harness.runs(job_id)
    assert [run.outcome for run in runs[:4]] == ["ok"] * 4
    started = [run.started_at or 0 for run in runs]
    assert started == sorted(started)


async def test_another_process_starts_no_held_run(place: Place) -> None:
    clock = ManualClock()
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        gate = first.block("s")
        second.block("s")
        await first.scheduler.tick()
        job_id = await first.create(on_overlap="queue_all")
        await first.advance(1)
        for _ in range(3):
            await second.advance(1)
        await first.jobs.pause(job_id)
        gate.set()
        for _ in range(4):
            await second.advance(1)
            await first.settle()
        assert len(first.calls) + len(second.calls) == 1


@pytest.mark.parametrize(
    ("change", "seen"),
    [
        ({"service": "other"}, "other"),
        ({"extra": "new"}, "new"),
        ({"max_execution_time_ms": 7_000}, 7_000),
    ],
)
async def test_an_edit_reaches_queued_runs(
    harness: Harness, change: dict[str, Any], seen: Any
) -> None:
    job_id = await queue(harness, 2)
    await harness.edit(job_id, **change)
    harness.gates["s"].set()
    await harness.wait_for(lambda: len(harness.calls) == 2)

    call = harness.calls[1]
    assert call.until is not None
    timeout = (call.until - harness.clock.now()) // 1_000
    assert seen in (call.service, call.raw, timeout)


async def test_an_edit_reaches_a_retry_and_fewer_retries_end_it(harness: Harness) -> None:
    harness.fail("s")
    fields = {"max_retries": 3, "retry_delay_ms": 3_600_000, "on_error_service": "alarm"}
    ended = await harness.create(name="a", trigger=harness.once(1), **fields)
    other = await harness.create(name="b", trigger=harness.once(1), **fields)
    await harness.advance(1)

    await harness.edit(ended, max_retries=0)
    await harness.edit(other, service="other")
    await harness.settle()
    run = (await harness.runs(ended))[0]
    assert (run.outcome, "`max_retries` was reduced to 0" in (run.error or "")) == ("error", True)
    assert [call.service for call in harness.calls] == ["s", "s", "alarm"]

    await harness.advance(3_600)
    await harness.settle()
    assert await harness.outcomes(other) == ["ok"]
    assert harness.calls[-1].service == "other"


async def test_a_rename_takes_callbacks_along(harness: Harness) -> None:
    target = await harness.create(name="t1", trigger=harness.once(9_999))
    gate = harness.block("s")
    fields = {"on_success_job": "t1", "on_error_job": "t1", "trigger": harness.once(1)}
    source = await harness.create(name="s1", **fields)
    both = await harness.jobs.create(
        [harness.job(name=f"s{number}", **fields) for number in (2, 3)]
    )
    await harness.advance(1)

    await harness.edit(target, name="t2")
    gate.set()  # also runs in flight call it by its new name
    await harness.scheduler.wait_until_idle()
    await harness.settle()

    for job_id in (source, *both):
        job = (await harness.jobs.get(job_id)).job
        assert (job.on_success_job, job.on_error_job) == ("t2", "t2")
    assert names(harness).count("t2") == 3


async def test_a_job_that_is_called_back_is_not_deleted(harness: Harness) -> None:
    target = await harness.create(name="t", trigger=harness.once(9_999))
    source = await harness.create(name="s", on_error_job="t", trigger=harness.once(9_999))
    with pytest.raises(ConflictError, match=r"job `t` is called back by `s` \(on_error_job\)"):
        await harness.jobs.delete(target)

    await harness.edit(source, on_error_job=None)
    await harness.jobs.delete(target)
    assert [row.job.name for row in (await harness.jobs.list())[0]] == ["s"]


@pytest.mark.parametrize("circle", [["a", "b"], ["a", "b", "c"]])
async def test_a_circle_of_callbacks_ends_with_its_path(
    harness: Harness, circle: list[str]
) -> None:
    following = [*circle[1:], circle[0]]
    jobs = [
        harness.job(name=name, on_success_job=after, trigger=harness.once(9_999))
        for name, after in zip(circle, following, strict=True)
    ]
    [first, *_] = await harness.jobs.create(jobs)
    await harness.jobs.execute(first)
    for _ in range(200):
        await harness.settle()

    runs = await harness.runs()
    assert len(harness.calls) == 65
    failed = [run for run in runs if run.outcome == "error"]
    assert len(failed) == 1
    assert " → ".join([*circle, circle[0]]) in (failed[0].error or "")
