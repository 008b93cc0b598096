"""Changes and crashes between a claim and its slot, and between two changes."""

import asyncio

import msgspec

from tests.scheduler.conftest import Harness, Place, open_harness
from zato_lite.service.message import Invocation
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, OneTime


async def test_many_deferred_jobs_run_at_their_slot(harness: Harness) -> None:
    slot = harness.clock.now() + 10 * SECOND
    jobs = [
        harness.job(name=f"j{n}", trigger=OneTime(start=slot), on_crash="fail")
        for n in range(1000)
    ]
    await harness.jobs.create(jobs)
    await harness.advance(9.7)

    assert harness.clock.next_alarm == slot


async def test_a_pre_claimed_run_respects_a_run_on_demand(harness: Harness) -> None:
    gate = harness.block("s")
    job_id = await harness.create(trigger=harness.every(10))
    await harness.advance(9.7)
    await harness.jobs.execute(job_id)
    await harness.settle()
    await harness.advance(0.3)

    in_flight = harness.scheduler.in_flight
    gate.set()
    await harness.scheduler.wait_until_idle()
    assert in_flight == 1


async def test_a_job_that_pauses_itself_starts_no_ghost(harness: Harness) -> None:
    harness.fail("s")
    job_id = await harness.create(trigger=harness.every(10), pause_after_failures=1)
    await harness.advance(9.6)
    await harness.jobs.execute(job_id)
    await harness.settle()
    calls = len(harness.calls)
    row = await harness.jobs.get(job_id)
    await harness.advance(0.4)

    assert not row.job.is_active
    assert len(harness.calls) == calls, "the paused job's service ran, and no run is kept of it"


async def test_a_deleted_job_with_jitter_runs_no_more(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10), jitter_ms=5_000)
    row = await harness.jobs.get(job_id)
    left = ((row.next_at or 0) - harness.clock.now()) / SECOND
    assert left > 10.6
    await harness.advance(left - 0.2)
    await harness.jobs.delete(job_id)
    await harness.advance(0.3)

    assert harness.calls == []


async def test_a_paused_job_with_jitter_starts_nothing(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10), jitter_ms=5_000)
    row = await harness.jobs.get(job_id)
    left = ((row.next_at or 0) - harness.clock.now()) / SECOND
    await harness.advance(left - 0.2)
    await harness.jobs.pause(job_id)
    await harness.advance(0.3)

    assert harness.calls == []


async def test_a_deleted_catch_up_runs_no_more(harness: Harness) -> None:
    job_id = await harness.create(
        trigger=harness.every(10), on_missed="run_all", catch_up_rate=1, on_overlap="allow"
    )
    harness.clock.advance(seconds=100)
    for _ in range(6):
        await harness.advance(0.1)
    await harness.advance(0.2)  # 0.8: the next is claimed for 1.0
    calls = len(harness.calls)
    await harness.jobs.delete(job_id)
    await harness.advance(0.5)

    assert len(harness.calls) == calls


async def test_the_paused_scheduler_starts_nothing(harness: Harness) -> None:
    await harness.create(trigger=harness.every(10))
    await harness.advance(9.7)
    await harness.jobs.pause_all("upgrade")
    await harness.advance(0.3)

    assert harness.calls == []


async def test_slots_of_a_pause_are_accounted_for_when_the_trigger_is_edited(
    harness: Harness,
) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.jobs.pause(job_id, "bank")
    await harness.advance(45)
    await harness.edit(job_id, trigger=harness.every(60))
    await harness.jobs.resume(job_id)

    entries, _ = await harness.history.ledger(job_id)
    assert sum(e.count for e in entries) == 4


async def test_an_edit_of_the_end_keeps_the_count_of_runs(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10), repeats=3)
    for _ in range(2):
        await harness.advance(10)
    row = await harness.jobs.get(job_id)
    await harness.edit(
        job_id,
        trigger=msgspec.structs.replace(row.job.trigger, end=harness.clock.now() + 86400 * SECOND),
    )
    for _ in range(6):
        await harness.advance(10)

    assert len(harness.calls) == 3


