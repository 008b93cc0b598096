"""What runs when, what does not, and what is written down of it."""

from datetime import UTC, datetime

import pytest

from tests.scheduler.conftest import World
from zato_lite.clock import to_datetime
from zato_lite.scheduler import dispatcher, executor
from zato_lite.store.sqlite import SqliteStore
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND


async def test_a_job_runs_at_its_slot_and_the_service_is_told_of_it(world: World) -> None:
    job_id = await world.create(trigger=world.once(10), extra='{"a": 1}')
    slot = world.clock.now() + 10 * SECOND

    await world.go(10)

    call = world.calls[0]
    assert (call.service, call.payload, call.raw) == ("s", {"a": 1}, '{"a": 1}')
    assert call.job is not None
    assert (call.job.id, call.job.name, call.job.run, call.job.attempt) == (job_id, "report", 1, 1)
    assert call.job.slot == to_datetime(slot)
    assert call.job.slot.tzinfo is UTC
    assert await world.outcomes(job_id) == ["ok"]


async def test_a_service_is_told_when_the_time_of_its_run_is_up(world: World) -> None:
    await world.create(trigger=world.once(10), max_execution_time_ms=5_000)
    await world.create(name="other", trigger=world.once(10))
    slot = world.clock.now() + 10 * SECOND

    await world.go(10)

    assert {call.until for call in world.calls} == {slot + 5 * SECOND, slot + 3_600 * SECOND}


async def test_nothing_runs_before_its_slot_though_it_is_claimed_before(world: World) -> None:
    job_id = await world.create(trigger=world.once(10))

    await world.go(9.9)

    assert [run.state for run in await world.runs(job_id)] == ["claimed"]
    assert world.calls == []


async def test_an_interval_runs_on_its_grid_and_each_slot_once(world: World) -> None:
    job_id = await world.create()
    begin = world.clock.now()

    for _ in range(20):
        await world.go(0.5)

    slots = [run.slot for run in await world.runs(job_id)]
    assert slots == [begin + n * SECOND for n in range(1, 11)]
    assert [run.number for run in await world.runs(job_id)] == list(range(1, 11))


async def test_a_slot_during_a_run_is_in_the_ledger(world: World) -> None:
    gate = world.gate("s")
    job_id = await world.create()
    await world.go(1)

    await world.go(1)
    await world.go(1)
    gate.set()
    await world.scheduler.wait_until_idle()

    entries, total = await world.jobs.ledger(job_id)
    assert total == 1
    assert (entries[0].outcome, entries[0].count) == ("skipped_already_in_flight", 2)
    assert entries[0].reason == "run 1 was still in flight"
    assert len(await world.runs(job_id)) == 1


async def test_a_queued_run_starts_when_the_one_before_has_ended(world: World) -> None:
    gate = world.gate("s")
    job_id = await world.create(on_overlap="queue_all")
    await world.go(1)
    await world.go(1)
    await world.go(1)
    assert len(world.calls) == 1

    gate.set()
    await world.scheduler.wait_until_idle()
    await world.calm()

    assert [call.job.run for call in world.calls if call.job] == [1, 2, 3]
    assert await world.outcomes(job_id) == ["ok", "ok", "ok"]


async def test_the_running_one_is_cancelled_for_the_next(world: World) -> None:
    world.gate("s")
    job_id = await world.create(on_overlap="cancel_running")
    await world.go(1)

    await world.go(1)

    assert await world.outcomes(job_id) == ["cancelled", "running"]


async def test_runs_may_overlap_if_they_are_told_to(world: World) -> None:
    world.gate("s")
    await world.create(on_overlap="allow", max_parallel=2)

    for _ in range(4):
        await world.go(1)

    assert len(world.calls) == 2


async def test_a_failed_run_is_tried_again_and_each_attempt_is_kept(world: World) -> None:
    world.fails("s")
    job_id = await world.create(trigger=world.once(1), max_retries=2, retry_delay_ms=1000)

    await world.go(1)
    await world.go(1)
    await world.go(2)

    assert [call.job.attempt for call in world.calls if call.job] == [1, 2, 3]
    tokens = [call.job.token for call in world.calls if call.job]
    assert tokens == sorted(set(tokens))
    assert await world.outcomes(job_id) == ["error"]
    attempts = await world.jobs.attempts(job_id, 1)
    assert [attempt.outcome for attempt in attempts] == ["error", "error"]
    assert "ValueError: broken" in (attempts[0].error or "")


