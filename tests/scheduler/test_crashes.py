"""What was in flight when a process died, in every state that a run may be in."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.conftest import World, record, world_on
from zato_lite.errors import UnavailableError
from zato_lite.service.message import Invocation
from zato_lite.store import claim, completion
from zato_lite.store.sqlite import SqliteStore, open_store
from zato_lite.store.statements import execute
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND


async def reborn(world: World, gated: str = "", failing: str = "") -> World:
    """The next process on the same store."""
    there = World(world.store, world.clock, grace=0.0)
    there.gate(gated)
    there.fails(failing)
    await there.scheduler.__aenter__()
    return there


async def test_a_run_whose_process_died_is_run_again_under_the_next_attempt(
    world: World,
) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    await world.scheduler.crash()

    async with (await reborn(world)).scheduler as scheduler:
        await scheduler.wait_until_idle()

    run = (await world.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 1)
    attempts = await world.jobs.attempts(job_id, 1)
    assert [attempt.outcome for attempt in attempts] == ["lost"]


async def test_a_run_that_is_not_to_be_run_again_is_lost(world: World) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1), on_crash="fail", on_error_service="alarm")
    await world.go(1)
    await world.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        await there.scheduler.wait_until_idle()

    assert await world.outcomes(job_id) == ["lost"]
    assert [call.service for call in there.calls] == ["alarm"]


async def test_a_run_that_kills_its_process_is_put_in_quarantine(world: World) -> None:
    job_id = await world.create(trigger=world.once(1), max_crashes=2)
    there = world
    there.gate("s")
    for _ in range(2):
        await there.go(1)
        await there.scheduler.crash()
        there = await reborn(there, gated="s")

    async with there.scheduler:
        run = (await there.runs(job_id))[0]

    assert (run.outcome, run.attempt, run.crashes) == ("lost", 2, 2)
    assert "quarantined" in (run.error or "")


async def test_a_run_claimed_early_by_a_process_that_died_is_no_crash(world: World) -> None:
    job_id = await world.create(trigger=world.once(10))
    await world.go(9.8)
    await world.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        await there.go(1)
        await there.scheduler.wait_until_idle()

    run = (await there.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 1, 0)


async def test_runs_in_waiting_outlive_their_process(world: World) -> None:
    world.gate("s")
    job_id = await world.create(on_overlap="queue_all", repeats=3)
    for _ in range(3):
        await world.go(1)
    await world.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        await there.scheduler.wait_until_idle()
        await there.calm()

    runs = await there.runs(job_id)
    assert [(run.number, run.outcome, run.attempt) for run in runs] == [
        (1, "ok", 2),
        (2, "ok", 1),
        (3, "ok", 1),
    ]


async def test_the_next_attempt_outlives_its_process(world: World) -> None:
    world.fails("s")
    job_id = await world.create(trigger=world.once(1), max_retries=1, retry_delay_ms=60_000)
    await world.go(1)
    await world.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        await there.go(10)
        early = len(there.calls)
        await there.go(60)
        await there.scheduler.wait_until_idle()

    run = (await there.runs(job_id))[0]
    assert early == 0
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 0)


async def test_a_late_result_is_refused_and_noted(
    world: World, store: SqliteStore, clock: ManualClock
) -> None:
    gate = world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    # Locks in memory know only their own node, so the other one takes this one for dead.

    other = World(store, clock, grace=0.0)
    async with other.scheduler:
        await other.scheduler.wait_until_idle()
        gate.set()
        await world.scheduler.wait_until_idle()

        run = (await other.runs(job_id))[0]
        assert (run.outcome, run.attempt, run.result) == ("ok", 2, None)
        assert world.scheduler.refused_results == 1


async def test_a_late_results_lines_replace_no_others(
    world: World, store: SqliteStore, clock: ManualClock
) -> None:
    gate = world.gate("s")
    waiting = world.services["s"]

    def saying(words: str) -> Any:
        async def say(invocation: Invocation) -> None:
            assert invocation.sink is not None
            invocation.sink(record(words))
            if words == "late":
                await waiting(invocation)

        return say

    world.services["s"] = saying("late")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    # Locks in memory know only their own node, so the other one takes this one for dead.
    other = World(store, clock, grace=0.0)
    other.services["s"] = saying("in time")

    async with other.scheduler:
        await other.scheduler.wait_until_idle()
        gate.set()
        await world.scheduler.wait_until_idle()
        texts = [text for _, _, text in await other.jobs.log_entries(job_id, 1)]

    assert "in time" in texts
    assert "late" not in texts


async def test_two_processes_on_one_file_run_each_slot_once(tmp_path: Path) -> None:
    clock = ManualClock()
    async with (
        world_on(tmp_path / "z.db", clock) as one,
        world_on(tmp_path / "z.db", clock) as two,
    ):
        for number in range(20):
            await one.create(name=f"j{number}")
        for _ in range(5):
            clock.advance(seconds=1)
            for each in (one, two):
                await each.scheduler.tick()
            for each in (one, two):
                await each.calm()

        runs = await one.runs()
        assert len({(run.job_id, run.slot) for run in runs}) == len(runs) == 100
        assert {run.outcome for run in runs} == {"ok"}
        assert len(one.calls) + len(two.calls) == 100


async def test_what_was_not_begun_is_handed_back_at_the_end(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world_on(tmp_path / "z.db", clock) as one:
        job_id = await one.create(trigger=one.once(10))
        await one.go(9.8)

    async with world_on(tmp_path / "z.db", clock) as two:
        await two.go(1)
        await two.scheduler.wait_until_idle()
        run = (await two.runs(job_id))[0]

    assert (run.outcome, run.attempt, run.crashes) == ("ok", 1, 0)


async def test_what_is_in_flight_at_the_end_is_cancelled_after_the_grace(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world_on(tmp_path / "z.db", clock) as one:
        one.gate("s")
        job_id = await one.create(trigger=one.once(1), on_crash="fail")
        await one.go(1)

    async with world_on(tmp_path / "z.db", clock) as two:
        run = (await two.runs(job_id))[0]
        assert (run.outcome, run.error) == (
            "cancelled",
            "the server shut down before the run had ended",
        )
        assert two.calls == []


async def test_what_the_end_cut_off_is_made_again_and_no_retry_is_taken_away(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with world_on(tmp_path / "z.db", clock) as one:
        one.gate("s")
        job_id = await one.create(
            trigger=one.once(1), max_retries=1, retry_delay_ms=1_000, max_crashes=1
        )
        await one.go(1)
    async with world_on(tmp_path / "z.db", clock) as two:
        two.gate("s")
        await two.calm()

    async with world_on(tmp_path / "z.db", clock) as three:
        three.fails("s")
        await three.calm()
        await three.go(2)
        await three.scheduler.wait_until_idle()
        run = (await three.runs(job_id))[0]
        attempts = await three.jobs.attempts(job_id, 1)

    assert (run.outcome, run.attempt, run.crashes) == ("error", 4, 0)
    assert [it.outcome for it in attempts] == ["cancelled", "cancelled", "error"]


def cancel_all_tasks(spared: asyncio.Task[Any] | None) -> None:
    """Cancel all tasks but the test's own, as a service may do."""
    for task in asyncio.all_tasks() - {spared}:
        task.cancel()


