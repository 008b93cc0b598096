"""The SQLite store: operations are atomic, in order and durable; damage is detected."""

import asyncio
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import cast

import apsw
import pytest

from tests.store.damage import damage
from tests.store.files import names, put, settings_in, store_with
from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError, UnavailableError
from zato_lite.store import connection as connections
from zato_lite.store import sqlite
from zato_lite.store.backup import check_file
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import execute, fetch_value
from zato_lite.store.sqlite import SqliteStore, open_store


async def test_a_read_sees_an_earlier_write(database: Database) -> None:
    await database.write(lambda c: put(c, "a"))

    assert await database.read(names) == ["a"]


async def test_a_failed_operation_is_undone_alone(
    database: Database,
) -> None:
    def fail(connection: Connection) -> None:
        put(connection, "gone")
        raise ValueError("no")

    results = await asyncio.gather(
        *(database.write(lambda c, n=n: put(c, n)) for n in ("a", "b")),  # type: ignore[misc]
        database.write(fail),
        database.write(lambda c: put(c, "c")),
        return_exceptions=True,
    )

    assert [type(result) for result in results] == [type(None), type(None), ValueError, type(None)]
    assert await database.read(names) == ["a", "b", "c"]


async def test_operations_run_again_if_one_of_their_group_fails_after_a_write(
    database: Database,
) -> None:
    runs: list[str] = []

    def add(name: str, *, fails: bool = False) -> Callable[[Connection], str]:
        def operation(connection: Connection) -> str:
            runs.append(name)
            put(connection, name)
            if fails:
                raise ValueError(name)
            return name

        return operation

    first, second, _ = await _group(database, add("a"), add("b"), add("x", fails=True))

    assert (first, second) == ("a", "b")
    assert runs == ["a", "b", "x", "a", "b", "x"]
    assert await database.read(names) == ["a", "b"]


async def test_an_operation_that_fails_before_it_writes_leaves_the_others_alone(
    database: Database,
) -> None:
    runs: list[str] = []

    def add(connection: Connection) -> None:
        runs.append("a")
        put(connection, "a")

    def refuse(connection: Connection) -> None:
        names(connection)
        raise ValueError("no")

    first, second, third = await _group(database, add, refuse, names)

    assert first is None
    assert isinstance(second, ValueError)
    assert third == ["a"]
    assert runs == ["a"]


async def _group(database: Database, *operations: Callable[[Connection], object]) -> list[object]:
    """Run operations in one transaction: they gather while another one holds the writer."""
    gate = threading.Event()
    held = asyncio.ensure_future(database.write(lambda _: gate.wait()))
    await asyncio.sleep(0)
    group = [asyncio.ensure_future(database.write(operation)) for operation in operations]
    await asyncio.sleep(0)
    gate.set()
    await held
    return await asyncio.gather(*group, return_exceptions=True)


async def test_a_failed_operation_alone_in_its_transaction_is_undone(database: Database) -> None:
    def fail(connection: Connection) -> None:
        put(connection, "gone")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write(fail)

    assert await database.read(names) == []


async def test_an_error_of_a_statement_is_not_one_of_an_unavailable_store(
    database: Database,
) -> None:
    with pytest.raises(StoreError, match="store operation failed"):
        await database.read(lambda c: fetch_value(c, "SELECT nothing"))
    with pytest.raises(StoreError, match="store operation failed"):
        await database.write(lambda c: fetch_value(c, "SELECT nothing"))


async def test_operations_take_effect_in_order_of_submission(database: Database) -> None:
    seen: list[int] = []

    await asyncio.gather(
        *(database.write(lambda _, n=n: seen.append(n)) for n in range(100))  # type: ignore[misc]
    )

    assert seen == list(range(100))


async def test_submit_calls_back_in_the_event_loop(database: Database) -> None:
    answer: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    database.submit(lambda c: 42, lambda result, error: answer.set_result((result, error)))

    assert await answer == (42, None)


async def test_a_write_whose_caller_is_cancelled_takes_effect(database: Database) -> None:
    task = asyncio.ensure_future(database.write(lambda c: put(c, "a")))
    await asyncio.sleep(0)
    task.cancel()

    await database.write(lambda c: None)
    assert await database.read(names) == ["a"]


