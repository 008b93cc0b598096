"""What comes between a claim and its slot, between two edits, between one life and the next."""

import asyncio
from pathlib import Path

import msgspec

from tests.scheduler.conftest import World, world_on
from zato_lite.service.message import Invocation
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, OneTime


async def test_many_deferred_jobs_run_at_their_slot(world: World) -> None:
    slot = world.clock.now() + 10 * SECOND
    jobs = [
        world.job(name=f"j{n}", trigger=OneTime(start=slot), on_crash="fail") for n in range(1000)
    ]
    await world.jobs.create(jobs)
    await world.go(9.7)

    assert world.clock.next_alarm == slot


async def test_a_pre_claimed_run_respects_a_run_on_demand(world: World) -> None:
    gate = world.gate("s")
    job_id = await world.create(trigger=world.every(10))
    await world.go(9.7)
    await world.jobs.execute(job_id)
    await world.calm()
    await world.go(0.3)

    in_flight = world.scheduler.in_flight
    gate.set()
    await world.scheduler.wait_until_idle()
    assert in_flight == 1


async def test_a_job_that_pauses_itself_starts_no_ghost(world: World) -> None:
    world.fails("s")
    job_id = await world.create(trigger=world.every(10), pause_after_failures=1)
    await world.go(9.6)
    await world.jobs.execute(job_id)
    await world.calm()
    calls = len(world.calls)
    row = await world.jobs.get(job_id)
    await world.go(0.4)

    assert not row.job.is_active
    assert len(world.calls) == calls, "the paused job's service ran, and no run is kept of it"


async def test_a_deleted_job_with_jitter_runs_no_more(world: World) -> None:
    job_id = await world.create(trigger=world.every(10), jitter_ms=5_000)
    row = await world.jobs.get(job_id)
    left = ((row.next_at or 0) - world.clock.now()) / SECOND
    assert left > 10.6
    await world.go(left - 0.2)
    await world.jobs.delete(job_id)
    await world.go(0.3)

    assert world.calls == []


async def test_a_paused_job_with_jitter_starts_nothing(world: World) -> None:
    job_id = await world.create(trigger=world.every(10), jitter_ms=5_000)
    row = await world.jobs.get(job_id)
    left = ((row.next_at or 0) - world.clock.now()) / SECOND
    await world.go(left - 0.2)
    await world.jobs.pause(job_id)
    await world.go(0.3)

    assert world.calls == []


async def test_a_deleted_catch_up_runs_no_more(world: World) -> None:
    job_id = await world.create(
        trigger=world.every(10), on_missed="run_all", catch_up_rate=1, on_overlap="allow"
    )
    world.clock.advance(seconds=100)
    for _ in range(6):
        await world.go(0.1)
    await world.go(0.2)  # 0.8: the next is claimed for 1.0
    calls = len(world.calls)
    await world.jobs.delete(job_id)
    await world.go(0.5)

    assert len(world.calls) == calls


async def test_the_paused_scheduler_starts_nothing(world: World) -> None:
    await world.create(trigger=world.every(10))
    await world.go(9.7)
    await world.jobs.pause_all("upgrade")
    await world.go(0.3)

    assert world.calls == []


async def test_slots_of_a_pause_are_accounted_for_when_the_trigger_is_edited(
    world: World,
) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.jobs.pause(job_id, "bank")
    await world.go(45)
    await world.edit(job_id, trigger=world.every(60))
    await world.jobs.resume(job_id)

    entries, _ = await world.jobs.ledger(job_id)
    assert sum(e.count for e in entries) == 4


async def test_an_edit_of_the_end_keeps_the_count_of_runs(world: World) -> None:
    job_id = await world.create(trigger=world.every(10), repeats=3)
    for _ in range(2):
        await world.go(10)
    row = await world.jobs.get(job_id)
    await world.edit(
        job_id,
        trigger=msgspec.structs.replace(row.job.trigger, end=world.clock.now() + 86400 * SECOND),
    )
    for _ in range(6):
        await world.go(10)

    assert len(world.calls) == 3


