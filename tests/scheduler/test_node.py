"""Two nodes on one store, each of which knows only its own runs."""

import asyncio
from pathlib import Path

from tests.scheduler.conftest import Harness, open_harness
from zato_lite.errors import BadInputError
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.calendar import Calendar


async def test_an_edit_by_the_other_process_makes_no_slot_run_twice(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "z.db"
    async with open_harness(path, clock) as first, open_harness(path, clock) as second:
        job_id = await first.create(trigger=first.every(5))
        await first.advance(4.7)
        await second.edit(job_id, extra="new")
        clock.advance(seconds=0.3)
        await second.scheduler.tick()
        await second.settle()
        await first.settle()

        slots = [call.job.slot for call in (*first.calls, *second.calls) if call.job]
        assert len(slots) == len(set(slots)) == 1


async def test_nothing_is_claimed_early_as_soon_as_there_are_two(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "z.db"
    async with open_harness(path, clock) as first, open_harness(path, clock) as second:
        job_id = await first.create(trigger=first.every(5))
        await first.advance(4.7)
        await second.jobs.delete(job_id)
        clock.advance(seconds=0.3)
        await first.settle()

        assert first.calls == []


async def test_a_queued_run_waits_for_the_one_of_the_other_process(
    tmp_path: Path, clock: ManualClock
) -> None:
    path = tmp_path / "z.db"
    async with open_harness(path, clock) as first, open_harness(path, clock) as second:
        gate = first.block("s")
        second.services["s"] = first.services["s"]
        job_id = await first.create(trigger=first.every(5), on_overlap="queue_one")
        await first.advance(5)
        clock.advance(seconds=5)
        await second.scheduler.tick()
        await second.settle()
        await first.settle()
        together = first.scheduler.in_flight + second.scheduler.in_flight
        gate.set()
        await first.scheduler.wait_until_idle()
        await second.settle()  # what it asked meanwhile is answered: it asks again from then on
        clock.advance(seconds=1)
        for _ in range(50):  # the other process asks the store again, in turns of its own
            await second.settle()
            await second.scheduler.wait_until_idle()
            if await first.outcomes(job_id) == ["ok", "ok"]:
                break

        assert together == 1
        assert [run.outcome for run in await first.runs(job_id)] == ["ok", "ok"]


async def test_a_definition_that_cannot_be_kept_harms_no_other_of_the_same_turn(
    harness: Harness,
) -> None:
    good, bad = await asyncio.gather(
        harness.jobs.create([harness.job(name="good")]),
        harness.jobs.create([harness.job(name="bad", extra="\udce9")]),
        return_exceptions=True,
    )

    assert good == [1]
    assert isinstance(bad, BadInputError)


async def test_two_runs_are_in_flight_where_two_are_allowed(harness: Harness) -> None:
    gate = harness.block("s")
    await harness.create(trigger=harness.every(10), max_parallel=2)
    await harness.advance(10)
    await harness.advance(10)
    calls = len(harness.calls)
    gate.set()

    assert calls == 2


async def test_a_row_of_the_ledger_spans_no_run(harness: Harness) -> None:
    calendar = Calendar(name="weekend", weekdays=(6,))
    await harness.calendars.save_calendar(calendar)
    job_id = await harness.create(
        trigger=harness.every(86_400), calendar="weekend", on_missed="run_all", on_overlap="allow"
    )
    await harness.advance(86_400 * 20)
    await harness.advance(1)

    entries, _ = await harness.history.ledger(job_id)
    slots = [run.slot for run in await harness.runs(job_id)]
    assert entries
    assert not [slot for slot in slots for e in entries if e.first <= slot <= e.last]