async def test_a_closed_store_refuses_operations(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        pass

    with pytest.raises(UnavailableError, match="closed"):
        await store.write(lambda c: None)
    errors: list[object] = []
    store.submit(lambda c: None, lambda _, error: errors.append(error))
    assert isinstance(errors[0], UnavailableError)


async def test_data_survives_a_restart(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: put(c, "a"))

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        assert await store.read(names) == ["a"]


async def test_a_long_read_does_not_hold_up_another(tmp_path: Path) -> None:
    may_end = threading.Event()
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        long = asyncio.create_task(store.read(lambda _: may_end.wait(20)))

        found = await asyncio.wait_for(store.read(lambda c: fetch_value(c, "SELECT 7")), 10)

        may_end.set()
        assert (found, await long) == (7, True)


async def test_a_running_store_is_copied(sqlite_store: SqliteStore, tmp_path: Path) -> None:
    await sqlite_store.write(lambda c: put(c, "a"))

    await sqlite_store.backup(tmp_path / "copy.db")

    async with open_store(tmp_path / "copy.db", SystemClock()) as copy:
        assert await copy.read(names) == ["a"]
        assert list(await copy.check()) == []
    with pytest.raises(StoreError, match="already exists"):
        await sqlite_store.backup(tmp_path / "copy.db")


async def test_a_store_is_copied_while_a_statement_runs(
    sqlite_store: SqliteStore, tmp_path: Path
) -> None:
    began, may_end = threading.Event(), threading.Event()

    def wait(*_: object) -> int:
        began.set()
        return may_end.wait(10)

    def work(connection: Connection) -> None:
        cast("apsw.Connection", connection).create_scalar_function("wait", wait)
        assert fetch_value(connection, "SELECT wait()") == 1
        put(connection, "a")

    writing = asyncio.create_task(sqlite_store.write(work))
    await asyncio.to_thread(began.wait, 10)
    copying = asyncio.create_task(sqlite_store.backup(tmp_path / "copy.db"))
    await asyncio.wait([copying], timeout=0.2)
    may_end.set()

    await asyncio.gather(writing, copying)
    async with open_store(tmp_path / "copy.db", SystemClock()) as copy:
        assert await copy.read(names) in ([], ["a"])
    assert await sqlite_store.read(names) == ["a"]


async def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    (tmp_path / "z.db").write_bytes(b"no database at all " * 1000)

    with pytest.raises(StoreError, match="is damaged"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        async with open_store(tmp_path, SystemClock()):
            pass


@pytest.fixture
def big(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every file too large for the check at startup."""
    monkeypatch.setattr(sqlite, "STARTUP_CHECK_BYTES", 0)
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 0.0)


async def late_check(store: SqliteStore) -> None:
    for thread in store._threads:
        if thread.name == "store-check":
            await asyncio.to_thread(thread.join)


@pytest.mark.parametrize("name", ["timer_next", "run_job", "run_log", "job"])
async def test_a_small_file_with_a_damaged_page_is_refused_at_startup(
    tmp_path: Path, name: str
) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    damage(path, name)
    before = path.read_bytes()

    with pytest.raises(StoreError, match=r"is damaged: .*; restore a backup: zato-lite db"):
        await settings_in(path)

    assert path.read_bytes() == before


async def test_a_large_file_is_checked_in_the_background(
    tmp_path: Path, big: None, caplog: pytest.LogCaptureFixture
) -> None:
    path = await store_with(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert "is damaged" in store.trouble
        assert await store.read(names) == ["a"]
    assert [record.message for record in caplog.records] == ["store damaged"]
    assert caplog.records[0].levelno == logging.CRITICAL


async def test_a_startup_check_that_takes_too_long_moves_to_the_background(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "STARTUP_CHECK_S", -1.0)
    monkeypatch.setattr(connections, "CHECK_STEPS", 1)
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 0.0)
    path = await store_with(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert "is damaged" in store.trouble


async def test_closing_interrupts_a_check(
    tmp_path: Path, big: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 3600.0)
    path = await store_with(tmp_path / "z.db")

    async with open_store(path, SystemClock()) as store:
        assert store.trouble == ""

    assert "store-check" not in {thread.name for thread in threading.enumerate()}


async def test_an_intact_store_has_no_trouble(tmp_path: Path, big: None) -> None:
    path = await store_with(tmp_path / "z.db", "a")

    async with open_store(path, SystemClock()) as store:
        await late_check(store)

        assert store.trouble == ""
        assert list(await store.check(is_full=True)) == []


async def test_damage_found_by_an_operation_is_remembered(
    tmp_path: Path, big: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sqlite, "CHECK_DELAY_S", 3600.0)
    path = await store_with(tmp_path / "z.db", "a")
    damage(path, "run_log")

    async with open_store(path, SystemClock()) as store:
        for _ in range(3):
            with pytest.raises(UnavailableError, match="malformed"):
                await store.read(lambda c: fetch_value(c, "SELECT count(lines) FROM run_log"))
            with pytest.raises(UnavailableError, match="malformed"):
                await store.write(lambda c: execute(c, "DELETE FROM run_log"))

        assert "is damaged" in store.trouble
    assert [record.message for record in caplog.records] == ["store damaged"]


async def test_a_full_check_finds_an_index_without_a_row(tmp_path: Path) -> None:
    path = await store_with(tmp_path / "z.db")
    connection = apsw.Connection(str(path))
    connection.execute(
        "INSERT INTO timer (job_id, next_at, cursor, started, number) VALUES (1, 5, 0, 0, 0)"
    )
    connection.execute("PRAGMA writable_schema = on")
    connection.execute(
        "UPDATE sqlite_master SET sql = 'CREATE INDEX timer_next ON timer (next_at)'"
        " WHERE name = 'timer_next'"
    )
    connection.close()
    other = apsw.Connection(str(path))
    other.execute(
        "INSERT INTO timer (job_id, next_at, cursor, started, number) VALUES (2, NULL, 0, 0, 0)"
    )
    other.execute("PRAGMA writable_schema = on")
    sql = "CREATE INDEX timer_next ON timer (cursor)"
    other.execute("UPDATE sqlite_master SET sql = ? WHERE name = 'timer_next'", (sql,))
    other.close()

    assert list(check_file(path)) == []
    assert list(check_file(path, is_full=True)) != []


def test_a_new_file_can_be_opened_by_two_processes_together(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite does not wait if both switch to the log; the other one ends at the first pause."""
    file = str(tmp_path / "z.db")
    other = connections.SqliteConnection(file)
    other.execute("BEGIN EXCLUSIVE")
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)
        other.execute("ROLLBACK")

    monkeypatch.setattr(connections.SqliteConnection, "set_busy_timeout", lambda *_: None)
    monkeypatch.setattr(time, "sleep", sleep)

    connections.connect(file).close()

    assert len(pauses) == 1


def test_a_new_file_is_refused_if_another_process_keeps_it_locked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = str(tmp_path / "z.db")
    other = connections.SqliteConnection(file)
    other.execute("BEGIN EXCLUSIVE")
    monkeypatch.setattr(connections, "BUSY_MS", 0)

    with pytest.raises(StoreError, match="is locked by another program"):
        connections.connect(file)