async def test_what_a_service_cancels_that_cancels_all_tasks_is_made_again(world: World) -> None:
    gate = world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)

    cancel_all_tasks(asyncio.current_task())
    await world.until(lambda: len(world.calls) == 2, rest=False)
    gate.set()
    await world.scheduler.wait_until_idle()

    run = (await world.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 1)
    assert [it.outcome for it in await world.jobs.attempts(job_id, 1)] == ["lost"]


async def test_what_is_cancelled_before_its_first_step_is_made_again(world: World) -> None:
    test, loop, gate = asyncio.current_task(), asyncio.get_running_loop(), asyncio.Event()

    async def cancel_what_follows(invocation: Invocation) -> None:
        await gate.wait()
        if len(world.calls) == 1:  # the end of this run starts the next one, in a task
            loop.call_soon(cancel_all_tasks, test)

    world.services["s"] = cancel_what_follows
    for name in ("first", "second"):
        await world.create(name=name, trigger=world.once(1), max_concurrent=1)
    await world.go(1)
    gate.set()
    await world.until(lambda: len(world.calls) == 2)

    runs = await world.runs()
    assert [(run.outcome, run.attempt, run.crashes) for run in runs] == [
        ("ok", 1, 0),
        ("ok", 2, 1),
    ]


async def test_a_run_that_cancels_all_tasks_is_put_in_quarantine_alone(world: World) -> None:
    test = asyncio.current_task()

    async def rude(invocation: object) -> None:
        cancel_all_tasks(test)
        await asyncio.sleep(0)

    world.services["rude"] = rude
    job_id = await world.create(
        name="rude", service="rude", trigger=world.once(1), on_error_service="alarm"
    )
    fine = await world.create(trigger=world.once(1), service="gated")
    gate = world.gate("gated")
    await world.go(1)
    await world.calm()
    gate.set()

    for _ in range(5):
        await world.go(1)
        await world.calm()

    run = (await world.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("lost", 3, 3)
    assert (run.error or "").startswith("quarantined after 3 crashes: task was cancelled")
    assert [call.service for call in world.calls].count("alarm") == 1
    assert await world.outcomes(fine) == ["ok"]


async def test_a_run_that_is_not_to_be_made_again_is_lost_when_it_is_cut_off(
    world: World,
) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1), on_crash="fail", on_error_service="alarm")
    await world.go(1)

    cancel_all_tasks(asyncio.current_task())
    await world.until(lambda: len(world.calls) == 2)

    assert await world.outcomes(job_id) == ["lost"]
    assert world.calls[1].service == "alarm"


