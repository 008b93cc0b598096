"""Edits, pauses and deletions: claims made ahead are revoked exactly."""

import asyncio

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.errors import JobExistsError, JobNotFoundError
from zato_lite.timetable.job import SECOND


async def test_an_edit_takes_back_what_was_claimed_early(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(10))
    await harness.advance(9.9)

    row = await harness.edit(job_id, trigger=harness.once(60))
    await harness.advance(1)

    assert harness.calls == []
    assert await harness.runs(job_id) == []
    assert row.next_at == harness.clock.now() + 59 * SECOND
    await harness.advance(59)
    assert len(harness.calls) == 1


async def test_an_edit_of_something_else_keeps_slot_and_grid(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    begin = harness.clock.now()
    await harness.advance(9.9)

    await harness.edit(job_id, extra="new")
    await harness.advance(0.1)

    runs = await harness.runs(job_id)
    assert [(run.number, run.slot) for run in runs] == [(1, begin + 10 * SECOND)]
    assert harness.calls[0].raw == "new"


async def test_a_deleted_job_runs_no_more_though_it_was_claimed(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(10))
    await harness.advance(9.9)

    await harness.jobs.delete(job_id)
    await harness.advance(1)

    assert harness.calls == []
    with pytest.raises(JobNotFoundError, match="Job not found"):
        await harness.jobs.get(job_id)


async def test_the_slots_of_a_pause_are_in_the_ledger_when_it_ends(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.advance(10)
    await harness.jobs.pause(job_id, "waiting for the bank")

    await harness.advance(45)
    await harness.jobs.resume(job_id)
    await harness.advance(5)

    entries, _ = await harness.history.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 4)]
    assert "waiting for the bank" in entries[0].reason
    assert await harness.outcomes(job_id) == ["ok", "ok"]


async def test_a_pause_ends_at_its_time_without_a_command(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.jobs.pause(job_id, until=harness.clock.now() + 25 * SECOND)

    for _ in range(31):
        await harness.advance(1)

    assert await harness.outcomes(job_id) == ["ok"]
    entries, _ = await harness.history.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 2)]


