"""The engine of PostgreSQL itself; what all engines do alike is tested in the other files."""

import asyncio
import logging
import re
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, cast
from urllib.parse import quote, urlencode
from uuid import uuid4

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from zato_lite.clock import SystemClock
from zato_lite.errors import ConflictError, StoreError, UnavailableError
from zato_lite.store import postgres, postgres_session
from zato_lite.store.bell import channel_of
from zato_lite.store.migrate import migrate
from zato_lite.store.nodes import new_node_id, register_node
from zato_lite.store.others import NEW_RIGHTS, NEW_RUNS
from zato_lite.store.ports import Connection
from zato_lite.store.postgres import PostgresStore, open_postgres
from zato_lite.store.postgres_connection import PostgresConnection, connect
from zato_lite.store.postgres_run import PostgresRunConnection
from zato_lite.store.postgres_url import parse
from zato_lite.store.rows import NodeRow
from zato_lite.store.sql import execute, fetch_value

pytestmark = pytest.mark.postgres


@pytest.fixture
async def store(postgres_url: str) -> AsyncIterator[PostgresStore]:
    async with open_postgres(postgres_url, SystemClock()) as opened:
        yield opened


@pytest.fixture
def other(postgres_url: str) -> "Iterator[psycopg.Connection[Any]]":
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def put(name: str, value: str = "") -> Callable[[Connection], int]:
    insert = "INSERT INTO setting (name, value) VALUES (?, ?)"
    return lambda connection: execute(connection, insert, (name, value))


def names(connection: Connection) -> list[str]:
    """Return the settings' names but that of the bell, which the store itself chooses."""
    select = "SELECT name FROM setting WHERE name <> 'bell' ORDER BY name"
    return [name for (name,) in connection.execute(select)]


def fail(connection: Connection) -> None:
    execute(connection, "INSERT INTO setting (name, value) VALUES ('lost', '')")
    raise ConflictError("no")


def backend(connection: Connection) -> int:
    return int(fetch_value(connection, "SELECT pg_backend_pid()"))


async def test_operations_of_a_group_share_a_commit_unless_one_fails(
    store: PostgresStore,
) -> None:
    await asyncio.gather(*(store.write(put(f"n{i}")) for i in range(50)))

    results = await asyncio.gather(
        store.write(put("a")), store.write(fail), store.write(put("b")), return_exceptions=True
    )

    assert [str(result) for result in results] == ["1", "no", "1"]
    found = await store.read(names)
    assert len(found) == 52
    assert "lost" not in found


async def test_an_error_of_a_statement_undoes_its_operation_alone(store: PostgresStore) -> None:
    results = await asyncio.gather(
        store.write(put("a")),
        store.write(lambda c: execute(c, "SELECT 1 / 0")),
        store.write(put("a")),
        store.write(put("b")),
        return_exceptions=True,
    )

    assert isinstance(results[1], StoreError)
    assert not isinstance(results[1], UnavailableError)
    assert "division by zero" in str(results[1])
    assert isinstance(results[2], StoreError)
    assert await store.read(names) == ["a", "b"]


async def test_a_swallowed_error_does_not_pass_for_a_commit(store: PostgresStore) -> None:
    def swallow(connection: Connection) -> None:
        try:
            execute(connection, "SELECT 1 / 0")
        except psycopg.Error:
            return

    with pytest.raises(UnavailableError, match="was rolled back"):
        await store.write(swallow)

    await store.write(put("a"))
    assert await store.read(names) == ["a"]