async def test_an_execution_on_demand_moves_no_slot(world: World) -> None:
    job_id = await world.create(is_active=False)
    before = await world.jobs.get(job_id)

    number = await world.jobs.execute(job_id)
    await world.scheduler.wait_until_idle()

    after = await world.jobs.get(job_id)
    assert number == 1
    assert await world.outcomes(job_id) == ["ok"]
    assert (after.cursor, after.next_at) == (before.cursor, before.next_at)


async def test_callbacks_are_runs_of_their_own(world: World) -> None:
    world.fails("bad")
    other = await world.create(name="other", trigger=world.once(1000))
    await world.create(
        service="bad", trigger=world.once(1), on_error_service="alarm", on_error_job="other"
    )

    await world.go(1)
    await world.scheduler.wait_until_idle()
    await world.calm()

    told = next(call for call in world.calls if call.service == "alarm").payload
    assert (told["job_name"], told["outcome"], told["current_run"]) == ("report", "error", 1)
    assert await world.outcomes(other) == ["ok"]


async def test_a_job_pauses_itself_after_so_many_failures(world: World) -> None:
    world.fails("s")
    job_id = await world.create(pause_after_failures=2)

    for _ in range(5):
        await world.go(1)

    row = await world.jobs.get(job_id)
    assert not row.job.is_active
    assert "2 failed runs" in (row.job.pause_note or "")
    assert await world.outcomes(job_id) == ["error", "error"]


async def test_the_higher_priority_goes_first_when_there_is_room_for_one(
    store: object, clock: object
) -> None:
    there = World(store, clock, capacity=1, grace=0.0)  # type: ignore[arg-type]
    async with there.scheduler:
        gate = there.gate("first")
        trigger = there.once(1)
        await there.create(name="a", service="first", trigger=trigger)
        await there.create(name="b", service="low", trigger=trigger)
        await there.create(name="c", service="high", trigger=trigger, priority=5)
        await there.go(1)

        gate.set()
        await there.scheduler.wait_until_idle()

        assert [call.service for call in there.calls] == ["first", "high", "low"]


async def test_a_service_has_no_more_runs_at_once_than_it_may(world: World) -> None:
    gate = world.gate("s")
    trigger = world.once(1)
    for number in range(5):
        await world.create(name=f"j{number}", trigger=trigger, max_concurrent=2)

    await world.go(1)

    assert len(world.calls) == 2
    gate.set()
    await world.scheduler.wait_until_idle()
    assert len(world.calls) == 5


@pytest.mark.parametrize(("policy", "expected"), [("run_once", 1), ("run_all", 10), ("skip", 0)])
async def test_what_was_missed_gets_what_its_job_says(
    world: World, policy: str, expected: int
) -> None:
    job_id = await world.create(on_missed=policy, trigger=world.every(10))

    world.clock.advance(seconds=108)
    for _ in range(40):
        await world.go(0)
        world.clock.advance(milliseconds=10)

    runs = await world.runs(job_id)
    entries, _ = await world.jobs.ledger(job_id)
    assert len(runs) == expected
    assert sum(entry.count for entry in entries) == 10 - expected


async def test_a_slot_of_the_future_stays_unknown_and_one_of_the_past_is_answered_for(
    world: World,
) -> None:
    job_id = await world.create(trigger=world.every(10))
    begin = world.clock.now()
    world.clock.advance(seconds=39)
    await world.go(0)

    found = [await world.jobs.slot(job_id, begin + n * 10 * SECOND) for n in range(1, 5)]

    assert [getattr(each, "outcome", None) for each in found] == ["missed", "missed", "ok", None]


async def test_what_is_too_much_at_once_stays_in_the_store(
    store: SqliteStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_READY", 4)
    monkeypatch.setattr(dispatcher, "CLAIM_SIZE", 3)
    world = World(store, clock, capacity=2)
    async with world.scheduler:
        gate = world.gate("s")
        trigger = world.once(1)
        for number in range(20):
            await world.create(name=f"j{number:02}", trigger=trigger)
        await world.go(1)
        claimed = len(await world.runs())

        gate.set()
        await world.until(lambda: len(world.calls) == 20)

        assert claimed < 20
        assert await world.outcomes() == ["ok"] * 20


def test_a_fresh_clock_stands_at_its_start() -> None:
    assert to_datetime(1_800_000_000_000_000) == datetime(2027, 1, 15, 8, tzinfo=UTC)
