"""Catch-up after a long downtime: every slot gets a run, in order, at the rate of its job."""

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.scheduler import completer
from zato_lite.store.opening import OpenStore
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND

HOURS_12 = 12 * 3_600
RATE = 200


@pytest.mark.slow
@pytest.mark.parametrize("store", ["memory"], indirect=True)
async def test_twelve_hours_of_slots_are_caught_up_to_the_last(
    store: OpenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer, "LINGER_S", 0.0)  # is real time
    first = Harness(store, clock, grace=0.0)
    async with first.scheduler:
        begin = clock.now()
        job_id = await first.create(
            trigger=first.every(1), on_missed="run_all", catch_up_rate=RATE, keep_runs=1_000_000
        )
        await first.advance(1)
    clock.advance(seconds=HOURS_12)
    back_at = clock.now()

    second = Harness(store, clock, grace=0.0)
    async with second.scheduler:
        while len(second.calls) < HOURS_12 and clock.now() < back_at + 400 * SECOND:
            await second.advance(0.1)
            await second.scheduler.wait_until_idle()
        took = (clock.now() - back_at) / SECOND
        entries, _ = await second.history.ledger(job_id)
    slots = [
        round(call.job.slot.timestamp() * SECOND) for call in second.calls if call.job is not None
    ]

    print("caught up in", took, "s")  # noqa: T201 - the figure
    assert slots[:HOURS_12] == [begin + number * SECOND for number in range(2, HOURS_12 + 2)]
    assert list(entries) == []
    assert HOURS_12 / RATE <= took <= HOURS_12 / RATE * 1.1
