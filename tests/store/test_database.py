"""What every database is to the rest: all or nothing, in order, kept."""

import asyncio
from pathlib import Path

import apsw
import pytest

from zato_lite.clock import SystemClock
from zato_lite.errors import StoreError, UnavailableError
from zato_lite.store import history, nodes
from zato_lite.store.migrate import migrations
from zato_lite.store.ports import Connection, Database
from zato_lite.store.rows import EarlierLines
from zato_lite.store.sqlite import SqliteStore, open_store
from zato_lite.store.statements import execute, fetch_value, write_rows


def put(connection: Connection, name: str) -> None:
    execute(connection, "INSERT INTO setting VALUES (?, ?)", (name, "1"))


def names(connection: Connection) -> list[str]:
    return [row[0] for row in connection.execute("SELECT name FROM setting ORDER BY name")]


async def test_what_was_written_is_read(database: Database) -> None:
    await database.write(lambda c: put(c, "a"))

    assert await database.read(names) == ["a"]


async def test_one_that_fails_leaves_no_trace_and_keeps_no_other_from_its_effect(
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


async def test_a_lone_one_that_fails_leaves_no_trace(database: Database) -> None:
    def fail(connection: Connection) -> None:
        put(connection, "gone")
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await database.write(fail)

    assert await database.read(names) == []


async def test_a_broken_statement_is_told_in_our_words(database: Database) -> None:
    with pytest.raises(UnavailableError, match="the store cannot do it"):
        await database.read(lambda c: fetch_value(c, "SELECT nothing"))
    with pytest.raises(UnavailableError, match="the store cannot do it"):
        await database.write(lambda c: fetch_value(c, "SELECT nothing"))


async def test_operations_take_effect_in_the_order_in_which_they_came(database: Database) -> None:
    seen: list[int] = []

    await asyncio.gather(
        *(database.write(lambda _, n=n: seen.append(n)) for n in range(100))  # type: ignore[misc]
    )

    assert seen == list(range(100))


async def test_those_who_do_not_wait_are_told_in_the_loop(database: Database) -> None:
    told: asyncio.Future[object] = asyncio.get_running_loop().create_future()

    database.submit(lambda c: 42, lambda result, error: told.set_result((result, error)))

    assert await told == (42, None)


async def test_nobody_waits_for_an_answer_that_nobody_wants(database: Database) -> None:
    task = asyncio.ensure_future(database.write(lambda c: put(c, "a")))
    await asyncio.sleep(0)
    task.cancel()

    await database.write(lambda c: None)
    assert await database.read(names) == ["a"]


async def test_a_closed_store_refuses(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        pass

    with pytest.raises(UnavailableError, match="closed"):
        await store.write(lambda c: None)
    errors: list[object] = []
    store.submit(lambda c: None, lambda _, error: errors.append(error))
    assert isinstance(errors[0], UnavailableError)


async def test_many_rows_are_few_statements(database: Database) -> None:
    rows = [(f"n{number:04}", str(number)) for number in range(999)]

    changed = await database.write(
        lambda c: write_rows(c, "INSERT INTO setting VALUES {rows}", rows)
    )

    assert changed == 999
    assert len(await database.read(names)) == 999


async def test_what_is_there_outlives_the_process(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: put(c, "a"))

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        assert await store.read(names) == ["a"]


async def test_a_copy_is_made_while_all_goes_on(database: SqliteStore, tmp_path: Path) -> None:
    await database.write(lambda c: put(c, "a"))

    await database.backup(tmp_path / "copy.db")

    async with open_store(tmp_path / "copy.db", SystemClock()) as copy:
        assert await copy.read(names) == ["a"]
        assert list(await copy.check()) == []
    with pytest.raises(StoreError, match="is there already"):
        await database.backup(tmp_path / "copy.db")


async def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: execute(c, "INSERT INTO migration VALUES (9999, 'x', 'x', 0)"))

    with pytest.raises(StoreError, match="schema 9999"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_a_schema_of_other_making_is_refused(tmp_path: Path) -> None:
    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        await store.write(lambda c: execute(c, "UPDATE migration SET checksum = 'x'"))

    with pytest.raises(StoreError, match="was made by another"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_a_store_of_the_first_schema_is_brought_up_to_date_with_all_that_it_holds(
    tmp_path: Path,
) -> None:
    first = migrations()[0]
    old = apsw.Connection(str(tmp_path / "z.db"))
    old.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, name, checksum, taken_at)")
    old.execute("INSERT INTO migration VALUES (1, ?, ?, 0)", (first.name, first.checksum))
    old.execute(first.sql)
    old.execute("INSERT INTO attempt VALUES (7, 1, 7, 10, 20, 'error', 'no')")
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        earlier = await store.read(lambda c: history.earlier_lines(c, [7]))

    assert earlier == {7: [EarlierLines(7, 1, 10, 20, "error", ())]}


async def test_a_damaged_file_is_told_in_clear_words(tmp_path: Path) -> None:
    (tmp_path / "z.db").write_bytes(b"no database at all " * 1000)

    with pytest.raises(StoreError, match="is damaged"):
        async with open_store(tmp_path / "z.db", SystemClock()):
            pass


async def test_a_folder_is_no_store(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot be opened"):
        async with open_store(tmp_path, SystemClock()):
            pass


async def test_a_process_that_lives_holds_its_lock(tmp_path: Path) -> None:
    async with (
        open_store(tmp_path / "z.db", SystemClock()) as one_store,
        open_store(tmp_path / "z.db", SystemClock()) as other,
    ):
        one_store.locks.acquire(1)
        before = other.locks.alive([1, 2])
        one_store.locks.release(1)

        assert before == [1]
        assert other.locks.alive([1, 2]) == []


async def test_numbers_are_never_used_twice(database: Database) -> None:
    numbers = [await database.write(nodes.new_node_id) for _ in range(3)]

    assert numbers == [1, 2, 3]
