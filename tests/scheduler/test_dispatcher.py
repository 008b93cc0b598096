"""Slots: when each runs, which ones do not, and the records of both."""

from datetime import UTC, datetime

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.clock import to_datetime
from zato_lite.scheduler import dispatcher, executor
from zato_lite.store.opening import OpenStore
from zato_lite.store.sql import fetch_value
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND


async def test_a_job_runs_at_its_slot_and_its_service_knows_the_slot(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(10), extra='{"a": 1}')
    slot = harness.clock.now() + 10 * SECOND

    await harness.advance(10)

    call = harness.calls[0]
    assert (call.service, call.payload, call.raw) == ("s", {"a": 1}, '{"a": 1}')
    assert call.job is not None
    assert (call.job.id, call.job.name, call.job.run, call.job.attempt) == (job_id, "report", 1, 1)
    assert call.job.slot == to_datetime(slot)
    assert call.job.slot.tzinfo is UTC
    assert await harness.outcomes(job_id) == ["ok"]


async def test_a_service_knows_the_deadline_of_its_run(harness: Harness) -> None:
    await harness.create(trigger=harness.once(10), max_execution_time_ms=5_000)
    await harness.create(name="other", trigger=harness.once(10))
    slot = harness.clock.now() + 10 * SECOND

    await harness.advance(10)

    assert {call.until for call in harness.calls} == {slot + 5 * SECOND, slot + 3_600 * SECOND}


async def test_nothing_runs_before_its_slot_though_it_is_claimed_before(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(10))

    await harness.advance(9.9)

    assert [run.state for run in await harness.runs(job_id)] == ["claimed"]
    assert harness.calls == []


async def test_an_interval_runs_on_its_grid_and_each_slot_once(harness: Harness) -> None:
    job_id = await harness.create()
    begin = harness.clock.now()

    for _ in range(20):
        await harness.advance(0.5)

    slots = [run.slot for run in await harness.runs(job_id)]
    assert slots == [begin + n * SECOND for n in range(1, 11)]
    assert [run.number for run in await harness.runs(job_id)] == list(range(1, 11))


async def test_a_slot_during_a_run_is_in_the_ledger(harness: Harness) -> None:
    gate = harness.block("s")
    job_id = await harness.create()
    await harness.advance(1)

    await harness.advance(1)
    await harness.advance(1)
    gate.set()
    await harness.scheduler.wait_until_idle()

    entries, total = await harness.history.ledger(job_id)
    assert total == 1
    assert (entries[0].outcome, entries[0].count) == ("skipped_already_in_flight", 2)
    assert entries[0].reason == "run 1 was still in flight"
    assert len(await harness.runs(job_id)) == 1


async def test_a_queued_run_starts_when_the_one_before_has_ended(harness: Harness) -> None:
    gate = harness.block("s")
    job_id = await harness.create(on_overlap="queue_all")
    await harness.advance(1)
    await harness.advance(1)
    await harness.advance(1)
    assert len(harness.calls) == 1

    gate.set()
    await harness.scheduler.wait_until_idle()
    await harness.settle()

    assert [call.job.run for call in harness.calls if call.job] == [1, 2, 3]
    assert await harness.outcomes(job_id) == ["ok", "ok", "ok"]


