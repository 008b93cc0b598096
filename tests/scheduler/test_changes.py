"""Edits, pauses and deletions: what was claimed early is taken back exactly."""

import asyncio

import pytest

from tests.scheduler.conftest import World
from zato_lite.errors import JobExistsError, JobNotFoundError
from zato_lite.timetable.job import SECOND


async def test_an_edit_takes_back_what_was_claimed_early(world: World) -> None:
    job_id = await world.create(trigger=world.once(10))
    await world.go(9.9)

    row = await world.edit(job_id, trigger=world.once(60))
    await world.go(1)

    assert world.calls == []
    assert await world.runs(job_id) == []
    assert row.next_at == world.clock.now() + 59 * SECOND
    await world.go(59)
    assert len(world.calls) == 1


async def test_an_edit_of_something_else_keeps_slot_and_grid(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    begin = world.clock.now()
    await world.go(9.9)

    await world.edit(job_id, extra="new")
    await world.go(0.1)

    runs = await world.runs(job_id)
    assert [(run.number, run.slot) for run in runs] == [(1, begin + 10 * SECOND)]
    assert world.calls[0].raw == "new"


async def test_a_deleted_job_runs_no_more_though_it_was_claimed(world: World) -> None:
    job_id = await world.create(trigger=world.once(10))
    await world.go(9.9)

    await world.jobs.delete(job_id)
    await world.go(1)

    assert world.calls == []
    with pytest.raises(JobNotFoundError, match="Job not found"):
        await world.jobs.get(job_id)


async def test_the_slots_of_a_pause_are_in_the_ledger_when_it_ends(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.go(10)
    await world.jobs.pause(job_id, "waiting for the bank")

    await world.go(45)
    await world.jobs.resume(job_id)
    await world.go(5)

    entries, _ = await world.jobs.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 4)]
    assert "waiting for the bank" in entries[0].reason
    assert await world.outcomes(job_id) == ["ok", "ok"]


async def test_a_pause_ends_by_itself_at_its_time(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.jobs.pause(job_id, until=world.clock.now() + 25 * SECOND)

    for _ in range(31):
        await world.go(1)

    assert await world.outcomes(job_id) == ["ok"]
    entries, _ = await world.jobs.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 2)]


async def test_the_whole_scheduler_stands_still_and_goes_on(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.jobs.pause_all("upgrade", "ann")

    await world.go(35)
    paused = await world.jobs.paused()
    await world.jobs.resume_all()
    await world.go(5)

    assert paused is not None
    assert (paused.note, paused.by) == ("upgrade", "ann")
    assert await world.outcomes(job_id) == ["ok"]
    entries, _ = await world.jobs.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 3)]


