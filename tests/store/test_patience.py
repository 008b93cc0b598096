"""Starts of servers while another program holds a lock on the store."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import psycopg
import pytest

from tests.scheduler.conftest import Harness
from zato_lite.clock import SystemClock
from zato_lite.errors import ConflictError, StoreLockedError
from zato_lite.store import patience, postgres
from zato_lite.store.patience import when_unlocked
from zato_lite.store.postgres import PostgresStore, begin_alone, open_postgres
from zato_lite.store.postgres_connection import PostgresConnection, connect
from zato_lite.store.postgres_url import parse
from zato_lite.store.sql import execute
from zato_lite.testing.clock import ManualClock

pytestmark = pytest.mark.postgres


@pytest.fixture
def url(postgres_url: str) -> str:
    """Return a URL whose connections wait for a lock for a moment only."""
    return f"{postgres_url}%20-clock_timeout%3D20"


@pytest.fixture
def migration(postgres_url: str) -> Iterator[PostgresConnection]:
    """A transaction of another program that migrates the store."""
    location = parse(postgres_url)
    connection = connect(location)
    begin_alone(connection, location)
    yield connection
    connection.close()


async def logged(caplog: pytest.LogCaptureFixture, words: str) -> None:
    async with asyncio.timeout(20):
        while words not in caplog.messages:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.01)


async def open_once(url: str) -> int:
    async with open_postgres(url, SystemClock()) as store:
        return await store.write(lambda c: execute(c, "DELETE FROM cache_item"))


async def test_a_start_waits_for_another_programs_migration(
    url: str, migration: PostgresConnection, caplog: pytest.LogCaptureFixture
) -> None:
    start = asyncio.create_task(open_once(url))
    await logged(caplog, "store locked, waiting")
    migration.commit()

    assert await start == 0


async def test_a_start_does_not_wait_for_ever(
    url: str, migration: PostgresConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgres, "UNLOCKED_S", 0)

    with pytest.raises(StoreLockedError, match=r"cannot be used: .* lock timeout"):
        await open_once(url)


async def test_a_start_that_is_cancelled_waits_no_longer(
    url: str, migration: PostgresConnection, caplog: pytest.LogCaptureFixture
) -> None:
    start = asyncio.create_task(open_once(url))
    await logged(caplog, "store locked, waiting")
    start.cancel()

    with pytest.raises(asyncio.CancelledError):
        await start


@asynccontextmanager
async def locked_runs(url: str, store: PostgresStore, clock: ManualClock) -> AsyncIterator[Any]:
    """A run whose process has died, and another program that lets no one write runs."""
    dead = Harness(store, clock)
    async with dead.scheduler:
        dead.block("s")
        await dead.create(trigger=dead.once(1), on_crash="fail")
        await dead.advance(1)
        assert dead.scheduler.in_flight == 1
        await dead.scheduler.crash()
    async with await psycopg.AsyncConnection.connect(url) as other:
        await other.execute("LOCK TABLE run IN EXCLUSIVE MODE")
        yield other


async def test_a_scheduler_starts_while_the_runs_to_recover_are_locked(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    clock = ManualClock()
    async with open_postgres(url, clock) as store, locked_runs(url, store, clock) as other:
        harness = Harness(store, clock, grace=0.0)
        async with harness.scheduler:
            before = await harness.outcomes()
            await other.commit()
            await harness.scheduler._dispatcher.recover_runs()

            assert "runs not recovered yet" in caplog.messages
            assert before == ["running"]
            assert await harness.outcomes() == ["lost"]


async def test_work_at_the_start_is_done_again_until_its_rows_are_free(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    async with open_postgres(url, SystemClock()) as store:
        await store.write(lambda c: execute(c, "INSERT INTO calendar VALUES ('a', '{}')"))
        async with await psycopg.AsyncConnection.connect(url) as other:
            await other.execute("SELECT 1 FROM calendar FOR UPDATE")
            delete = store.write(lambda c: execute(c, "DELETE FROM calendar"))
            with pytest.raises(StoreLockedError):
                await delete
            work = asyncio.create_task(
                when_unlocked(lambda: store.write(lambda c: execute(c, "DELETE FROM calendar")))
            )
            await logged(caplog, "store locked, waiting")
            await other.commit()

            assert await work == 1


async def test_other_errors_and_a_lasting_lock_are_raised(monkeypatch: pytest.MonkeyPatch) -> None:
    tries = 0

    async def work() -> None:
        nonlocal tries
        tries += 1
        raise ConflictError("no") if tries == 1 else StoreLockedError("locked")

    monkeypatch.setattr(patience, "UNLOCKED_S", -1)
    with pytest.raises(ConflictError):
        await when_unlocked(work)
    with pytest.raises(StoreLockedError):
        await when_unlocked(work)
    assert tries == 2
