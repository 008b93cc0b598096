"""Nodes on PostgreSQL that decide about a job or an account: each sees what the other decided."""

import asyncio
import re
import threading
from collections.abc import AsyncIterator, Callable
from typing import Any

import msgspec
import psycopg
import pytest

from zato_lite.clock import SystemClock
from zato_lite.errors import ConflictError, JobExistsError, StoreError
from zato_lite.store import accounts, jobs, pauses, retention, wishes
from zato_lite.store.accounts import Credential
from zato_lite.store.attempts import NO_STARTED_RUNS
from zato_lite.store.claim import ClaimResult, claim
from zato_lite.store.job_insert import JobGroup, insert_jobs
from zato_lite.store.jobs import EditResult
from zato_lite.store.ports import Connection
from zato_lite.store.postgres import PostgresStore, open_postgres
from zato_lite.store.rows import Pause
from zato_lite.store.sql import execute, fetch_ids, fetch_value
from zato_lite.timetable.job import DAY, SECOND, Interval, Job

pytestmark = pytest.mark.postgres

NOW = 1_800_000_000 * SECOND

Operation = Callable[[Connection], Any]


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
    waiting = (  # the tests of other workers of pytest-xdist wait on this server, too
        "SELECT EXISTS (SELECT 1 FROM pg_locks AS lock JOIN pg_locks AS held USING (pid)"
        " JOIN pg_class ON pg_class.oid = held.relation"
        " WHERE NOT lock.granted AND relnamespace = current_schema()::regnamespace)"
    )
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


async def test_claims_go_on_while_a_change_of_all_jobs_waits_for_a_lock(
    stores: tuple[PostgresStore, PostgresStore], postgres_url: str
) -> None:
    one, other = stores
    (job_id, *_) = await _add_jobs(one, 3)
    claims, wanted = 0, 5
    async with await psycopg.AsyncConnection.connect(postgres_url) as foreign:
        await foreign.execute("SELECT 1 FROM timer WHERE job_id = %s FOR UPDATE", (job_id,))
        pausing = asyncio.ensure_future(one.write(lambda c: wishes.ask_owners(c, None, 0, NOW)))
        while not await other.read(_waits):
            pass
        while claims < wanted and not pausing.done():
            await other.write(lambda c: _claim(c, 1))
            claims += 1
        is_waiting = not pausing.done()

    assert await pausing is None
    assert is_waiting
    assert claims == wanted


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


async def test_nodes_that_prune_at_the_same_time_delete_different_runs(
    stores: tuple[PostgresStore, PostgresStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "MAX_RUNS", {"postgres": 30})
    one, other = stores
    (job_id,) = await _add_jobs(one, 1)
    await one.write(lambda c: _add_runs(c, job_id, 100))
    both = threading.Barrier(2, timeout=30)

    def prune_together(connection: Connection) -> list[int]:
        both.wait()
        retention.prune_jobs(connection, NOW + 100 * DAY, [job_id])
        both.wait()  # neither commits before the other one has chosen
        return []

    await asyncio.gather(one.write(prune_together), other.write(prune_together))

    left = await one.read(lambda c: fetch_ids(c, "SELECT id FROM run ORDER BY id"))
    assert left == list(range(61, 101))


def _add_runs(connection: Connection, job_id: int, count: int) -> None:
    insert = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,
        crashes, claimed_at, finished_at, outcome)
        VALUES (?1, ?2, ?1, ?1, 'scheduled', 'done', 1, ?1, 1, 0, ?1, ?1, 'error')"""
    for number in range(1, count + 1):
        execute(connection, insert, (number, job_id))


def _new(name: str) -> Operation:
    job = Job(name=name, service="s", trigger=Interval(start=NOW, seconds=60))
    return lambda c: insert_jobs(c, [JobGroup([job])], NOW - SECOND).results[0]


def _renamed(job_id: int, name: str) -> Operation:
    return lambda c: jobs.edit(c, job_id, lambda j: msgspec.structs.replace(j, name=name), NOW)


async def _together(
    stores: tuple[PostgresStore, PostgresStore], first: Operation, second: Operation
) -> list[Any]:
    """Write the same name on two nodes: the second insert waits for the commit of the first."""
    one, other = stores
    has_written, may_commit = asyncio.Event(), threading.Event()
    loop = asyncio.get_running_loop()

    def slowly(connection: Connection) -> Any:
        result = first(connection)
        loop.call_soon_threadsafe(has_written.set)
        assert may_commit.wait(30)
        return result

    writing = asyncio.ensure_future(one.write(slowly))
    await has_written.wait()
    again = asyncio.ensure_future(other.write(second))
    while not again.done() and not await one.read(_waits):
        pass
    may_commit.set()
    return [*await asyncio.gather(writing, again, return_exceptions=True)]


async def test_two_nodes_that_create_a_job_of_one_name_get_one_job(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    ids, refusal = await _together(stores, _new("twin"), _new("twin"))

    assert len(ids) == 1
    assert isinstance(refusal, JobExistsError)
    assert str(refusal) == "Job `twin` already exists"


async def test_two_nodes_that_give_jobs_one_name_give_it_to_one(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    first, second = await _add_jobs(stores[0], 2)

    edited, refusal = await _together(stores, _renamed(first, "twin"), _renamed(second, "twin"))

    assert edited.row.job.name == "twin"
    assert isinstance(refusal, JobExistsError)


async def test_two_nodes_that_pause_the_scheduler_together_pause_it_once(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    def pause(by: str) -> Operation:
        return lambda c: pauses.pause_all(c, Pause(NOW, "", by), NO_STARTED_RUNS)[0]

    found = await _together(stores, pause("user:ann"), pause("user:bob"))

    assert [each.by for each in found] == ["user:ann", "user:ann"]


async def test_a_duplicate_of_an_operation_itself_fails_alone(
    stores: tuple[PostgresStore, PostgresStore],
) -> None:
    store = stores[0]
    row = "INSERT INTO setting (name, value) VALUES (?, '')"

    results = await asyncio.gather(
        store.write(lambda c: execute(c, row, ("a",))),
        store.write(lambda c: [execute(c, row, ("b",)) for _ in range(2)]),
        store.write(lambda c: execute(c, row, ("c",))),
        return_exceptions=True,
    )

    assert results[0] == results[2] == 1
    assert isinstance(results[1], StoreError)


KEY = Credential("key", "a1", "hash", label="crm")


@pytest.mark.parametrize(
    ("first", "second", "words"),
    [
        (KEY, KEY, r"Key `crm \(a1\)` already exists"),
        (KEY, msgspec.structs.replace(KEY, name="b2"), r"Key `crm \(a1\)` already exists"),
        (
            msgspec.structs.replace(KEY, is_active=False),
            msgspec.structs.replace(KEY, hash="new"),
            "was changed meanwhile",
        ),
    ],
    ids=["created", "named", "changed"],
)
async def test_two_nodes_that_change_an_account_do_not_undo_each_other(
    stores: tuple[PostgresStore, PostgresStore], first: Credential, second: Credential, words: str
) -> None:
    before = None if first.is_active else KEY
    if before is not None:
        await stores[0].write(lambda c: accounts.save_credential(c, KEY))

    _, refusal = await _together(
        stores,
        lambda c: accounts._change(c, first, before),
        lambda c: accounts._change(c, second, before),
    )

    assert isinstance(refusal, ConflictError)
    assert re.search(words, str(refusal))
    assert await accounts.Accounts(stores[0]).list("key") == [first]
