"""Runs in every state when their process is killed, shut down, or loses its tasks."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tests.scheduler.conftest import Harness, Place, open_harness, record
from zato_lite.builtin.why import outage_of
from zato_lite.errors import UnavailableError
from zato_lite.scheduler.observer import NoObserver, What
from zato_lite.service.message import Invocation
from zato_lite.store import claim, completion
from zato_lite.store.opening import OpenStore
from zato_lite.store.sql import execute
from zato_lite.store.sqlite import open_store
from zato_lite.testing.clock import ManualClock
from zato_lite.timetable.job import SECOND, Job


async def restart(harness: Harness, gated: str = "", failing: str = "") -> Harness:
    """Start the next process on the same store."""
    restarted = Harness(harness.store, harness.clock, grace=0.0)
    restarted.block(gated)
    restarted.fail(failing)
    await restarted.scheduler.__aenter__()
    return restarted


async def test_a_run_whose_process_died_is_run_again_under_the_next_attempt(
    harness: Harness,
) -> None:
    harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    await harness.scheduler.crash()

    async with (await restart(harness)).scheduler as scheduler:
        await scheduler.wait_until_idle()

    run = (await harness.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 1)
    attempts = await harness.history.attempts(job_id, 1)
    assert [attempt.outcome for attempt in attempts] == ["lost"]


async def test_a_run_of_a_job_that_fails_on_a_crash_is_lost(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(
        trigger=harness.once(1), on_crash="fail", on_error_service="alarm"
    )
    await harness.advance(1)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.scheduler.wait_until_idle()

    assert await harness.outcomes(job_id) == ["lost"]
    assert [call.service for call in restarted.calls] == ["alarm"]


async def test_a_run_that_kills_its_process_is_put_in_quarantine(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(1), max_crashes=2)
    restarted = harness
    restarted.block("s")
    for _ in range(2):
        await restarted.advance(1)
        await restarted.scheduler.crash()
        restarted = await restart(restarted, gated="s")

    async with restarted.scheduler:
        run = (await restarted.runs(job_id))[0]

    assert (run.outcome, run.attempt, run.crashes) == ("lost", 2, 2)
    assert "quarantined" in (run.error or "")


async def test_a_run_that_a_killed_process_had_claimed_early_has_not_crashed(
    harness: Harness,
) -> None:
    job_id = await harness.create(trigger=harness.once(10))
    await harness.advance(9.8)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.advance(1)
        await restarted.scheduler.wait_until_idle()

    run = (await restarted.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 1, 0)


async def test_runs_in_waiting_outlive_their_process(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(on_overlap="queue_all", repeats=3)
    for _ in range(3):
        await harness.advance(1)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.scheduler.wait_until_idle()
        await restarted.settle()

    runs = await restarted.runs(job_id)
    assert [(run.number, run.outcome, run.attempt) for run in runs] == [
        (1, "ok", 2),
        (2, "ok", 1),
        (3, "ok", 1),
    ]


async def test_the_next_attempt_outlives_its_process(harness: Harness) -> None:
    harness.fail("s")
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, retry_delay_ms=60_000)
    await harness.advance(1)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.advance(10)
        early = len(restarted.calls)
        await restarted.advance(60)
        await restarted.scheduler.wait_until_idle()

    run = (await restarted.runs(job_id))[0]
    assert early == 0
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 0)


async def test_a_late_result_is_refused_and_noted(
    harness: Harness, store: OpenStore, clock: ManualClock
) -> None:
    gate = harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    # Locks in memory know only their own node, so the other one takes this one for dead.

    other = Harness(store, clock, grace=0.0)
    async with other.scheduler:
        await other.scheduler.wait_until_idle()
        gate.set()
        await harness.scheduler.wait_until_idle()

        run = (await other.runs(job_id))[0]
        assert (run.outcome, run.attempt, run.result) == ("ok", 2, None)
        assert harness.scheduler.metrics.refused_results == 1


async def test_the_log_lines_of_a_refused_result_are_dropped(
    harness: Harness, store: OpenStore, clock: ManualClock
) -> None:
    gate = harness.block("s")
    waiting = harness.services["s"]

    def saying(words: str) -> Any:
        async def say(invocation: Invocation) -> None:
            assert invocation.sink is not None
            invocation.sink(record(words))
            if words == "late":
                await waiting(invocation)

        return say

    harness.services["s"] = saying("late")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    # Locks in memory know only their own node, so the other one takes this one for dead.
    other = Harness(store, clock, grace=0.0)
    other.services["s"] = saying("in time")

    async with other.scheduler:
        await other.scheduler.wait_until_idle()
        gate.set()
        await harness.scheduler.wait_until_idle()
        texts = [text for _, _, text in await other.history.log_entries(job_id, 1)]

    assert "in time" in texts
    assert "late" not in texts


async def test_two_processes_on_one_file_run_each_slot_once(place: Place) -> None:
    clock = ManualClock()
    async with (
        open_harness(place, clock) as first,
        open_harness(place, clock) as second,
    ):
        for number in range(20):
            await first.create(name=f"j{number}")
        for _ in range(5):
            clock.advance(seconds=1)
            for each in (first, second):
                await each.scheduler.tick()
            for each in (first, second):
                await each.settle()

        runs = await first.runs()
        assert len({(run.job_id, run.slot) for run in runs}) == len(runs) == 100
        assert {run.outcome for run in runs} == {"ok"}
        assert len(first.calls) + len(second.calls) == 100


async def test_attempts_that_have_not_started_are_released_at_shutdown(place: Place) -> None:
    clock = ManualClock()
    async with open_harness(place, clock) as first:
        job_id = await first.create(trigger=first.once(10))
        await first.advance(9.8)

    async with open_harness(place, clock) as second:
        await second.advance(1)
        await second.scheduler.wait_until_idle()
        run = (await second.runs(job_id))[0]

    assert (run.outcome, run.attempt, run.crashes) == ("ok", 1, 0)


async def test_runs_in_flight_at_shutdown_are_cancelled_after_the_grace(place: Place) -> None:
    clock = ManualClock()
    async with open_harness(place, clock) as first:
        first.block("s")
        job_id = await first.create(trigger=first.once(1), on_crash="fail")
        await first.advance(1)

    async with open_harness(place, clock) as second:
        run = (await second.runs(job_id))[0]
        assert (run.outcome, run.error) == (
            "cancelled",
            "the server shut down before the run had ended",
        )
        assert second.calls == []


async def test_a_run_cut_off_by_shutdown_gets_another_attempt_without_losing_a_retry(
    place: Place,
) -> None:
    clock = ManualClock()
    async with open_harness(place, clock) as first:
        first.block("s")
        job_id = await first.create(
            trigger=first.once(1), max_retries=1, retry_delay_ms=1_000, max_crashes=1
        )
        await first.advance(1)
    async with open_harness(place, clock) as second:
        second.block("s")
        await second.settle()

    async with open_harness(place, clock) as third:
        third.fail("s")
        await third.settle()
        await third.advance(2)
        await third.scheduler.wait_until_idle()
        run = (await third.runs(job_id))[0]
        attempts = await third.history.attempts(job_id, 1)

    assert (run.outcome, run.attempt, run.crashes) == ("error", 4, 0)
    assert [record.outcome for record in attempts] == ["cancelled", "cancelled", "error"]


def cancel_all_tasks(spared: asyncio.Task[Any] | None) -> None:
    """Cancel all tasks but the test's own, as a service may do."""
    for task in asyncio.all_tasks() - {spared}:
        task.cancel()