async def test_a_stop_that_is_cancelled_itself_leaves_its_runs_to_the_next(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with open_store(tmp_path / "z.db", clock) as store:
        one = World(store, clock, locks=store.locks)
        await one.scheduler.__aenter__()
        one.gate("s")
        job_id = await one.create(trigger=one.once(1))
        await one.go(1)

        stop = asyncio.create_task(one.scheduler.drain())
        await one.calm()
        stop.cancel()
        await asyncio.wait([stop])

        async with World(store, clock, locks=store.locks).scheduler as scheduler:
            await scheduler.wait_until_idle()
            run = (await one.runs(job_id))[0]
            assert (run.outcome, run.attempt) == ("ok", 2)


async def test_downtime_gets_exactly_what_the_policy_says(tmp_path: Path) -> None:
    clock = ManualClock()
    async with world_on(tmp_path / "z.db", clock) as one:
        begin = clock.now()
        job_id = await one.create(trigger=one.every(1))
        await one.go(1)
    clock.advance(seconds=3600)

    async with world_on(tmp_path / "z.db", clock) as two:
        await two.go(0)
        await two.scheduler.wait_until_idle()
        runs = [run for run in await two.runs(job_id) if run.outcome == "ok"]
        entries, total = await two.jobs.ledger(job_id)

    assert [run.slot for run in runs] == [begin + SECOND, begin + 3601 * SECOND]
    assert (total, entries[0].outcome, entries[0].count) == (1, "missed", 3599)
    assert "the server was down from 2027-01-15" in entries[0].reason


async def test_without_a_scheduler_runs_on_demand_wait_for_one(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_store(tmp_path / "z.db", clock) as store:
        still = World(store, clock)
        job_id = await still.create(trigger=still.once(100))
        await still.jobs.execute(job_id)

    async with world_on(tmp_path / "z.db", clock) as two:
        await two.scheduler.wait_until_idle()
        assert await two.outcomes(job_id) == ["ok"]


async def test_a_service_that_cancels_all_tasks_loses_nothing(world: World) -> None:
    async def rude(invocation: object) -> None:
        mine = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not mine and task.get_name() == "scheduler":
                task.cancel()

    world.services["rude"] = rude
    await world.create(name="rude", service="rude", trigger=world.once(1))
    job_id = await world.create(trigger=world.once(5))
    await world.go(1)
    await world.calm()

    world.clock.advance(seconds=5)
    await world.until(lambda: len(world.calls) == 2)

    assert await world.outcomes(job_id) == ["ok"]


async def test_suspects_begin_one_after_another(world: World) -> None:
    world.gate("s")
    for number in range(4):
        await world.create(name=f"j{number}", trigger=world.once(1), max_crashes=9)
    await world.go(1)
    await world.scheduler.crash()
    again = await reborn(world, gated="s")
    await again.calm()
    await again.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        begun = []
        for _ in range(6):
            await there.until(lambda: True)
            begun.append(len(there.calls))
            await there.go(1)

        assert begun == [0, 1, 2, 3, 4, 4]
        assert {run.crashes for run in await there.runs()} == {2}


@pytest.mark.usefixtures("quick_retries")
async def test_a_store_that_fails_is_asked_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_claim, failures = claim.claim, iter([ValueError("a defect"), UnavailableError("full")])

    def fragile(*values: Any, **options: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return real_claim(*values, **options)

    monkeypatch.setattr(claim, "claim", fragile)
    job_id = await world.create(trigger=world.once(1))

    world.clock.advance(seconds=1)
    await asyncio.wait_for(_ran(world), 10)

    assert await world.outcomes(job_id) == ["ok"]


async def _ran(world: World) -> None:
    while not world.calls:
        await world.store.write(lambda c: None)
    await world.scheduler.wait_until_idle()


@pytest.mark.usefixtures("quick_retries")
async def test_outcomes_wait_for_a_store_that_is_full(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    complete_attempts, failures = (
        completion.complete_attempts,
        iter([UnavailableError("full")] * 3),
    )

    def fragile(*values: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return complete_attempts(*values)

    monkeypatch.setattr(completion, "complete_attempts", fragile)
    job_id = await world.create(trigger=world.once(1))

    await world.go(1)
    while next(iter(await world.outcomes(job_id)), "running") == "running":
        await world.calm()

    assert await world.outcomes(job_id) == ["ok"]


async def test_a_crash_takes_no_retry_away(world: World) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1), max_retries=1, retry_delay_ms=1_000)
    await world.go(1)
    await world.scheduler.crash()

    there = await reborn(world, failing="s")
    async with there.scheduler:
        await there.calm()
        await there.go(2)
        await there.scheduler.wait_until_idle()

    assert [(r.outcome, r.attempt) for r in await there.runs(job_id)] == [("error", 3)]


async def test_a_slot_that_has_had_its_run_gets_no_other(world: World) -> None:
    job_id = await world.create(trigger=world.every(10))
    await world.go(10)
    await world.store.write(
        lambda c: execute(c, "UPDATE timer SET cursor = cursor - 1, next_at = cursor")
    )

    await world.go(1)

    assert len(world.calls) == 1
    assert len(await world.runs(job_id)) == 1


async def test_a_run_of_a_deleted_job_is_not_taken_over(world: World) -> None:
    world.gate("s")
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    await world.jobs.delete(job_id)
    await world.scheduler.crash()

    there = await reborn(world)
    async with there.scheduler:
        await there.calm()

    assert there.calls == []
    assert await there.outcomes(job_id) == ["cancelled"]