async def test_the_pause_of_all_takes_back_what_was_claimed_early(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.go(9.9)
    assert len(await world.runs(job_id)) == 1

    await world.jobs.pause_all()
    await world.go(1)
    again = await world.jobs.pause_all("twice")

    assert world.calls == []
    assert await world.runs(job_id) == []
    assert again.note == ""
    await world.jobs.resume_all()
    await world.go(9)
    assert [run.number for run in await world.runs(job_id)] == [1]


async def test_a_pause_that_has_ended_by_itself_is_over(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.jobs.pause(job_id, until=world.clock.now() + 5 * SECOND)
    paused = await world.jobs.get(job_id)

    await world.go(6)

    row = await world.jobs.get(job_id)
    assert paused.paused_since is not None
    assert (row.job.is_active, row.paused_since) == (True, None)


async def test_a_slot_may_be_skipped_on_request(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.go(9.8)
    await world.jobs.skip_next(job_id)

    await world.go(0.2)
    await world.go(10)

    assert len(await world.runs(job_id)) == 1
    assert (await world.jobs.get(job_id)).job.skip_next == 0


async def test_a_run_in_flight_is_cancelled(world: World) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)

    was_cancelled = await world.jobs.cancel_run(job_id, 1)
    await world.scheduler.wait_until_idle()

    assert was_cancelled
    assert await world.outcomes(job_id) == ["cancelled"]
    assert not await world.jobs.cancel_run(job_id, 1)


async def test_a_run_in_waiting_is_cancelled_and_the_next_goes_on(world: World) -> None:
    gate = world.gate("s")
    job_id = await world.create(on_overlap="queue_all")
    for _ in range(3):
        await world.go(1)

    assert await world.jobs.cancel_run(job_id, 2)
    gate.set()
    await world.scheduler.wait_until_idle()
    await world.calm()

    assert await world.outcomes(job_id) == ["ok", "cancelled", "ok"]


async def test_a_retry_that_waits_is_cancelled(world: World) -> None:
    world.fails("s")
    job_id = await world.create(trigger=world.once(1), max_retries=1, retry_delay_ms=10_000)
    await world.go(1)

    assert await world.jobs.cancel_run(job_id, 1)
    await world.go(20)

    assert len(world.calls) == 1
    assert await world.outcomes(job_id) == ["cancelled"]


async def test_a_finished_run_is_run_again_as_a_new_one(world: World) -> None:
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)

    number = await world.jobs.retry_run(job_id, 1)
    await world.scheduler.wait_until_idle()

    runs = await world.runs(job_id)
    assert number == 2
    assert runs[0].slot == runs[1].slot
    assert runs[1].kind == "retry"


async def test_slots_of_the_past_are_run_one_after_another(world: World) -> None:
    begin = world.clock.now()
    trigger = world.every(3600, start=begin - 10 * 3600 * SECOND)
    job_id = await world.create(trigger=trigger)

    numbers = await world.jobs.backfill(job_id, begin - 5 * 3600 * SECOND, begin - 3600 * SECOND)
    await world.scheduler.wait_until_idle()
    await world.calm()

    assert numbers == [1, 2, 3, 4, 5]
    assert await world.outcomes(job_id) == ["ok"] * 5


async def test_names_are_unique_and_a_group_is_created_whole_or_not_at_all(world: World) -> None:
    await world.create(name="a")

    results = await asyncio.gather(
        world.jobs.create([world.job(name="b"), world.job(name="a")]),
        world.jobs.create([world.job(name="c"), world.job(name="d")]),
        world.jobs.create([world.job(name="e"), world.job(name="e")]),
        return_exceptions=True,
    )

    assert [str(result) for result in results] == [
        "Job `a` already exists",
        "[2, 3]",
        "Job `e` already exists",
    ]
    rows, total = await world.jobs.list()
    assert [row.job.name for row in rows] == ["a", "c", "d"]
    assert total == 3


async def test_a_job_can_be_renamed_but_not_to_a_name_that_is_taken(world: World) -> None:
    job_id = await world.create(name="a")
    await world.create(name="b")

    with pytest.raises(JobExistsError, match="Job `b` already exists"):
        await world.edit(job_id, name="b")
    row = await world.edit(job_id, name="c")

    assert row.version == 2
    assert (await world.jobs.get_by_name("c")).id == job_id


async def test_jobs_are_found_by_words_and_service(world: World) -> None:
    for name, service in (("crm sync", "a"), ("crm_report", "b"), ("billing sync", "a")):
        await world.create(name=name, service=service)

    by_words, _ = await world.jobs.list("SYNC crm")
    by_service, total = await world.jobs.list(service="a", limit=1)
    by_underscore, _ = await world.jobs.list("m_r")

    assert [row.job.name for row in by_words] == ["crm sync"]
    assert ([row.job.name for row in by_service], total) == (["billing sync"], 2)
    assert [row.job.name for row in by_underscore] == ["crm_report"]


async def test_a_set_of_definitions_is_applied_whole_or_not_at_all(world: World) -> None:
    job_id = await world.create(name="a")

    with pytest.raises(JobExistsError):
        await world.jobs.apply([world.job(name="b")], {job_id: world.job(name="b")})
    applied = await world.jobs.apply([world.job(name="b")], {job_id: world.job(name="c")})

    rows, _ = await world.jobs.list()
    assert [row.job.name for row in rows] == ["b", "c"]
    assert (len(applied.created), list(applied.edited)) == (1, [job_id])


async def test_what_is_asked_of_no_job_is_an_error(world: World) -> None:
    for question in (world.jobs.execute(9), world.jobs.delete(9), world.jobs.resume(9)):
        with pytest.raises(JobNotFoundError, match="Job not found"):
            await question


async def test_a_service_is_invoked_later_without_a_job(world: World) -> None:
    run_id = await world.jobs.invoke_async(
        world.job(name="", service="mail", extra="hello", trigger=world.once(0)), "cid-1"
    )
    await world.scheduler.wait_until_idle()

    row = await world.jobs.run_by_id(run_id)
    assert row is not None
    assert (row.kind, row.outcome, row.service) == ("async", "ok", "mail")
    assert [(c.service, c.raw, c.cid) for c in world.calls] == [("mail", "hello", "cid-1")]
