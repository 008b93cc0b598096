import asyncio

import pytest

from tests.scheduler.conftest import Harness, record
from zato_lite.scheduler import pruner
from zato_lite.service.message import Invocation
from zato_lite.store import retention
from zato_lite.store.audit import AuditLog, AuditRecord
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value

DAY = 86_400


async def tidy(harness: Harness) -> None:
    task = asyncio.ensure_future(pruner.prune_history(harness.store, harness.clock))
    while not task.done():
        await harness.settle()
        harness.clock.advance(milliseconds=50)
    await task


async def test_runs_that_are_too_old_or_too_many_go(harness: Harness) -> None:
    young = await harness.create(name="young", keep_runs=3, trigger=harness.every(10))
    old = await harness.create(name="old", keep_days=0.001, trigger=harness.every(10))
    for _ in range(10):
        await harness.advance(10)
    await harness.jobs.pause_all()
    harness.clock.advance(seconds=50)

    await tidy(harness)

    assert [run.number for run in await harness.runs(young)] == [8, 9, 10]
    assert {run.number for run in await harness.runs(old)} <= {6, 7, 8, 9, 10}


async def test_a_one_time_job_goes_with_its_run_and_leaves_nothing(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(1))
    other = await harness.create(name="pending", trigger=harness.once(30 * DAY))
    await harness.advance(1)
    await harness.advance(6 * DAY)
    await tidy(harness)
    assert len(await harness.runs(job_id)) == 1

    await harness.advance(2 * DAY)
    await tidy(harness)

    rows, _ = await harness.jobs.list()
    assert [row.id for row in rows] == [other]
    assert await harness.runs(job_id) == []
    kept = await harness.store.read(lambda c: fetch_value(c, "SELECT count(*) FROM job"))
    assert kept == 1


async def test_a_deleted_job_is_purged_when_its_history_is(harness: Harness) -> None:
    job_id = await harness.create(trigger=harness.once(1))
    await harness.advance(1)
    await harness.jobs.delete(job_id)
    assert len(await harness.runs(job_id)) == 1

    await harness.advance(8 * DAY)
    await tidy(harness)

    assert await harness.store.read(lambda c: fetch_value(c, "SELECT count(*) FROM job")) == 0


async def test_what_is_in_flight_is_kept(harness: Harness) -> None:
    harness.block("s")
    job_id = await harness.create(keep_days=0, keep_runs=0, max_execution_time_ms=86_400_000)
    await harness.advance(1)

    await tidy(harness)

    assert [run.outcome for run in await harness.runs(job_id)] == ["running"]


async def test_the_lines_of_all_attempts_go_with_their_run(harness: Harness) -> None:
    async def fail(invocation: Invocation) -> None:
        assert invocation.sink is not None
        invocation.sink(record("at it"))
        raise ValueError("no")

    harness.services["s"] = fail
    await harness.create(trigger=harness.once(1), max_retries=2, retry_delay_ms=0)
    await harness.advance(1)
    await harness.wait_for(lambda: len(harness.calls) == 3)
    assert await harness.store.read(_kept) == (2, 1)

    await harness.advance(8 * DAY)
    await tidy(harness)

    assert await harness.store.read(_kept) == (0, 0)


def _kept(connection: Connection) -> tuple[int, int]:
    """Return the numbers of earlier attempts and of runs that have log lines."""
    return (
        fetch_value(connection, "SELECT count(lines) FROM attempt"),
        fetch_value(connection, "SELECT count(*) FROM run_log"),
    )


async def test_of_the_audit_log_the_latest_lines_stay(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_AUDIT", 3)
    audit_log = AuditLog(harness.store)
    for number in range(5):
        await audit_log.record(AuditRecord("ann", "invoke", "s", "ok", "c", "::1", number))

    await tidy(harness)

    assert [line.at for line in await audit_log.list()] == [4, 3, 2]


async def tidy_active(harness: Harness, active: pruner.ActivePruner) -> None:
    task = asyncio.ensure_future(active.prune())
    while not task.done():
        await harness.settle()
        harness.clock.advance(milliseconds=50)
    await task


async def test_active_jobs_keep_only_their_newest_runs_between_two_full_passes(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MAX_RUNS", {"sqlite": 4, "postgres": 4})
    monkeypatch.setattr(retention, "MAX_JOBS", 2)
    jobs = [
        await harness.create(name=f"job {keep}", keep_runs=keep, trigger=harness.every(10))
        for keep in (1, 2, 3, 4, 50)
    ]
    active = pruner.ActivePruner(harness.store, harness.clock)
    for _ in range(12):
        await harness.advance(10)
    await harness.jobs.pause_all()

    await tidy_active(harness, active)

    assert [len(await harness.runs(job)) for job in jobs] == [1, 2, 3, 4, 12]


async def test_a_pass_over_active_jobs_looks_only_at_those_with_new_runs(
    harness: Harness,
) -> None:
    active = pruner.ActivePruner(harness.store, harness.clock)
    quiet = await harness.create(name="quiet", trigger=harness.once(1), keep_runs=1)
    busy = await harness.create(name="busy", trigger=harness.every(10))
    await harness.advance(10)
    await tidy_active(harness, active)
    found = []

    for _ in range(2):
        jobs, _ = await active._active(active._newest or 0)
        found.append(jobs)
        await harness.advance(10)

    assert found == [[], [busy]]
    assert quiet not in found[1]


async def test_keep_runs_holds_within_a_minute_while_jobs_run(harness: Harness) -> None:
    job = await harness.create(keep_runs=5, trigger=harness.every(1))
    most = 0

    for _ in range(180):
        await harness.advance(1)
        most = max(most, len(await harness.runs(job)))

    assert most <= 5 + 60
    assert len(await harness.runs(job)) <= 5 + 25
