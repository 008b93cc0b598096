"""Runs and jobs in a transaction of the user's own, over each driver."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import asyncpg
import psycopg
import pytest
from psycopg.rows import dict_row
from sqlalchemy import create_engine
from sqlalchemy.ext.asyncio import AsyncSession, create_async_engine
from sqlalchemy.orm import Session

import zato_lite
from zato_lite import BadInputError, ConflictError, Service
from zato_lite.config import Server, Settings, Store
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.testing.clock import ManualClock

pytestmark = pytest.mark.postgres

Opened = tuple[Any, Callable[[], Awaitable[Any]], Callable[[], Awaitable[Any]]]
"""A connection in a transaction, and functions that commit it and roll it back."""


class Work(Service):
    name = "crm.work"
    seen: list[Any] = []  # noqa: RUF012 - emptied by the fixture

    async def handle(self) -> None:
        self.seen.append((self.request.payload, self.caller.principal))


@asynccontextmanager
async def _psycopg(url: str) -> AsyncIterator[Opened]:
    async with await psycopg.AsyncConnection.connect(url, row_factory=dict_row) as connection:
        yield connection, connection.commit, connection.rollback


@asynccontextmanager
async def _blocking(url: str) -> AsyncIterator[Opened]:
    with psycopg.connect(url) as connection:

        async def commit() -> None:
            connection.commit()

        async def roll_back() -> None:
            connection.rollback()

        yield connection, commit, roll_back


def _parts(url: str) -> tuple[str, str]:
    query = parse_qs(urlsplit(url).query)
    return query["host"][0], query["options"][0].partition("=")[2]


@asynccontextmanager
async def _asyncpg(url: str) -> AsyncIterator[Opened]:
    host, schema = _parts(url)
    connection = await asyncpg.connect(
        host=host, user="postgres", database="postgres", server_settings={"search_path": schema}
    )
    await connection.set_type_codec(
        "json", encoder=json.dumps, decoder=json.loads, schema="pg_catalog"
    )
    transaction = connection.transaction()
    await transaction.start()
    yield connection, transaction.commit, transaction.rollback
    await connection.close()


@asynccontextmanager
async def _sqlalchemy(url: str) -> AsyncIterator[Opened]:
    engine = create_async_engine(url.replace("postgresql:", "postgresql+psycopg:"))
    async with engine.connect() as connection:
        yield connection, connection.commit, connection.rollback
    await engine.dispose()


@asynccontextmanager
async def _session(url: str) -> AsyncIterator[Opened]:
    host, schema = _parts(url)
    engine = create_async_engine(
        "postgresql+asyncpg://postgres@/postgres",
        connect_args={"host": host, "server_settings": {"search_path": schema}},
    )
    async with AsyncSession(engine) as session:
        yield session, session.commit, session.rollback
    await engine.dispose()


@pytest.fixture(params=[_psycopg, _blocking, _asyncpg, _sqlalchemy, _session])
def opening(
    request: pytest.FixtureRequest, postgres_url: str
) -> Callable[[], AbstractAsyncContextManager[Opened]]:
    return lambda: request.param(postgres_url)


@pytest.fixture
async def box(postgres_url: str) -> AsyncIterator[Sandbox]:
    Work.seen.clear()
    settings = Settings(store=Store(postgres_url), server=Server(grace=0.0))
    clock = ManualClock()
    with psycopg.connect(postgres_url) as connection:
        now = connection.execute("SELECT extract(epoch FROM now()) * 1000000").fetchone()
    assert now is not None
    clock.set(int(now[0]) + 60_000_000)  # the database's time, and a minute
    async with sandbox(Work, clock=clock, settings=settings) as opened:
        yield opened


async def recovered(box: Sandbox, count: int = 0) -> list[Any]:
    """Return what the service was invoked with; the scheduler hears of new runs at once."""
    for _ in range(500 if count else 10):
        await box.settle()
        if count and len(Work.seen) >= count:
            break
        await asyncio.sleep(0.01)
    return Work.seen


async def test_a_run_is_made_if_its_transaction_is_committed(
    box: Sandbox, opening: Callable[[], AbstractAsyncContextManager[Opened]]
) -> None:
    async with opening() as (connection, commit, _):
        first = await zato_lite.enqueue(
            connection, "crm.work", {"n": 1, "t": 'é"\\'}, on_behalf_of="system"
        )
        second = await zato_lite.enqueue(connection, Work, [2], on_behalf_of="system")
        before = list(await recovered(box))
        await commit()

    assert isinstance(first, int)
    assert first < second
    assert before == []
    assert await recovered(box, 2) == [({"n": 1, "t": 'é"\\'}, "system"), ([2], "system")]


async def test_nothing_is_left_of_a_transaction_that_is_rolled_back(
    box: Sandbox, opening: Callable[[], AbstractAsyncContextManager[Opened]]
) -> None:
    async with opening() as (connection, _, roll_back):
        await zato_lite.enqueue(connection, "crm.work", 1, on_behalf_of="system")
        await zato_lite.create_job(connection, JOB, on_behalf_of="system")
        await roll_back()

    assert await recovered(box) == []
    assert await box.invoke("zato.scheduler.job.get-list", {}) == []


JOB = {
    "name": "every minute", "service": "crm.work", "job_type": "interval_based", "minutes": 1,
    "start_date": "2027-01-15 08:00:00", "extra": {"n": 3},
}  # fmt: skip


async def test_a_job_is_created_with_the_transaction(
    box: Sandbox, opening: Callable[[], AbstractAsyncContextManager[Opened]]
) -> None:
    async with opening() as (connection, commit, _):
        job_id = await zato_lite.create_job(connection, JOB, on_behalf_of="system")
        with pytest.raises(ConflictError, match="Job `every minute` already exists"):
            await zato_lite.create_job(connection, JOB, on_behalf_of="system")
        await commit()

    [found] = await box.invoke("zato.scheduler.job.get-list", {})
    via = await box.invoke("zato.scheduler.job.create", {**JOB, "name": "by the service"})
    other = await box.invoke("zato.scheduler.job.get-by-id", {"id": via["id"]})
    same = [key for key in found if key not in {"id", "name", "version"}]
    assert found["id"] == job_id
    assert {key: found[key] for key in same} == {key: other[key] for key in same}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"principal": "system"}, "principal: 'system' is not allowed here; use on_behalf_of"),
        ({"principal": "user:ann"}, "principal: 'user:ann' is not allowed here"),
        (
            {"on_success_job": "of an admin"},
            "on_success_job: .* needs a check of rights",
        ),
        ({"on_error_job": "of an admin"}, "on_error_job: 'of an admin' needs a check of rights"),
        ({"alert_after_intervals": 3}, "alert_after_intervals: 3 needs another job"),
    ],
    ids=str,
)
async def test_a_definition_gets_no_rights_but_those_of_on_behalf_of(
    box: Sandbox,
    opening: Callable[[], AbstractAsyncContextManager[Opened]],
    fields: dict[str, Any],
    words: str,
) -> None:
    async with opening() as (connection, commit, _):
        with pytest.raises(BadInputError, match=words):
            await zato_lite.create_job(connection, {**JOB, **fields}, on_behalf_of="user:low")
        await commit()

    assert await box.invoke("zato.scheduler.job.get-list", {}) == []


@pytest.mark.parametrize(
    "after", [90, 90.0, timedelta(seconds=90), "datetime"], ids=["int", "float", "delta", "date"]
)
async def test_a_run_may_begin_later(box: Sandbox, postgres_url: str, after: Any) -> None:
    async with _psycopg(postgres_url) as (connection, commit, _):
        if after == "datetime":
            after = datetime.now(UTC) + timedelta(seconds=90)  # noqa: TID251 - the database's
        await zato_lite.enqueue(connection, "crm.work", 1, on_behalf_of="system", after=after)
        await commit()

    early = list(await recovered(box))
    await box.advance(seconds=60)

    assert early == []
    assert await recovered(box, 1) == [(1, "system")]


async def test_a_schema_can_be_named(
    box: Sandbox, postgres_server: str, postgres_url: str
) -> None:
    _, schema = _parts(postgres_url)
    async with _psycopg(postgres_server) as (connection, commit, _):
        await zato_lite.enqueue(connection, Work, 1, on_behalf_of="system", schema=schema)
        job_id = await zato_lite.create_job(connection, JOB, on_behalf_of="system", schema=schema)
        await commit()

    assert job_id
    assert (await recovered(box, 1))[0] == (1, "system")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"after": -1}, "after: -1 is not valid; use seconds of 0 or more"),
        ({"after": float("nan")}, "after: nan is not valid"),
        ({"after": True}, "after: True is not valid"),
        ({"after": datetime(2027, 1, 1)}, "after: .* has no time zone; use an aware"),  # noqa: DTZ001
        ({"on_behalf_of": "ann"}, "on_behalf_of: 'ann' is not valid; use user:NAME"),
        ({"service": ""}, "service: '' is not valid"),
        ({"service": "a\0b"}, "null character"),
        ({"service": None}, "service: None is not valid; use the name of a service or its class"),
        ({"payload": object()}, "payload: it cannot be written as JSON"),
        ({"retries": "a"}, "retries: 'a' is not valid; use a number from 0 to 1000"),
        ({"retries": 1.5}, "retries: 1.5 is not valid; use a whole number"),
        ({"retries": 2**70}, "retries: .* is not valid"),
        ({"retry_delay": float("inf")}, "retry_delay: inf is not valid"),
        ({"retry_backoff": float("nan")}, "retry_backoff: nan is not valid; use a number from 1"),
        ({"timeout": 0}, "timeout: 0 is not valid"),
        ({"schema": ""}, "schema: '' is not valid"),
        ({"schema": 5}, "schema: 5 is not valid"),
        ({"schema": "a\ud800"}, "schema: .* is not valid"),
    ],
)
async def test_a_wrong_argument_is_named(
    box: Sandbox, postgres_url: str, arguments: dict[str, Any], words: str
) -> None:
    given = {"service": "crm.work", "on_behalf_of": "system", **arguments}
    async with _psycopg(postgres_url) as (connection, commit, _):
        with pytest.raises(BadInputError, match=words):
            await zato_lite.enqueue(connection, **given)
        await commit()

    assert await recovered(box) == []


@pytest.mark.parametrize("kind", ["engine", "connection", "session", "of the driver"])
async def test_other_objects_of_sqlalchemy_are_refused(kind: str) -> None:
    engine = create_engine("sqlite://")
    with engine.connect() as connection, Session(engine) as session:
        given = {"engine": engine, "connection": connection, "session": session}
        with pytest.raises(TypeError, match=r"connection: sqlalchemy\..* is not known; use"):
            await zato_lite.enqueue(
                given.get(kind, connection.connection), "crm.work", on_behalf_of="system"
            )


@pytest.mark.parametrize(
    ("definition", "words"),
    [
        (None, "definition: None is not valid; use the fields of a job"),
        ({"calendar": "a\0b"}, "calendar: 'a.*b' is not allowed"),
        ({"calendar": "a\ud800"}, "calendar: 'a.*' is not allowed"),
    ],
)
async def test_a_job_that_cannot_be_stored_is_refused_and_the_transaction_continues(
    box: Sandbox, postgres_url: str, definition: Any, words: str
) -> None:
    given = definition and {**JOB, **definition}
    async with _psycopg(postgres_url) as (connection, commit, _):
        with pytest.raises(BadInputError, match=words):
            await zato_lite.create_job(connection, given, on_behalf_of="system")
        await zato_lite.enqueue(connection, Work, 1, on_behalf_of="system")
        await commit()

    assert await recovered(box, 1) == [(1, "system")]


async def test_another_connection_is_refused() -> None:
    with pytest.raises(TypeError, match=r"connection: builtins.object is not known; use"):
        await zato_lite.enqueue(object(), "crm.work", on_behalf_of="system")


class Order(Service):
    """Enqueue on behalf of the caller, as a service does."""

    name = "crm.order"
    url = ""

    async def handle(self) -> None:
        async with await psycopg.AsyncConnection.connect(self.url) as connection:
            await zato_lite.enqueue(connection, "crm.work", 5, on_behalf_of=self)


async def test_within_a_service_its_caller_is_meant(box: Sandbox, postgres_url: str) -> None:
    Order.url = postgres_url
    box.app.registry.add(Order)

    await box.invoke("crm.order")

    assert await recovered(box, 1) == [(5, "system")]
