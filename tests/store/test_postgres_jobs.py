"""Nodes on PostgreSQL that decide about one job: each sees what the other one has decided."""

import asyncio
import threading
from collections.abc import AsyncIterator

import msgspec
import pytest

from zato_lite.clock import SystemClock
from zato_lite.store import jobs
from zato_lite.store.claim import ClaimResult, claim
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.jobs import EditResult
from zato_lite.store.ports import Connection
from zato_lite.store.postgres import PostgresStore, open_postgres
from zato_lite.store.sql import fetch_value
from zato_lite.timetable.job import SECOND, Interval, Job

pytestmark = pytest.mark.postgres

NOW = 1_800_000_000 * SECOND


@pytest.fixture
async def stores(postgres_url: str) -> AsyncIterator[tuple[PostgresStore, PostgresStore]]:
    async with (
        open_postgres(postgres_url, SystemClock()) as one,
        open_postgres(postgres_url, SystemClock()) as other,
    ):
        yield one, other


async def _add_jobs(store: PostgresStore, count: int) -> list[int]:
    trigger = Interval(start=NOW, seconds=60)
    new = [Job(name=f"j{n}", service="s", trigger=trigger) for n in range(count)]
    inserted = await store.write(lambda c: insert_jobs(c, [JobGroup(new)], NOW - SECOND))
    (ids,) = inserted.results
    assert isinstance(ids, list)
    return ids


def _claim(connection: Connection, node: int) -> ClaimResult:
    return claim(connection, NOW, NOW, node, limit=100)


def _edit(connection: Connection, job_id: int) -> EditResult:
    return jobs.edit(connection, job_id, lambda job: msgspec.structs.replace(job, extra="x"), NOW)


def _waits(connection: Connection) -> bool:
    waiting = "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE NOT granted)"
    return bool(fetch_value(connection, waiting))


async def test_an_edit_waits_for_a_claim_and_keeps_its_cursor(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    one, other = stores
    (job_id,) = await _add_jobs(one, 1)
    is_claimed, may_commit = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def claim_slowly(connection: Connection) -> ClaimResult:
        claimed = _claim(connection, 1)
        loop.call_soon_threadsafe(is_claimed.set)
        assert may_commit.wait(30)
        return claimed

    claiming = asyncio.ensure_future(one.write(claim_slowly))
    await is_claimed.wait()
    editing = asyncio.ensure_future(other.write(lambda c: _edit(c, job_id)))
    while not editing.done() and not await one.read(_waits):
        pass
    may_commit.set()
    edited = await editing

    assert len((await claiming).attempts) == 1
    assert (edited.row.cursor, edited.row.in_flight) == (NOW, 1)
    assert (await other.write(lambda c: _claim(c, 2))).attempts == []


async def test_two_nodes_claim_different_jobs_at_the_same_time(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    ids = await _add_jobs(stores[0], 200)
    both = threading.Barrier(2)

    def claim_together(connection: Connection, node: int) -> ClaimResult:
        both.wait()
        claimed = _claim(connection, node)
        both.wait()  # neither commits before the other one has chosen
        return claimed

    first, second = await asyncio.gather(
        *(
            store.write(lambda c, node=node: claim_together(c, node))  # type: ignore[misc]
            for node, store in enumerate(stores, 1)
        )
    )

    claimed = [[attempt.job_id for attempt in result.attempts] for result in (first, second)]
    assert sorted(claimed[0] + claimed[1]) == ids
    assert [len(part) for part in claimed] == [100, 100]
