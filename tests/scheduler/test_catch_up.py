"""Catch-up after a long downtime: every slot gets a run, in order, at the rate of its job."""

from pathlib import Path

import pytest

from tests.scheduler.conftest import open_harness
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND

HOURS_12 = 12 * 3_600


@pytest.mark.slow
async def test_twelve_hours_of_slots_are_caught_up_to_the_last(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_harness(tmp_path / "z.db", clock) as first:
        begin = clock.now()
        job_id = await first.create(
            trigger=first.every(1), on_missed="run_all", catch_up_rate=200, keep_runs=1_000_000
        )
        await first.advance(1)
    clock.advance(seconds=HOURS_12)
    back_at = clock.now()

    slots: list[int] = []
    async with open_harness(tmp_path / "z.db", clock) as second:
        while len(second.calls) < HOURS_12 and clock.now() < back_at + 400 * SECOND:
            await second.advance(0.1)
            await second.scheduler.wait_until_idle()
            slots += [
                round(call.job.slot.timestamp() * SECOND)
                for call in second.calls[len(slots) :]
                if call.job is not None
            ]
        took = (clock.now() - back_at) / SECOND
        await second.scheduler.wait_until_idle()
        [(entries, _)] = [await second.history.ledger(job_id)]

    print("caught up in", took, "s")  # noqa: T201 - the figure
    assert slots[:HOURS_12] == [begin + number * SECOND for number in range(2, HOURS_12 + 2)]
    assert entries == []
    assert HOURS_12 / 200 <= took <= HOURS_12 / 200 * 1.1