async def test_a_finished_one_time_job_does_not_run_again_when_its_end_is_edited(
    world: World,
) -> None:
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    row = await world.jobs.get(job_id)
    await world.edit(
        job_id,
        trigger=msgspec.structs.replace(row.job.trigger, end=world.clock.now() + 86400 * SECOND),
    )
    await world.go(1)

    assert len(world.calls) == 1


async def test_more_repeats_do_not_make_old_slots_due(world: World) -> None:
    job_id = await world.create(trigger=world.every(10), repeats=2)
    for _ in range(2):
        await world.go(10)
    await world.go(1005)
    await world.edit(job_id, repeats=3)
    await world.go(0)

    entries, _ = await world.jobs.ledger(job_id)
    assert len(world.calls) == 2, [(e.outcome, e.count, e.reason) for e in entries]


async def test_a_step_back_and_an_edit_fire_no_slot_twice(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    gate = world.gate("s")
    await world.go(9.7)
    await world.go(0.3)
    assert len(world.calls) == 1
    world.clock.set(world.clock.now() - 5 * SECOND)
    await world.edit(job_id, extra="new")
    gate.set()
    await world.scheduler.wait_until_idle()
    await world.go(5)

    slots = [call.job.slot for call in world.calls if call.job]
    assert len(slots) == len(set(slots)), slots


async def test_a_failed_run_of_a_deleted_job_is_not_tried_again(world: World) -> None:
    opened = asyncio.Event()

    async def fail(invocation: Invocation) -> None:
        await opened.wait()
        raise ValueError

    world.services["s"] = fail
    job_id = await world.create(trigger=world.once(1), max_retries=3, retry_delay_ms=1000)
    await world.go(1)
    await world.jobs.delete(job_id)
    opened.set()
    await world.calm()
    for _ in range(5):
        await world.go(2)

    assert len(world.calls) == 1


async def test_a_deleted_job_whose_run_waits_for_room_runs_no_more(world: World) -> None:
    gate = world.gate("s")
    await world.create(name="a", trigger=world.once(1), max_concurrent=1)
    second = await world.create(name="b", trigger=world.once(1), max_concurrent=1)
    await world.go(1)
    await world.jobs.delete(second)
    gate.set()
    await world.calm()

    assert len(world.calls) == 1


async def test_the_end_of_a_pause_by_itself_is_the_end_of_it(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.jobs.pause(job_id, until=world.clock.now() + 5 * SECOND)
    for _ in range(11):
        await world.go(1)

    row = await world.jobs.get(job_id)
    assert row.job.is_active
    assert row.paused_since is None


async def test_a_slot_that_was_handed_back_is_not_run_late_when_it_is_to_be_skipped(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "a.db"
    async with world_on(path, clock) as w:
        await w.create(trigger=w.every(10), on_missed="skip")
        await w.go(9.7)
    clock.advance(hours=2)
    async with world_on(path, clock) as w:
        await w.calm()
        await w.go(0)
        calls = list(w.calls)
    assert calls == []


async def test_ledger_rows_do_not_span_runs(world: World) -> None:
    cal = Calendar(name="wk", weekdays=(5, 6))
    await world.jobs.save_calendar(cal)
    job_id = await world.create(
        trigger=world.every(86400), calendar="wk", on_missed="run_all", on_overlap="allow"
    )
    await world.go(86400 * 20)
    for _ in range(5):
        await world.go(1)

    entries, _ = await world.jobs.ledger(job_id)
    runs = await world.runs(job_id)
    inside = [r.slot for r in runs for e in entries if e.first <= r.slot <= e.last]
    assert not inside


async def test_a_job_that_is_created_during_a_claim_is_not_slept_over(world: World) -> None:
    await world.go(100)

    for number in range(20):
        await asyncio.gather(
            world.scheduler.tick(), world.create(name=f"j{number}", trigger=world.once(1))
        )
        alarm = world.clock.next_alarm
        assert alarm is not None
        assert alarm <= world.clock.now() + SECOND
        await world.go(1)

    assert len(world.calls) == 20
