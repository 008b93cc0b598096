"""Cost of a run: few commits and few wake-ups, and no start is late for it."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from tests.scheduler.conftest import Harness
from zato_lite.scheduler import completer
from zato_lite.store.ports import lane_for_scheduler
from zato_lite.timetable.job import SECOND, Interval, OneTime


@pytest.fixture
def commits(harness: Harness, monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Record the number of claims and saves in each commit that had any."""
    store = lane_for_scheduler(harness.store)
    lane: Any = getattr(store, "_lane", store)  # of PostgreSQL, or SQLite itself
    commit, submit = lane._commit, store.submit
    submitted: list[Any] = []
    sizes: list[int] = []

    def noted(operation: Callable[[Any], Any], done: Callable[[Any, Any], None]) -> None:
        submitted.append(operation)
        submit(operation, done)

    def counted(tasks: Any) -> Any:
        if size := sum(operation in submitted for operation, _ in tasks):
            sizes.append(size)
        return commit(tasks)

    monkeypatch.setattr(store, "submit", noted)
    monkeypatch.setattr(lane, "_commit", counted)
    return sizes


async def outcome_is(harness: Harness, job_id: int, wanted: str) -> bool:
    """Return True once the latest run has this outcome; the scheduler alone acts meanwhile."""
    for _ in range(2_000):
        if (await harness.outcomes(job_id))[:1] == [wanted]:
            return True
        await asyncio.sleep(0)
    return False


async def turns(harness: Harness) -> None:
    """Let the loop run without moving the clock."""
    for _ in range(20):
        await harness.store.write(lambda c: None)


async def test_an_outcome_is_kept_in_the_commit_that_claims_the_next_slot(
    harness: Harness, commits: list[int]
) -> None:
    half = Interval(start=harness.clock.now() + SECOND // 2, milliseconds=500)
    job_id = await harness.create(trigger=half)
    await turns(harness)
    commits.clear()

    for _ in range(2):
        harness.clock.advance(seconds=0.25)
        await turns(harness)
    ended = await outcome_is(harness, job_id, "ok")

    runs = await harness.runs(job_id)
    assert ended
    assert [run.outcome for run in runs] == ["ok", "running"]
    assert runs[1].slot == harness.clock.now() + SECOND // 2
    assert commits == [1, 2], "the first slot is claimed; it is settled and the next claimed"


async def test_outcomes_without_a_waiting_caller_are_saved_with_the_next_claim(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer, "LINGER_S", 60)
    slots = [harness.clock.now() + second * SECOND for second in (10, 20)]
    first, second = [
        await harness.create(name=f"j{slot}", trigger=OneTime(start=slot)) for slot in slots
    ]
    harness.clock.advance(seconds=10)
    at_once = await outcome_is(harness, first, "ok")

    harness.clock.advance(seconds=9.75)
    await turns(harness)
    harness.clock.advance(seconds=0.25)
    await turns(harness)
    has_run, before = len(harness.calls), await harness.outcomes(second)
    await harness.scheduler.tick()

    assert at_once
    assert (has_run, before) == (2, ["running"])
    assert await harness.outcomes(second) == ["ok"]


async def test_outcomes_are_kept_back_for_no_longer_than_half_a_second(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer, "LINGER_S", 0.02)
    ids = [
        await harness.create(
            name=f"j{second}", trigger=OneTime(start=harness.clock.now() + second * SECOND)
        )
        for second in (10, 20, 30)
    ]

    for _ in ids:
        harness.clock.advance(seconds=9.75)
        await turns(harness)
        harness.clock.advance(seconds=0.25)
        await turns(harness)

    async with asyncio.timeout(10):
        for job_id in ids:
            while not await outcome_is(harness, job_id, "ok"):
                pass


async def test_a_failure_during_a_commit_is_kept_right_after_it(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completer, "LINGER_S", 60)
    store = lane_for_scheduler(harness.store)
    gate, submit = asyncio.Event(), store.submit

    async def fail(_: object) -> None:
        await gate.wait()
        raise ValueError

    def opening(operation: Callable[[Any], Any], done: Callable[[Any, Any], None]) -> None:
        submit(operation, done)
        gate.set()

    harness.services["fails"] = fail
    await harness.create(name="ok", trigger=harness.once(10))
    failing = await harness.create(name="fails", service="fails", trigger=harness.once(10))
    await harness.advance(9.8)
    monkeypatch.setattr(store, "submit", opening)

    harness.clock.advance(seconds=0.2)

    assert await outcome_is(harness, failing, "error")


async def test_a_slot_is_claimed_ahead_as_soon_as_the_run_before_can_have_ended(
    harness: Harness,
) -> None:
    often = Interval(start=harness.clock.now() + SECOND, milliseconds=400)
    job_id = await harness.create(trigger=often)
    begin = harness.clock.now()
    await harness.advance(0.9)  # the first is claimed, the second cannot be yet

    alarms = []
    while (alarm := harness.clock.next_alarm or 0) <= begin + 1_900_000:
        alarms.append(alarm - begin)
        harness.clock.set(alarm)
        await turns(harness)

    starts = [1_000_000, 1_400_000, 1_800_000]
    runs = await harness.runs(job_id)
    assert [at for at in alarms if at in starts] == starts
    assert all(
        run.claimed_at < run.slot and (run.slot - run.claimed_at) * 4 >= 400_000 for run in runs
    )
    assert len(runs) >= len(starts)
