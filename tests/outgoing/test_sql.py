"""Databases by name, on SQLite and on PostgreSQL."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from sqlalchemy import Column, Integer, MetaData, String, Table, insert, select
from sqlalchemy.exc import IntegrityError, NoResultFound

from zato_lite.config import Server, Settings, Store
from zato_lite.errors import ConfigError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.connections import Connections
from zato_lite.outgoing_config import Outgoing, Sql
from zato_lite.service.base import Service
from zato_lite.service.blocking import BlockingService
from zato_lite.service.message import Invocation
from zato_lite.testing.app import Sandbox, sandbox
from zato_lite.zato.service import Service as ZatoService

PEOPLE = Table(
    "people", MetaData(), Column("id", Integer, primary_key=True), Column("name", String(50))
)


class Fill(Service[Any, Any]):
    name = "fill"

    async def handle(self) -> Any:
        db = self.out.sql["db"]
        await db.execute("CREATE TABLE people (id integer PRIMARY KEY, name varchar(50))")
        people = [{"id": 1, "name": "Ann"}, {"id": 2, "name": "Bob"}]
        return await db.execute("INSERT INTO people (id, name) VALUES (:id, :name)", people)


class Ask(Service[Any, Any]):
    name = "ask"

    async def handle(self) -> Any:
        db = self.out.sql["db"]
        async with db.session() as session, session.begin():
            await session.execute(insert(PEOPLE).values(id=3, name="Eve"))
        return [
            await db.one("SELECT id, name FROM people WHERE id = :id", {"id": 1}),
            await db.one_or_none("SELECT id FROM people WHERE name = :name", name="nobody"),
            await db.all(select(PEOPLE.c.name).order_by(PEOPLE.c.id)),
            await db.scalar("SELECT count(*) FROM people"),
            await db.execute("UPDATE people SET name = 'x' WHERE id > 1"),
        ]


class AskBlocking(BlockingService[Any, Any]):
    name = "ask.blocking"

    def handle(self) -> Any:
        db = self.out.sql["db"]
        with db.session() as session, session.begin():
            session.execute(insert(PEOPLE).values(id=3, name="Eve"))
        return [
            db.one("SELECT id, name FROM people WHERE id = :id", id=1),
            db.one_or_none("SELECT id FROM people WHERE name = 'nobody'"),
            db.all(select(PEOPLE.c.name).order_by(PEOPLE.c.id)),
            db.scalar("SELECT count(*) FROM people"),
            db.execute("UPDATE people SET name = 'x' WHERE id > 1"),
        ]


class AskAsZato(ZatoService):
    name = "ask.zato"

    def handle(self) -> None:
        session = self.outgoing.sql.get("db").session()
        try:
            session.execute(insert(PEOPLE).values(id=3, name="Eve"))
            session.commit()
        finally:
            session.close()
        db = self.out.sql["db"]
        self.response.payload = [
            db.one("SELECT id, name FROM people WHERE id = :id", {"id": 1}),
            db.conn.one_or_none("SELECT id FROM people WHERE name = 'nobody'"),
            db.all("SELECT name FROM people ORDER BY id"),
            db.scalar("SELECT count(*) FROM people"),
            db.execute("UPDATE people SET name = 'x' WHERE id > 1"),
        ]


class AskAsAsyncZato(ZatoService):
    name = "ask.zato-async"

    async def handle(self) -> Any:
        db: Any = self.out.sql["db"]
        async with db.session() as session, session.begin():
            await session.execute(insert(PEOPLE).values(id=3, name="Eve"))
        return [
            await db.one("SELECT id, name FROM people WHERE id = :id", {"id": 1}),
            None,
            await db.all("SELECT name FROM people ORDER BY id"),
            await db.scalar("SELECT count(*) FROM people"),
            await db.execute("UPDATE people SET name = 'x' WHERE id > 1"),
        ]


class Statement(Service[Any, Any]):
    name = "statement"

    async def handle(self) -> Any:
        return await self.out.sql["db"].all(self.request.payload)


SERVICES = (Fill, Ask, AskBlocking, AskAsZato, AskAsAsyncZato, Statement)


def settings(url: str, **more: Any) -> Settings:
    return Settings(
        store=Store("sqlite:///:memory:"),
        server=Server(grace=0.0),
        outgoing=Outgoing(sql={"db": Sql(url, **more)}),
    )


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/own.db"
    found: str = request.getfixturevalue("postgres_url")
    return found


@pytest.fixture
async def it(url: str) -> AsyncIterator[Sandbox]:
    async with sandbox(*SERVICES, settings=settings(url)) as found:
        yield found


@pytest.mark.parametrize("name", ["ask", "ask.blocking", "ask.zato", "ask.zato-async"])
async def test_services_read_and_write_by_name(it: Sandbox, name: str) -> None:
    assert await it.invoke("fill") == 2

    assert await it.invoke(name) == [
        {"id": 1, "name": "Ann"},
        None,
        [{"name": "Ann"}, {"name": "Bob"}, {"name": "Eve"}],
        3,
        2,
    ]
    assert it.app.invoker.connections.figures["sql", "db"].results["ok"] >= 5


async def test_a_statement_that_fails_is_undone_and_raises_its_error(it: Sandbox) -> None:
    await it.invoke("fill")

    with pytest.raises(IntegrityError):
        await it.invoke("statement", "INSERT INTO people (id) VALUES (4), (1)")

    assert await it.invoke("statement", "SELECT count(*) AS n FROM people") == [{"n": 2}]


async def test_no_row_is_an_error_of_one(it: Sandbox) -> None:
    class One(Service[Any, Any]):
        name = "one"

        async def handle(self) -> Any:
            return await self.out.sql["db"].one("SELECT 1 WHERE 1 = 2")

    it.app.registry.add(One)
    with pytest.raises(NoResultFound):
        await it.invoke("one")


@pytest.mark.postgres
async def test_a_statement_ends_with_the_deadline(postgres_url: str) -> None:
    class Slow(Service[Any, Any]):
        name = "slow"

        async def handle(self) -> Any:
            return await self.out.sql["db"].all("SELECT pg_sleep(30)")

    async with sandbox(Slow, settings=settings(postgres_url, timeout=0.2)) as it:
        async with asyncio.timeout(10):
            with pytest.raises(OutgoingTimeoutError, match=r"no result within 0.2 s"):
                await it.invoke("slow")
            outcome = await it.app.invoker.run(Invocation("slow", timeout=0.05))

    assert isinstance(outcome.error, TimeoutError)


@pytest.mark.postgres
async def test_the_pool_is_bounded_and_connections_are_closed(postgres_url: str) -> None:
    class Count(Service[Any, Any]):
        name = "count"

        async def handle(self) -> Any:
            query = (
                "SELECT count(*), pg_sleep(0.05) FROM pg_stat_activity WHERE application_name = :n"
            )
            return (await self.out.sql["db"].all(query, n="pool-test"))[0]["count"]

    joined = "&" if "?" in postgres_url else "?"
    named = f"{postgres_url}{joined}application_name=pool-test"
    async with sandbox(Count, settings=settings(named, pool_size=2)) as it:
        counts = await asyncio.gather(*(it.invoke("count") for _ in range(10)))
        assert max(counts) == 2

    async with sandbox(Count, settings=settings(postgres_url)) as it:
        assert await it.invoke("count") == 0


async def test_a_database_that_is_away_is_an_outgoing_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    chosen = settings("postgresql://ann@127.0.0.1:1/x", password="hush-hush")  # noqa: S106
    async with sandbox(Statement, settings=chosen) as it:
        with pytest.raises(OutgoingError, match=r"\[outgoing.sql.db\] cannot connect: ") as caught:
            await it.invoke("statement", "SELECT 1")

    assert "hush-hush" not in f"{caught.value}{caplog.text}"


@pytest.mark.parametrize(
    ("url", "more", "expected"),
    [
        ("nonsense", {}, "url is not valid; use database://user@host/name"),
        ("postgresql://a:b@h/x", {}, "url has a password; use password or password_file"),
        ("nosuch://h/x", {}, "driver nosuch cannot be used"),
        ("postgresql+psycopg2://h/x", {}, r"driver postgresql\+psycopg2 cannot be used"),
        ("sqlite:///x", {"password": "a", "password_file": "b"}, "password and password_file"),
        ("sqlite:///x", {"password_file": "gone"}, "password_file: .*gone: No such file"),
    ],
)
async def test_settings_with_mistakes_are_named(
    tmp_path: Path, url: str, more: dict[str, Any], expected: str
) -> None:
    with pytest.raises(ConfigError, match=rf"\[outgoing.sql.db\] {expected}"):
        Connections(tmp_path).replace(Outgoing(sql={"db": Sql(url, **more)}))


async def test_the_path_of_a_file_is_relative_to_the_project(tmp_path: Path) -> None:
    connections = Connections(tmp_path)
    connections.replace(Outgoing(sql={"db": Sql("sqlite:///own.db")}))
    shared = connections.sql["db"]
    async with shared.begin().session() as session:
        await session.execute(select(1))
    shared.end()
    await connections.close()

    assert (tmp_path / "own.db").exists()


@pytest.mark.parametrize("name", ["ask", "ask.blocking", "ask.zato"])
async def test_sessions_use_the_same_database_in_memory(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    async with sandbox(*SERVICES, outgoing={"sql.db": "sqlite://"}) as it:
        await it.invoke("fill")

        assert (await it.invoke(name))[3] == 3

    assert os.listdir(tmp_path) == []  # noqa: PTH208 - in an async test


async def test_a_database_in_memory_stays_at_a_reload() -> None:
    connections = Connections()
    wanted = Outgoing(sql={"db": Sql("sqlite://")})
    connections.replace(wanted)

    assert connections.replace(wanted) == []
    await connections.close()


async def test_a_database_in_memory_takes_the_place_of_a_connection() -> None:
    async with sandbox(*SERVICES, outgoing={"sql.db": "sqlite://"}) as it:
        await it.invoke("fill")
        assert len(await it.invoke("statement", "SELECT * FROM people")) == 2


@pytest.mark.postgres
@pytest.mark.parametrize("is_blocking", [False, True])
async def test_a_session_that_outlives_its_connection_leaves_no_connection_open(
    postgres_url: str, is_blocking: bool
) -> None:
    connections = Connections()
    url = f"{postgres_url}{'&' if '?' in postgres_url else '?'}application_name=outlived"
    connections.replace(Outgoing(sql={"db": Sql(url)}))
    connection = connections.sql["db"].connection

    async def close() -> None:
        await connections.close()
        assert await seen() == 1

    async def seen() -> int:
        async with await psycopg.AsyncConnection.connect(postgres_url) as other:
            select = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'outlived'"
            row = await (await other.execute(select)).fetchone()
            assert row is not None
            return int(row[0])

    if is_blocking:
        with connection.blocking_session() as session:
            session.execute(select(1))
            await close()
    else:
        async with connection.session() as opened:
            await opened.execute(select(1))
            await close()

    async with asyncio.timeout(10):
        while await seen():  # noqa: ASYNC110 - PostgreSQL does not announce it
            await asyncio.sleep(0.02)