async def test_a_finished_one_time_job_does_not_run_again_when_its_end_is_edited(
    harness: Harness,
) -> None:
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    row = await harness.jobs.get(job_id)
    await harness.edit(
        job_id,
        trigger=msgspec.structs.replace(row.job.trigger, end=harness.clock.now() + 86400 * SECOND),
    )
    await harness.advance(1)

    assert len(harness.calls) == 1


async def test_more_repeats_do_not_make_old_slots_due(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10), repeats=2)
    for _ in range(2):
        await harness.advance(10)
    await harness.advance(1005)
    await harness.edit(job_id, repeats=3)
    await harness.advance(0)

    entries, _ = await harness.history.ledger(job_id)
    assert len(harness.calls) == 2, [(e.outcome, e.count, e.reason) for e in entries]


async def test_a_step_back_and_an_edit_fire_no_slot_twice(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    gate = harness.block("s")
    await harness.advance(9.7)
    await harness.advance(0.3)
    assert len(harness.calls) == 1
    harness.clock.set(harness.clock.now() - 5 * SECOND)
    await harness.edit(job_id, extra="new")
    gate.set()
    await harness.scheduler.wait_until_idle()
    await harness.advance(5)

    slots = [call.job.slot for call in harness.calls if call.job]
    assert len(slots) == len(set(slots)), slots


async def test_a_failed_run_of_a_deleted_job_is_not_tried_again(harness: Harness) -> None:
    opened = asyncio.Event()

    async def fail(invocation: Invocation) -> None:
        await opened.wait()
        raise ValueError

    harness.services["s"] = fail
    job_id = await harness.create(trigger=harness.once(1), max_retries=3, retry_delay_ms=1000)
    await harness.advance(1)
    await harness.jobs.delete(job_id)
    opened.set()
    await harness.settle()
    for _ in range(5):
        await harness.advance(2)

    assert len(harness.calls) == 1


async def test_a_deleted_job_whose_run_waits_for_room_runs_no_more(harness: Harness) -> None:
    gate = harness.block("s")
    await harness.create(name="a", trigger=harness.once(1), max_concurrent=1)
    second = await harness.create(name="b", trigger=harness.once(1), max_concurrent=1)
    await harness.advance(1)
    await harness.jobs.delete(second)
    gate.set()
    await harness.settle()

    assert len(harness.calls) == 1


async def test_a_pause_that_ends_at_its_time_leaves_no_trace_in_the_job(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.jobs.pause(job_id, until=harness.clock.now() + 5 * SECOND)
    for _ in range(11):
        await harness.advance(1)

    row = await harness.jobs.get(job_id)
    assert row.job.is_active
    assert row.paused_since is None


async def test_a_slot_that_was_handed_back_is_not_run_late_when_it_is_to_be_skipped(
    place: Place, clock: ManualClock
) -> None:
    async with open_harness(place, clock) as harness:
        await harness.create(trigger=harness.every(10), on_missed="skip")
        await harness.advance(9.7)
    clock.advance(hours=2)
    async with open_harness(place, clock) as harness:
        await harness.settle()
        await harness.advance(0)
        calls = list(harness.calls)
    assert calls == []


async def test_ledger_rows_do_not_span_runs(harness: Harness) -> None:
    cal = Calendar(name="wk", weekdays=(5, 6))
    await harness.calendars.save_calendar(cal)
    job_id = await harness.create(
        trigger=harness.every(86400), calendar="wk", on_missed="run_all", on_overlap="allow"
    )
    await harness.advance(86400 * 20)
    for _ in range(5):
        await harness.advance(1)

    entries, _ = await harness.history.ledger(job_id)
    runs = await harness.runs(job_id)
    inside = [r.slot for r in runs for e in entries if e.first <= r.slot <= e.last]
    assert not inside


async def test_a_job_that_is_created_during_a_claim_is_not_slept_over(harness: Harness) -> None:
    await harness.advance(100)

    for number in range(20):
        await asyncio.gather(
            harness.scheduler.tick(), harness.create(name=f"j{number}", trigger=harness.once(1))
        )
        alarm = harness.clock.next_alarm
        assert alarm is not None
        assert alarm <= harness.clock.now() + SECOND
        await harness.advance(1)

    assert len(harness.calls) == 20