async def test_the_running_one_is_cancelled_for_the_next(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(on_overlap="cancel_running")
    await harness.advance(1)

    await harness.advance(1)

    assert await harness.outcomes(job_id) == ["cancelled", "running"]


async def test_runs_overlap_if_their_job_allows_it(harness: Harness) -> None:
    harness.block("s")
    await harness.create(on_overlap="allow", max_parallel=2)

    for _ in range(4):
        await harness.advance(1)

    assert len(harness.calls) == 2


async def test_a_failed_run_is_tried_again_and_each_attempt_is_kept(harness: Harness) -> None:
    harness.fail("s")
    job_id = await harness.create(trigger=harness.once(1), max_retries=2, retry_delay_ms=1000)

    await harness.advance(1)
    await harness.advance(1)
    await harness.advance(2)

    assert [call.job.attempt for call in harness.calls if call.job] == [1, 2, 3]
    tokens = [call.job.token for call in harness.calls if call.job]
    assert tokens == sorted(set(tokens))
    assert await harness.outcomes(job_id) == ["error"]
    attempts = await harness.history.attempts(job_id, 1)
    assert [attempt.outcome for attempt in attempts] == ["error", "error"]
    assert "ValueError: broken" in (attempts[0].error or "")


async def test_an_execution_on_demand_moves_no_slot(harness: Harness) -> None:
    job_id = await harness.create(is_active=False)
    before = await harness.jobs.get(job_id)

    number = await harness.jobs.execute(job_id)
    await harness.scheduler.wait_until_idle()

    after = await harness.jobs.get(job_id)
    assert number == 1
    assert await harness.outcomes(job_id) == ["ok"]
    assert (after.cursor, after.next_at) == (before.cursor, before.next_at)


async def test_callbacks_are_runs_of_their_own(harness: Harness) -> None:
    harness.fail("bad")
    other = await harness.create(name="other", trigger=harness.once(1000))
    await harness.create(
        service="bad", trigger=harness.once(1), on_error_service="alarm", on_error_job="other"
    )

    await harness.advance(1)
    await harness.scheduler.wait_until_idle()
    await harness.settle()

    told = next(call for call in harness.calls if call.service == "alarm").payload
    assert (told["job_name"], told["outcome"], told["current_run"]) == ("report", "error", 1)
    assert await harness.outcomes(other) == ["ok"]


async def test_a_job_is_paused_after_its_maximum_of_failures(harness: Harness) -> None:
    harness.fail("s")
    job_id = await harness.create(pause_after_failures=2)

    for _ in range(5):
        await harness.advance(1)

    row = await harness.jobs.get(job_id)
    assert not row.job.is_active
    assert "2 failed runs" in (row.job.pause_note or "")
    assert await harness.outcomes(job_id) == ["error", "error"]


async def test_the_higher_priority_goes_first_when_there_is_room_for_one(
    store: object, clock: object
) -> None:
    harness = Harness(store, clock, capacity=1, grace=0.0)  # type: ignore[arg-type]
    async with harness.scheduler:
        gate = harness.block("first")
        trigger = harness.once(1)
        await harness.create(name="a", service="first", trigger=trigger)
        await harness.create(name="b", service="low", trigger=trigger)
        await harness.create(name="c", service="high", trigger=trigger, priority=5)
        await harness.advance(1)

        gate.set()
        await harness.scheduler.wait_until_idle()

        assert [call.service for call in harness.calls] == ["first", "high", "low"]


async def test_a_service_has_no_more_runs_at_a_time_than_its_limit(harness: Harness) -> None:
    gate = harness.block("s")
    trigger = harness.once(1)
    for number in range(5):
        await harness.create(name=f"j{number}", trigger=trigger, max_concurrent=2)

    await harness.advance(1)

    assert len(harness.calls) == 2
    gate.set()
    await harness.scheduler.wait_until_idle()
    assert len(harness.calls) == 5


@pytest.mark.parametrize(("policy", "expected"), [("run_once", 1), ("run_all", 10), ("skip", 0)])
async def test_what_was_missed_gets_what_its_job_says(
    harness: Harness, policy: str, expected: int
) -> None:
    job_id = await harness.create(on_missed=policy, trigger=harness.every(10))

    harness.clock.advance(seconds=108)
    for _ in range(40):
        await harness.advance(0)
        harness.clock.advance(milliseconds=10)

    runs = await harness.runs(job_id)
    entries, _ = await harness.history.ledger(job_id)
    assert len(runs) == expected
    assert sum(entry.count for entry in entries) == 10 - expected


async def test_a_slot_of_the_future_stays_unknown_and_one_of_the_past_is_answered_for(
    harness: Harness,
) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    begin = harness.clock.now()
    harness.clock.advance(seconds=39)
    await harness.advance(0)

    found = [await harness.history.slot(job_id, begin + n * 10 * SECOND) for n in range(1, 5)]

    assert [getattr(each, "outcome", None) for each in found] == ["missed", "missed", "ok", None]


SEEN_AT = "SELECT seen_at FROM node WHERE id = ?"
OPEN_RUNS_OF = "SELECT count(*) FROM run WHERE outcome IS NULL AND node = ?"


async def test_due_slots_beyond_the_queue_limit_stay_in_the_store(
    store: OpenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_READY", 4)
    monkeypatch.setattr(dispatcher, "CLAIM_SIZE", 3)
    harness = Harness(store, clock, capacity=2)
    async with harness.scheduler:
        gate = harness.block("s")
        trigger = harness.once(1)
        for number in range(20):
            await harness.create(name=f"j{number:02}", trigger=trigger)
        await harness.advance(1)
        claimed = len(await harness.runs())

        gate.set()
        await harness.wait_for(lambda: len(harness.calls) == 20)

        assert claimed < 20
        assert await harness.outcomes() == ["ok"] * 20


async def test_runs_of_a_dead_node_beyond_the_queue_limit_stay_in_the_store(
    store: OpenStore, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(executor, "MAX_READY", 4)
    monkeypatch.setattr(dispatcher, "RECOVERY_SIZE", 3)
    dead = Harness(store, clock)
    async with dead.scheduler:
        dead.block("s")
        for _ in range(20):
            await dead.jobs.invoke_async(dead.job(trigger=dead.once(0)))
        await dead.scheduler.crash()
    harness = Harness(store, clock, capacity=2)
    gate = harness.block("s")

    async with harness.scheduler:
        node = harness.scheduler.node_id
        taken = await store.read(lambda c: fetch_value(c, OPEN_RUNS_OF, (node,)))
        clock.advance(seconds=7)
        await harness.scheduler._dispatcher.recover_runs()
        seen = await store.read(lambda c: fetch_value(c, SEEN_AT, (node,)))
        gate.set()
        await harness.wait_for(lambda: len(harness.calls) == 20)

        assert 4 <= taken <= 9
        assert seen == clock.now()  # others see that a full node lives
        assert [run.attempt for run in await harness.runs(0)] == [2] * 20
        assert await harness.outcomes(0) == ["ok"] * 20


def test_a_fresh_clock_stands_at_its_start() -> None:
    assert to_datetime(1_800_000_000_000_000) == datetime(2027, 1, 15, 8, tzinfo=UTC)