async def test_all_jobs_are_paused_and_resumed_together(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.jobs.pause_all("upgrade", "ann")

    await harness.advance(35)
    paused = await harness.jobs.paused()
    await harness.jobs.resume_all()
    await harness.advance(5)

    assert paused is not None
    assert (paused.note, paused.by) == ("upgrade", "ann")
    assert await harness.outcomes(job_id) == ["ok"]
    entries, _ = await harness.history.ledger(job_id)
    assert [(entry.outcome, entry.count) for entry in entries] == [("paused", 3)]


async def test_the_pause_of_all_takes_back_what_was_claimed_early(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.advance(9.9)
    assert len(await harness.runs(job_id)) == 1

    await harness.jobs.pause_all()
    await harness.advance(1)
    again = await harness.jobs.pause_all("twice")

    assert harness.calls == []
    assert await harness.runs(job_id) == []
    assert again.note == ""
    await harness.jobs.resume_all()
    await harness.advance(9)
    assert [run.number for run in await harness.runs(job_id)] == [1]


async def test_a_pause_that_has_reached_its_end_is_over(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.jobs.pause(job_id, until=harness.clock.now() + 5 * SECOND)
    paused = await harness.jobs.get(job_id)

    await harness.advance(6)

    row = await harness.jobs.get(job_id)
    assert paused.paused_since is not None
    assert (row.job.is_active, row.paused_since) == (True, None)


async def test_a_slot_may_be_skipped_on_request(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.advance(9.8)
    await harness.jobs.skip_next(job_id)

    await harness.advance(0.2)
    await harness.advance(10)

    assert len(await harness.runs(job_id)) == 1
    assert (await harness.jobs.get(job_id)).job.skip_next == 0


async def test_a_run_in_flight_is_cancelled(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    was_cancelled = await harness.jobs.cancel_run(job_id, 1)
    await harness.scheduler.wait_until_idle()

    assert was_cancelled
    assert await harness.outcomes(job_id) == ["cancelled"]
    assert not await harness.jobs.cancel_run(job_id, 1)


async def test_a_waiting_run_is_cancelled_and_the_next_one_starts(harness: Harness) -> None:
    gate = harness.block("s")
    job_id = await harness.create(on_overlap="queue_all")
    for _ in range(3):
        await harness.advance(1)

    assert await harness.jobs.cancel_run(job_id, 2)
    gate.set()
    await harness.scheduler.wait_until_idle()
    await harness.settle()

    assert await harness.outcomes(job_id) == ["ok", "cancelled", "ok"]


async def test_a_retry_that_waits_is_cancelled(harness: Harness) -> None:
    harness.fail("s")
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, retry_delay_ms=10_000)
    await harness.advance(1)

    assert await harness.jobs.cancel_run(job_id, 1)
    await harness.advance(20)

    assert len(harness.calls) == 1
    assert await harness.outcomes(job_id) == ["cancelled"]


async def test_a_finished_run_is_run_again_as_a_new_one(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    number = await harness.jobs.retry_run(job_id, 1)
    await harness.scheduler.wait_until_idle()

    runs = await harness.runs(job_id)
    assert number == 2
    assert runs[0].slot == runs[1].slot
    assert runs[1].kind == "retry"


async def test_slots_of_the_past_are_run_one_after_another(harness: Harness) -> None:
    begin = harness.clock.now()
    trigger = harness.every(3600, start=begin - 10 * 3600 * SECOND)
    job_id = await harness.create(trigger=trigger)

    numbers = await harness.jobs.backfill(job_id, begin - 5 * 3600 * SECOND, begin - 3600 * SECOND)
    await harness.scheduler.wait_until_idle()
    await harness.settle()

    assert numbers == [1, 2, 3, 4, 5]
    assert await harness.outcomes(job_id) == ["ok"] * 5


async def test_names_are_unique_and_a_group_is_created_whole_or_not_at_all(
    harness: Harness,
) -> None:
    await harness.create(name="a")

    results = await asyncio.gather(
        harness.jobs.create([harness.job(name="b"), harness.job(name="a")]),
        harness.jobs.create([harness.job(name="c"), harness.job(name="d")]),
        harness.jobs.create([harness.job(name="e"), harness.job(name="e")]),
        return_exceptions=True,
    )

    assert [str(result) for result in results] == [
        "Job `a` already exists",
        "[2, 3]",
        "Job `e` already exists",
    ]
    rows, total = await harness.jobs.list()
    assert [row.job.name for row in rows] == ["a", "c", "d"]
    assert total == 3


async def test_a_job_can_be_renamed_but_not_to_a_name_that_is_taken(harness: Harness) -> None:
    job_id = await harness.create(name="a")
    await harness.create(name="b")

    with pytest.raises(JobExistsError, match="Job `b` already exists"):
        await harness.edit(job_id, name="b")
    row = await harness.edit(job_id, name="c")

    assert row.version == 2
    assert (await harness.jobs.get_by_name("c")).id == job_id


async def test_jobs_are_found_by_words_and_service(harness: Harness) -> None:
    for name, service in (("crm sync", "a"), ("crm_report", "b"), ("billing sync", "a")):
        await harness.create(name=name, service=service)

    by_words, _ = await harness.jobs.list("SYNC crm")
    by_service, total = await harness.jobs.list(service="a", limit=1)
    by_underscore, _ = await harness.jobs.list("m_r")

    assert [row.job.name for row in by_words] == ["crm sync"]
    assert ([row.job.name for row in by_service], total) == (["billing sync"], 2)
    assert [row.job.name for row in by_underscore] == ["crm_report"]


async def test_a_set_of_definitions_is_applied_whole_or_not_at_all(harness: Harness) -> None:
    job_id = await harness.create(name="a")

    with pytest.raises(JobExistsError):
        await harness.jobs.apply([harness.job(name="b")], {job_id: harness.job(name="b")})
    applied = await harness.jobs.apply([harness.job(name="b")], {job_id: harness.job(name="c")})

    rows, _ = await harness.jobs.list()
    assert [row.job.name for row in rows] == ["b", "c"]
    assert (len(applied.created), list(applied.edited)) == (1, [job_id])


async def test_what_is_asked_of_no_job_is_an_error(harness: Harness) -> None:
    for question in (harness.jobs.execute(9), harness.jobs.delete(9), harness.jobs.resume(9)):
        with pytest.raises(JobNotFoundError, match="Job not found"):
            await question


async def test_a_service_is_invoked_later_without_a_job(harness: Harness) -> None:
    run_id = await harness.jobs.invoke_async(
        harness.job(name="", service="mail", extra="hello", trigger=harness.once(0)), "cid-1"
    )
    await harness.scheduler.wait_until_idle()

    row = await harness.history.run_by_id(run_id)
    assert row is not None
    assert (row.kind, row.outcome, row.service) == ("async", "ok", "mail")
    assert [(c.service, c.raw, c.cid) for c in harness.calls] == [("mail", "hello", "cid-1")]
