import asyncio

import pytest

from tests.scheduler.conftest import World, record
from zato_lite.scheduler import pruner
from zato_lite.service.message import Invocation
from zato_lite.store import retention
from zato_lite.store.audit import AuditLog, AuditRecord
from zato_lite.store.ports import Connection
from zato_lite.store.statements import fetch_value

DAY = 86_400


async def tidy(world: World) -> None:
    task = asyncio.ensure_future(pruner.prune_history(world.store, world.clock))
    while not task.done():
        await world.calm()
        world.clock.advance(milliseconds=50)
    await task


async def test_runs_that_are_too_old_or_too_many_go(world: World) -> None:
    young = await world.create(name="young", keep_runs=3, trigger=world.every(10))
    old = await world.create(name="old", keep_days=0.001, trigger=world.every(10))
    for _ in range(10):
        await world.go(10)
    await world.jobs.pause_all()
    world.clock.advance(seconds=50)

    await tidy(world)

    assert [run.number for run in await world.runs(young)] == [8, 9, 10]
    assert {run.number for run in await world.runs(old)} <= {6, 7, 8, 9, 10}


async def test_a_one_time_job_goes_with_its_run_and_leaves_nothing(world: World) -> None:
    job_id = await world.create(trigger=world.once(1))
    other = await world.create(name="pending", trigger=world.once(30 * DAY))
    await world.go(1)
    await world.go(6 * DAY)
    await tidy(world)
    assert len(await world.runs(job_id)) == 1

    await world.go(2 * DAY)
    await tidy(world)

    rows, _ = await world.jobs.list()
    assert [row.id for row in rows] == [other]
    assert await world.runs(job_id) == []
    kept = await world.store.read(lambda c: fetch_value(c, "SELECT count(*) FROM job"))
    assert kept == 1


async def test_a_deleted_job_is_purged_when_its_history_is(world: World) -> None:
    job_id = await world.create(trigger=world.once(1))
    await world.go(1)
    await world.jobs.delete(job_id)
    assert len(await world.runs(job_id)) == 1

    await world.go(8 * DAY)
    await tidy(world)

    assert await world.store.read(lambda c: fetch_value(c, "SELECT count(*) FROM job")) == 0


async def test_what_is_in_flight_is_kept(world: World) -> None:
    world.gate("s")
    job_id = await world.create(keep_days=0, keep_runs=0, max_execution_time_ms=86_400_000)
    await world.go(1)

    await tidy(world)

    assert [run.outcome for run in await world.runs(job_id)] == ["running"]


async def test_the_lines_of_all_attempts_go_with_their_run(world: World) -> None:
    async def fail(invocation: Invocation) -> None:
        assert invocation.sink is not None
        invocation.sink(record("at it"))
        raise ValueError("no")

    world.services["s"] = fail
    await world.create(trigger=world.once(1), max_retries=2, retry_delay_ms=0)
    await world.go(1)
    await world.until(lambda: len(world.calls) == 3)
    assert await world.store.read(_kept) == (2, 1)

    await world.go(8 * DAY)
    await tidy(world)

    assert await world.store.read(_kept) == (0, 0)


def _kept(connection: Connection) -> tuple[int, int]:
    """How many attempts before the latest have lines, and how many runs."""
    return (
        fetch_value(connection, "SELECT count(lines) FROM attempt"),
        fetch_value(connection, "SELECT count(*) FROM run_log"),
    )


async def test_of_the_audit_log_the_latest_lines_stay(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "KEEP_AUDIT", 3)
    audit_log = AuditLog(world.store)
    for number in range(5):
        await audit_log.record(AuditRecord("ann", "invoke", "s", "ok", "c", "::1", number))

    await tidy(world)

    assert [line.at for line in await audit_log.list()] == [4, 3, 2]