async def test_a_read_sees_one_snapshot_and_writes_nothing(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    def twice(connection: Connection) -> tuple[list[str], list[str]]:
        before = names(connection)
        other.execute("INSERT INTO setting VALUES ('meanwhile', '')")
        return before, names(connection)

    before, after = await store.read(twice)

    assert before == after == []
    assert await store.read(names) == ["meanwhile"]
    with pytest.raises(UnavailableError, match="read-only"):
        await store.read(put("a"))


async def test_writes_continue_after_the_connection_was_cut(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    first = await store.write(backend)
    reader = await store.read(backend)
    for pid in (first, reader):
        other.execute("SELECT pg_terminate_backend(%s)", (pid,))

    await store.write(put("a"))

    assert await store.read(names) == ["a"]
    assert await store.write(backend) != first
    assert store.trouble == ""


@pytest.mark.parametrize("is_kept", [True, False])
async def test_the_serial_says_if_a_commit_was_kept_whose_answer_was_lost(
    store: PostgresStore, other: "psycopg.Connection[Any]", is_kept: bool
) -> None:
    times = 0
    lane = store._changes
    original = lane._transaction

    def count(connection: Connection) -> int:
        nonlocal times
        times += 1
        return execute(connection, "INSERT INTO setting VALUES (?, '')", (f"n{times}",))

    def transaction(*arguments: Any) -> Any:
        connection = lane.session.connected()
        commit = connection.commit

        def lose() -> None:
            pid = connection._raw.info.backend_pid
            if is_kept:
                commit()
            other.execute("SELECT pg_terminate_backend(%s, 5000)", (pid,))
            connection.execute("SELECT 1")  # what the commit would meet

        connection.commit = lose  # type: ignore[method-assign]
        lane._transaction = original  # type: ignore[method-assign]
        return original(*arguments)

    lane._transaction = transaction  # type: ignore[method-assign,assignment]
    result = await store.write(count)

    assert result == 1
    assert times == (1 if is_kept else 2)
    assert await store.read(names) == [f"n{times}"]


async def test_a_lock_that_is_met_after_a_lost_answer_leaves_no_trouble_behind(
    postgres_url: str, other: "psycopg.Connection[Any]"
) -> None:
    async with open_postgres(f"{postgres_url}%20-clock_timeout%3D20", SystemClock()) as store:
        await store.write(put("a"))
        lane = store._changes
        commit = lane.session.connected().commit
        seen: asyncio.Queue[str] = asyncio.Queue()
        loop, note_loss = asyncio.get_running_loop(), lane.session.note_loss

        def lose() -> None:
            commit()
            other.execute("BEGIN; SELECT 1 FROM lane FOR UPDATE")
            lane.session.connected().close()
            raise psycopg.OperationalError("the answer is lost")

        def note(why: str) -> None:
            note_loss(why)
            loop.call_soon_threadsafe(seen.put_nowait, why)

        lane.session.connected().commit = lose  # type: ignore[method-assign]
        lane.session.note_loss = note  # type: ignore[method-assign]
        writing = asyncio.create_task(store.write(put("b")))
        while "lock timeout" not in await seen.get():
            pass
        other.execute("COMMIT")
        await writing

        assert store.trouble == ""
        assert await store.read(names) == ["a", "b"]


async def test_a_deadlock_is_resolved_by_repeating_the_operation(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    for name in ("a", "b"):
        await store.write(put(name))
    other.execute("BEGIN")
    other.execute("UPDATE setting SET value = 'other' WHERE name = 'b'")
    has_a = asyncio.Event()
    loop = asyncio.get_running_loop()
    tries = 0

    def both(connection: Connection) -> None:
        nonlocal tries
        tries += 1
        execute(connection, "SET LOCAL deadlock_timeout = '10ms'")
        execute(connection, "UPDATE setting SET value = value || 'x' WHERE name = 'a'")
        loop.call_soon_threadsafe(has_a.set)
        execute(connection, "UPDATE setting SET value = value || 'x' WHERE name = 'b'")

    writing = asyncio.ensure_future(store.write(both))
    await has_a.wait()
    other.execute("SET deadlock_timeout = '10s'")
    await asyncio.to_thread(other.execute, "UPDATE setting SET value = 'other' WHERE name = 'a'")
    other.execute("COMMIT")
    await writing

    rows = other.execute("SELECT value FROM setting WHERE name <> 'bell'").fetchall()
    assert tries > 1
    assert rows == [("otherx",), ("otherx",)]


async def test_a_locked_row_fails_one_operation_as_unavailable(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    await store.write(put("a"))
    other.execute("BEGIN")
    other.execute("UPDATE setting SET value = 'other' WHERE name = 'a'")

    def change(connection: Connection) -> None:
        execute(connection, "SET LOCAL lock_timeout = '50ms'")
        execute(connection, "UPDATE setting SET value = 'mine' WHERE name = 'a'")

    results = await asyncio.gather(
        store.write(put("b")), store.write(change), return_exceptions=True
    )
    other.execute("ROLLBACK")

    assert isinstance(results[1], UnavailableError)
    assert "lock timeout" in str(results[1])
    assert await store.read(names) == ["a", "b"]


async def test_a_server_that_is_away_is_trouble_and_then_a_refusal(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL, "zato_lite.store")
    monkeypatch.setattr(postgres_session, "DEADLINE_S", 0.2)
    async with open_postgres(postgres_url, SystemClock()) as store:
        await store.write(put("a"))
        where = store.location
        away = where._replace(url=where.url.replace("host=", "host=%2Fnowhere"))
        store._changes.session._location = away
        store._changes.session.drop()

        with pytest.raises(UnavailableError, match="the store cannot be written to: postgresql"):
            await store.write(put("b"))
        trouble = store.trouble
        store._changes.session._location = where
        await store.write(put("c"))

        assert "nowhere" in trouble
        assert store.trouble == ""
        assert await store.read(names) == ["a", "c"]


async def test_a_newer_schema_is_refused_unless_it_works_with_this_program(
    postgres_url: str, other: "psycopg.Connection[Any]"
) -> None:
    async with open_postgres(postgres_url, SystemClock()):
        pass
    other.execute("INSERT INTO migration VALUES (9000, 'x', 'y', 0, 9000)")

    with pytest.raises(StoreError, match="the store has schema 9000, but"):
        async with open_postgres(postgres_url, SystemClock()):
            pass

    other.execute("UPDATE migration SET works_with = 1 WHERE number = 9000")
    async with open_postgres(postgres_url, SystemClock()) as store:
        await store.write(put("a"))


async def test_nodes_that_start_together_migrate_once(postgres_url: str) -> None:
    async def enter() -> int:
        async with open_postgres(postgres_url, SystemClock()) as store:
            return int(
                await store.read(lambda c: fetch_value(c, "SELECT count(*) FROM migration"))
            )

    counts = await asyncio.gather(*(enter() for _ in range(4)))

    assert len(set(counts)) == 1
    assert counts[0] > 0


async def test_an_upgrade_may_take_longer_than_any_statement_afterwards(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An index of a large history takes minutes."""
    limit = "SELECT current_setting('statement_timeout')"
    limits: list[str] = []

    def upgrade(connection: Connection, now: int) -> None:
        limits.append(fetch_value(connection, limit))
        migrate(connection, now)

    monkeypatch.setattr(postgres, "migrate", upgrade)
    async with open_postgres(postgres_url, SystemClock()) as store:
        limits.append(await store.write(lambda c: fetch_value(c, limit)))

    assert limits == ["0", "30s"]


async def test_a_missing_schema_is_named(postgres_server: str) -> None:
    from tests.postgres import in_schema  # noqa: PLC0415

    with pytest.raises(StoreError, match="names no schema that exists"):
        async with open_postgres(in_schema(postgres_server, "nowhere"), SystemClock()):
            pass


@pytest.fixture
def database(postgres_server: str) -> Iterator[Callable[[str], str]]:
    """Return a function that makes a database of an encoding, and returns its URL."""
    made: list[bytes] = []
    path, _, query = postgres_server.partition("?")

    with psycopg.connect(postgres_server, autocommit=True) as connection:

        def make(encoding: str) -> str:
            name = f"test_{uuid4().hex[:12]}"
            made.append(name.encode())
            options = f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0"
            connection.execute(f"CREATE DATABASE {name} {options}".encode())
            return f"{path.rpartition('/')[0]}/{name}?{query}"

        yield make
        for name in made:
            connection.execute(b"DROP DATABASE %s WITH (FORCE)" % name)


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
async def test_a_database_that_cannot_keep_every_text_gets_no_store(
    database: Callable[[str], str], caplog: pytest.LogCaptureFixture, encoding: str
) -> None:
    url = database(encoding)

    if encoding == "SQL_ASCII":  # of a server without a locale
        async with open_postgres(url, SystemClock()) as store:
            await store.write(put("\N{EURO SIGN}"))
            assert await store.read(names) == ["\N{EURO SIGN}"]
        return
    with pytest.raises(
        StoreError, match="its encoding is LATIN1; create one with ENCODING 'UTF8'"
    ):
        async with open_postgres(url, SystemClock()):
            pass
    with psycopg.connect(url, autocommit=True) as connection:
        migrate(PostgresConnection(connection), 0)  # as an earlier program did
    async with open_postgres(url, SystemClock()):
        pass

    assert "some texts cannot be stored" in caplog.text


async def test_what_a_write_has_locked_it_reads_afresh_whatever_the_default_isolation_is(
    postgres_url: str,
) -> None:
    url = f"{postgres_url}{quote(' -c default_transaction_isolation=serializable')}"

    async with open_postgres(url, SystemClock()) as store:
        found = [
            await each.write(lambda c: fetch_value(c, "SHOW transaction_isolation"))
            for each in (store, store.for_scheduler)
        ]

    assert found == ["read committed", "read committed"]


async def test_a_database_that_refuses_the_tables_says_what_to_do(
    postgres_url: str, other: "psycopg.Connection[Any]"
) -> None:
    async def refusal(url: str) -> str:
        with pytest.raises(StoreError) as caught:
            async with open_postgres(url, SystemClock()):
                pass
        return str(caught.value)

    role = f"test_{uuid4().hex[:12]}"
    own_url = f"{postgres_url}{quote(f' -c role={role}')}"
    ((schema,),) = other.execute("SELECT current_schema()").fetchall()
    other.execute(f"CREATE ROLE {role} LOGIN".encode())
    hidden = await refusal(own_url)
    other.execute(f"GRANT USAGE ON SCHEMA {schema} TO {role}".encode())
    denied = await refusal(own_url)
    other.execute(f"DROP OWNED BY {role}; DROP ROLE {role}".encode())
    read_only = quote(" -c default_transaction_read_only=on")
    reading = await refusal(f"{postgres_url}{read_only}")
    other.execute("CREATE TABLE job (title text)")
    taken = await refusal(postgres_url)

    assert "no schema that exists and that the role may use; create or grant it" in hidden
    assert "permission denied for schema" in denied
    assert "grant the role USAGE and CREATE" in denied
    assert "read-only transaction; use the server that writes" in reading
    assert 'relation "job" already exists; another program uses the schema' in taken


async def test_nodes_hear_each_other(store: PostgresStore, postgres_url: str) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    store.bell.listen(heard.put_nowait)
    assert await heard.get() == ""

    async with open_postgres(postgres_url, SystemClock()) as second:
        second.bell.ring("7")
        assert await heard.get() == "7"
    store.bell.ring("all")

    assert await heard.get() == "all"


async def test_nodes_choose_one_channel_that_cannot_be_guessed(postgres_url: str) -> None:
    async def choose(_: int) -> str:
        return await asyncio.to_thread(find_channel, postgres_url)

    async with open_postgres(postgres_url, SystemClock()) as store:
        await store.write(lambda c: execute(c, "DELETE FROM setting WHERE name = 'bell'"))
        chosen = await asyncio.gather(*map(choose, range(8)))

    assert len(set(chosen)) == 1
    assert re.fullmatch("zato_lite_[0-9a-f]{32}", chosen[0])


def find_channel(url: str) -> str:
    connection = connect(parse(url))
    try:
        return channel_of(connection)
    finally:
        connection.close()


async def test_stores_with_similar_schemas_have_different_channels(postgres_server: str) -> None:
    from tests.postgres import in_schema  # noqa: PLC0415

    names = [f"{'a' * 50}_{number}" for number in range(2)]
    channels = []
    for name in names:
        with psycopg.connect(postgres_server, autocommit=True) as raw:
            raw.execute(f'CREATE SCHEMA "{name}"')
        url = in_schema(postgres_server, name)
        async with open_postgres(url, SystemClock()):
            channels.append(find_channel(url))
        with psycopg.connect(postgres_server, autocommit=True) as raw:
            raw.execute(f'DROP SCHEMA "{name}" CASCADE')

    assert len(set(channels)) == 2


async def test_a_node_that_may_have_missed_rings_hears_each_kind(store: PostgresStore) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()

    store.locks.listen(7, heard.put_nowait)

    assert {await heard.get() for _ in range(3)} == {"", NEW_RUNS, NEW_RIGHTS}


async def test_garbage_on_the_channel_does_not_end_the_bell(
    store: PostgresStore, postgres_url: str
) -> None:
    heard: asyncio.Queue[str] = asyncio.Queue()
    store.bell.listen(heard.put_nowait)
    assert await heard.get() == ""

    channel = find_channel(postgres_url)
    with psycopg.connect(postgres_url, autocommit=True) as raw:
        for text in ("x" * 7_999, "\u2028\x01", "7"):
            raw.execute("SELECT pg_notify(%s, %s)", (channel, text))

    assert [await heard.get() for _ in range(3)] == ["x" * 7_999, "\u2028\x01", "7"]


async def test_numbers_and_texts_come_back_as_they_were(store: PostgresStore) -> None:
    def back(connection: Connection) -> list[Any]:
        select = "SELECT CAST(? AS bigint), CAST(? AS text), CAST(? AS boolean), CAST(? AS json)"
        (row,) = connection.execute(select, (2**63 - 1, "é\U0001f600%s$1?", True, '{"a": [1]}'))
        (sums,) = connection.execute(
            "SELECT sum(CAST(? AS bigint)), avg(CAST(? AS bigint))", (5, 5)
        )
        return [*row, *sums]

    assert await store.read(back) == [2**63 - 1, "é\U0001f600%s$1?", True, '{"a": [1]}', 5, 5.0]
    with pytest.raises(OverflowError):
        await store.write(lambda c: execute(c, "SELECT CAST(? AS bigint)", (2**63,)))


async def test_arrays_keep_every_text(store: PostgresStore) -> None:
    texts = ["", "NULL", "a,b", '"', "\\", "{}", "é", " x ", "'", "\n"]

    def back(connection: Connection) -> Any:
        return fetch_value(connection, "SELECT CAST(? AS text[])", (connection.many(texts),))

    assert await store.read(back) == texts


async def test_a_write_that_waits_for_a_lock_holds_up_no_write_of_the_scheduler(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    await store.write(put("row"))
    with other.transaction():
        other.execute("UPDATE setting SET value = 'x'")
        delete = "DELETE FROM setting WHERE name = 'row'"
        change = asyncio.create_task(store.write(lambda c: execute(c, delete)))
        await asyncio.sleep(0.05)
        await store.for_scheduler.write(put("run"))
        is_waiting = not change.done()

    await change

    assert is_waiting
    assert await store.read(names) == ["run"]


async def test_a_write_comes_after_those_of_the_scheduler_that_were_submitted_before(
    store: PostgresStore,
) -> None:
    order: list[str] = []

    def slowly(connection: Connection) -> None:
        execute(connection, "SELECT pg_sleep(0.2)")
        execute(connection, "INSERT INTO setting (name, value) VALUES ('first', '')")

    store.for_scheduler.submit(slowly, lambda *_: order.append("scheduler"))
    found = await store.write(names)
    order.append("change")

    assert found == ["first"]
    assert order == ["scheduler", "change"]


async def test_answers_come_in_the_order_of_the_commits_of_both_lanes(
    store: PostgresStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []
    lane, locked = store._scheduling, threading.Event()
    deliver = lane._deliver

    def late(answers: Any) -> None:
        time.sleep(0.2)
        deliver(answers)

    def first(connection: Connection) -> None:
        execute(connection, "UPDATE setting SET value = '1' WHERE name = 'row'")
        locked.set()

    def second(connection: Connection) -> None:
        locked.wait(5)
        execute(connection, "UPDATE setting SET value = '2' WHERE name = 'row'")

    await store.write(put("row"))
    monkeypatch.setattr(lane, "_deliver", late)

    change = asyncio.create_task(store.write(second))
    await asyncio.sleep(0)
    store.for_scheduler.submit(first, lambda *_: order.append("scheduler"))
    await change
    order.append("change")

    assert order == ["scheduler", "change"]


async def test_a_node_without_its_record_can_write_nothing(
    store: PostgresStore, other: "psycopg.Connection[Any]"
) -> None:
    number = await store.for_scheduler.write(new_node_id)
    store.locks.take(number)
    row = NodeRow(number, "a", 1, 0, 0)
    await store.for_scheduler.write(lambda c: register_node(c, row, ""))
    store.locks.enter(number)
    await store.write(put("before"))
    other.execute("DELETE FROM node")

    with pytest.raises(UnavailableError, match="the row of node"):
        await store.write(put("after"))
    with pytest.raises(UnavailableError, match="the row of node"):
        await store.for_scheduler.write(put("after"))

    assert not store.locks.trusts_itself
    assert await store.read(names) == ["before"]


async def test_a_transaction_that_rests_is_ended_by_the_server_and_made_again(
    postgres_url: str,
) -> None:
    """As that of a node that is stopped within a claim: others must not wait for its locks."""
    limit = "SELECT current_setting('idle_in_transaction_session_timeout')"
    async with open_postgres(postgres_url, SystemClock()) as store:
        assert await store.for_scheduler.write(lambda c: fetch_value(c, limit)) == "2s"
        assert await store.write(lambda c: fetch_value(c, limit)) == "5s"
    url = f"{postgres_url}%20-cidle_in_transaction_session_timeout%3D50"
    async with open_postgres(url, SystemClock()) as store:
        tries: list[int] = []

        def rest(connection: Connection) -> None:
            put("a")(connection)
            tries.append(backend(connection))
            if len(tries) == 1:
                while is_alive(tries[0]):
                    time.sleep(0.01)

        def is_alive(process: int) -> bool:
            with psycopg.connect(postgres_url) as connection:
                asked = "SELECT count(*) FROM pg_stat_activity WHERE pid = %s"
                return connection.execute(asked, (process,)).fetchone() == (1,)

        await store.for_scheduler.write(rest)

        assert len(tries) == 2
        assert await store.read(names) == ["a"]


# A pooler between the store and the server


@asynccontextmanager
async def pooler(url: str, folder: Path) -> AsyncIterator[str]:
    """Forward connections, and tell another process than the one that answers."""
    target = conninfo_to_dict(url)
    host, port = str(target["host"]), str(target.get("port") or 5432)

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(65_536):
            before, key, rest = data.partition(b"K\0\0\0\x0c")
            writer.write(before + key + bytes([rest[0] ^ 1]) + rest[1:] if key else data)
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to_reader, to_writer = (
            await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
            if host.startswith("/")
            else await asyncio.open_connection(host, int(port))
        )
        with suppress(OSError):
            await asyncio.gather(forward(reader, to_writer), forward(to_reader, writer))

    async with await asyncio.start_unix_server(serve, folder / ".s.PGSQL.5432"):
        own = {**target, "host": str(folder), "port": "5432"}
        yield f"postgresql:///?{urlencode(own, quote_via=quote)}"


INSERT_RUN = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,
    crashes, claimed_at) VALUES (1, 0, 1, 1, 'async', 'claimed', 1, 1, 1, 0, 1)"""


def prepared(connection: Connection) -> int:
    for _ in range(5):
        connection.execute("SELECT 1 WHERE ?", (True,))
    return int(fetch_value(connection, "SELECT count(*) FROM pg_prepared_statements"))


async def test_statements_are_not_prepared_through_a_pooler(
    store: PostgresStore, postgres_url: str, tmp_path: Path
) -> None:
    assert await store.read(prepared) > 0
    async with pooler(postgres_url, tmp_path) as url:
        async with open_postgres(url, SystemClock()) as pooled:
            assert await pooled.read(prepared) == 0
            await pooled.write(put("a"))
            await pooled.write(lambda c: execute(c, INSERT_RUN))
            run = cast(PostgresRunConnection, await pooled.connect_run(1, 1))
            assert run.prepare_threshold is None
            await run.give_up()
        async with open_postgres(f"{url}&prepare_threshold=2", SystemClock()) as pooled:
            assert await pooled.read(prepared) > 0
    assert await store.read(names) == ["a"]