async def test_runs_cut_off_by_a_service_that_cancels_all_tasks_get_another_attempt(
    harness: Harness,
) -> None:
    gate = harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)

    cancel_all_tasks(asyncio.current_task())
    await harness.wait_for(lambda: len(harness.calls) == 2, rest=False)
    gate.set()
    await harness.scheduler.wait_until_idle()

    run = (await harness.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("ok", 2, 1)
    assert [record.outcome for record in await harness.history.attempts(job_id, 1)] == ["lost"]


async def test_an_attempt_cancelled_before_its_first_step_is_followed_by_another(
    harness: Harness,
) -> None:
    test, loop, gate = asyncio.current_task(), asyncio.get_running_loop(), asyncio.Event()

    async def cancel_what_follows(invocation: Invocation) -> None:
        await gate.wait()
        if len(harness.calls) == 1:  # the end of this run starts the next one, in a task
            loop.call_soon(cancel_all_tasks, test)

    harness.services["s"] = cancel_what_follows
    for name in ("first", "second"):
        await harness.create(name=name, trigger=harness.once(1), max_concurrent=1)
    await harness.advance(1)
    gate.set()
    await harness.wait_for(lambda: len(harness.calls) == 2)

    runs = await harness.runs()
    assert [(run.outcome, run.attempt, run.crashes) for run in runs] == [
        ("ok", 1, 0),
        ("ok", 2, 1),
    ]


async def test_a_run_that_cancels_all_tasks_is_put_in_quarantine_alone(harness: Harness) -> None:
    test = asyncio.current_task()

    async def rude(invocation: object) -> None:
        cancel_all_tasks(test)
        await asyncio.sleep(0)

    harness.services["rude"] = rude
    job_id = await harness.create(
        name="rude", service="rude", trigger=harness.once(1), on_error_service="alarm"
    )
    fine = await harness.create(trigger=harness.once(1), service="gated")
    gate = harness.block("gated")
    await harness.advance(1)
    await harness.settle()
    gate.set()

    for _ in range(5):
        await harness.advance(1)
        await harness.settle()

    run = (await harness.runs(job_id))[0]
    assert (run.outcome, run.attempt, run.crashes) == ("lost", 3, 3)
    assert (run.error or "").startswith("quarantined after 3 crashes: task was cancelled")
    assert [call.service for call in harness.calls].count("alarm") == 1
    assert await harness.outcomes(fine) == ["ok"]


async def test_a_run_that_fails_on_a_crash_is_lost_when_it_is_cut_off(
    harness: Harness,
) -> None:
    harness.block("s")
    job_id = await harness.create(
        trigger=harness.once(1), on_crash="fail", on_error_service="alarm"
    )
    await harness.advance(1)

    cancel_all_tasks(asyncio.current_task())
    await harness.wait_for(lambda: len(harness.calls) == 2)

    assert await harness.outcomes(job_id) == ["lost"]
    assert harness.calls[1].service == "alarm"


async def test_a_cancelled_shutdown_leaves_its_runs_to_the_next_node(
    tmp_path: Path,
) -> None:
    clock = ManualClock()
    async with open_store(tmp_path / "z.db", clock) as store:
        first = Harness(store, clock, locks=store.locks)
        await first.scheduler.__aenter__()
        first.block("s")
        job_id = await first.create(trigger=first.once(1))
        await first.advance(1)

        stop = asyncio.create_task(first.scheduler.drain())
        await first.settle()
        stop.cancel()
        await asyncio.wait([stop])

        async with Harness(store, clock, locks=store.locks).scheduler as scheduler:
            await scheduler.wait_until_idle()
            run = (await first.runs(job_id))[0]
            assert (run.outcome, run.attempt) == ("ok", 2)


async def test_downtime_gets_exactly_what_the_policy_says(place: Place) -> None:
    clock = ManualClock()
    async with open_harness(place, clock) as first:
        begin = clock.now()
        job_id = await first.create(trigger=first.every(1))
        await first.advance(1)
    clock.advance(seconds=3600)

    async with open_harness(place, clock) as second:
        await second.advance(0)
        await second.scheduler.wait_until_idle()
        runs = [run for run in await second.runs(job_id) if run.outcome == "ok"]
        entries, total = await second.history.ledger(job_id)

    assert [run.slot for run in runs] == [begin + SECOND, begin + 3601 * SECOND]
    assert (total, entries[0].outcome, entries[0].count) == (1, "missed", 3599)
    assert "the server was down from 2027-01-15" in entries[0].reason
    assert outage_of(entries[0].reason) is not None


async def test_without_a_scheduler_runs_on_demand_wait_for_one(tmp_path: Path) -> None:
    clock = ManualClock()
    async with open_store(tmp_path / "z.db", clock) as store:
        still = Harness(store, clock)
        job_id = await still.create(trigger=still.once(100))
        await still.jobs.execute(job_id)

    async with open_harness(tmp_path / "z.db", clock) as second:
        await second.scheduler.wait_until_idle()
        assert await second.outcomes(job_id) == ["ok"]


async def test_a_service_that_cancels_all_tasks_loses_nothing(harness: Harness) -> None:
    async def rude(invocation: object) -> None:
        mine = asyncio.current_task()
        for task in asyncio.all_tasks():
            if task is not mine and task.get_name() == "scheduler":
                task.cancel()

    harness.services["rude"] = rude
    await harness.create(name="rude", service="rude", trigger=harness.once(1))
    job_id = await harness.create(trigger=harness.once(5))
    await harness.advance(1)
    await harness.settle()

    harness.clock.advance(seconds=5)
    await harness.wait_for(lambda: len(harness.calls) == 2)

    assert await harness.outcomes(job_id) == ["ok"]


async def crash_twice(harness: Harness, count: int, **fields: Any) -> Harness:
    """Let two processes die while these runs were running; return the next one's harness."""
    harness.block("s")
    for number in range(count):
        await harness.create(name=f"j{number}", trigger=harness.once(1), **fields)
    await harness.advance(1)
    await harness.scheduler.crash()
    again = await restart(harness, gated="s")
    await again.settle()
    await again.scheduler.crash()
    return again


async def test_suspects_begin_together_after_a_while_and_as_soon_as_those_before_have_ended(
    harness: Harness,
) -> None:
    restarted = await restart(await crash_twice(harness, 4))
    async with restarted.scheduler:
        begun = []
        for _ in range(5):
            await restarted.wait_for(lambda: True)
            begun.append(len(restarted.calls))
            await restarted.advance(1)

        assert begun == [0, 0, 0, 4, 4]
        assert {run.crashes for run in await restarted.runs()} == {2}


@pytest.mark.parametrize("culprit", [0, 1, 12, 30, 31])
async def test_one_that_kills_its_process_is_found_among_many_and_alone_is_lost(
    harness: Harness, culprit: int
) -> None:
    current, deaths, killers = await crash_twice(harness, 32), 2, [f"j{culprit}"]
    while deaths < 20:
        current = await restart(current, gated="s")
        begun: list[str] = []
        for _ in range(60):
            begun = [call.job.name for call in current.calls if call.job is not None]
            if set(killers) & set(begun):
                break
            await current.advance(1)
        if not set(killers) & set(begun):
            break
        await current.scheduler.crash()
        deaths += 1

    runs = {run.job_name: run for run in await current.runs()}
    assert deaths <= 2 + 1 + 5 + 3
    assert {name for name, run in runs.items() if run.outcome == "lost"} == set(killers)
    assert "3 of them while no other suspect ran" in (runs[killers[0]].error or "")
    rows = {row.job.name: row.job for row in (await current.jobs.list())[0]}
    assert [name for name, job in rows.items() if not job.is_active] == killers
    await current.scheduler.drain()


class Pauses(NoObserver):
    """Observer that collects pauses: the job, who made them, and why."""

    is_wanted = True

    def __init__(self) -> None:
        self.pauses: list[tuple[int, str, str]] = []

    def job_changed(self, what: What, job_id: int, job: Job, **fields: Any) -> None:
        if what == "paused":
            self.pauses.append((job_id, fields["who"], fields["why"]))


@pytest.mark.parametrize("is_killer", [True, False])
async def test_a_job_without_repetition_that_kills_its_process_is_paused(
    harness: Harness, is_killer: bool
) -> None:
    current, observer = harness, Pauses()
    await harness.create(name="long", service="long", trigger=harness.once(0.5), max_crashes=99)
    killer = await harness.create(name="killer", service="killer", on_crash="fail")
    for _ in range(3):
        for service in ("long", "killer"):
            current.block(service)
        await current.advance(0.5)
        await current.advance(0.5)
        if not is_killer:
            await current.create(
                name=f"later {current.clock.now()}", service="long", trigger=current.once(0.1)
            )
            await current.advance(0.2)
        await current.scheduler.crash()
        current = Harness(current.store, current.clock, grace=0.0, observer=observer)
        await current.scheduler.__aenter__()

    job = (await current.jobs.get(killer)).job
    assert job.is_active is not is_killer
    note = "paused automatically: 3 runs in a row were lost with their process"
    assert job.pause_note == (note if is_killer else None)
    assert observer.pauses == ([(killer, "system", note)] if is_killer else [])
    await current.scheduler.drain()


async def test_a_death_before_the_start_of_a_run_does_not_count(harness: Harness) -> None:
    fields = {"trigger": harness.once(1), "service": "s", "max_concurrent": 1}
    harness.block("s")
    for number in range(3):
        await harness.create(name=f"j{number}", max_crashes=1, **fields)
    await harness.create(name="fail", on_crash="fail", **fields)
    await harness.advance(1)
    begun = {call.job.name for call in harness.calls if call.job is not None}
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.scheduler.wait_until_idle()
        runs = {run.job_name: run for run in await restarted.runs()}

    assert len(begun) == 1
    assert {name for name, run in runs.items() if run.outcome == "lost"} == begun
    others = [run for name, run in runs.items() if name not in begun]
    assert [(run.outcome, run.attempt, run.crashes) for run in others] == [("ok", 1, 0)] * 3


async def test_a_death_after_the_end_of_a_run_repeats_it_without_counting(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, max_crashes=1)
    monkeypatch.setattr(completion, "complete_attempts", _unavailable)
    await harness.advance(1)
    await harness.scheduler.crash()
    monkeypatch.undo()

    restarted = await restart(harness, failing="s")
    async with restarted.scheduler:
        for _ in range(4):
            await restarted.advance(2)
        run = (await restarted.runs(job_id))[0]

    # The attempt that ended and was not saved has used up no retry.
    assert (run.outcome, run.attempt, run.crashes) == ("error", 3, 0)


def _unavailable(*_: Any) -> Any:
    raise UnavailableError("full")


async def test_a_death_while_no_suspect_ran_clears_the_suspects(harness: Harness) -> None:
    current = await crash_twice(harness, 1, max_crashes=3)
    for _ in range(5):  # each process dies before the suspect starts
        current = await restart(current, gated="s")
        await current.advance(2)
        await current.scheduler.crash()
    current = await restart(current, gated="s")
    await current.advance(10)
    assert len(current.calls) == 1
    await current.scheduler.crash()  # the third death during the run, the first one alone

    restarted = await restart(current)
    async with restarted.scheduler:
        await restarted.advance(20)
        await restarted.scheduler.wait_until_idle()

    run = (await restarted.runs())[0]
    assert (run.outcome, run.crashes) == ("ok", 3)


@pytest.mark.usefixtures("quick_retries")
async def test_a_claim_is_retried_after_an_error_of_the_store(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_claim, failures = claim.claim, iter([ValueError("a defect"), UnavailableError("full")])

    def fragile(*values: Any, **options: Any) -> Any:
        if (error := next(failures, None)) is not None:
            raise error
        return real_claim(*values, **options)

    monkeypatch.setattr(claim, "claim", fragile)
    job_id = await harness.create(trigger=harness.once(1))

    harness.clock.advance(seconds=1)
    await asyncio.wait_for(_ran(harness), 10)

    assert await harness.outcomes(job_id) == ["ok"]


async def _ran(harness: Harness) -> None:
    while not harness.calls:
        await harness.store.write(lambda c: None)
    await harness.scheduler.wait_until_idle()


@pytest.mark.usefixtures("quick_retries")
async def test_outcomes_wait_for_a_store_that_is_full(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
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
    job_id = await harness.create(trigger=harness.once(1))

    await harness.advance(1)
    while next(iter(await harness.outcomes(job_id)), "running") == "running":
        await harness.settle()

    assert await harness.outcomes(job_id) == ["ok"]


async def test_a_crash_takes_no_retry_away(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(trigger=harness.once(1), max_retries=1, retry_delay_ms=1_000)
    await harness.advance(1)
    await harness.scheduler.crash()

    restarted = await restart(harness, failing="s")
    async with restarted.scheduler:
        await restarted.settle()
        await restarted.advance(2)
        await restarted.scheduler.wait_until_idle()

    assert [(r.outcome, r.attempt) for r in await restarted.runs(job_id)] == [("error", 3)]


async def test_a_slot_gets_one_run_even_if_the_cursor_moves_back(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.every(10))
    await harness.advance(10)
    await harness.store.write(
        lambda c: execute(c, "UPDATE timer SET cursor = cursor - 1, next_at = cursor")
    )

    await harness.advance(1)

    assert len(harness.calls) == 1
    assert len(await harness.runs(job_id)) == 1


async def test_a_run_of_a_deleted_job_is_not_recovered(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    await harness.jobs.delete(job_id)
    await harness.scheduler.crash()

    restarted = await restart(harness)
    async with restarted.scheduler:
        await restarted.settle()

    assert restarted.calls == []
    assert await restarted.outcomes(job_id) == ["cancelled"]
