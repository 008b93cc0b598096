"""Moves between the engines: all rows arrive, or nothing changes."""

import json
import sqlite3
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, cast

import psycopg
import pytest

from tests.postgres import Server
from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.config import Store as Settings
from zato_lite.errors import ConfigError, StoreError, UnavailableError
from zato_lite.store.move_sqlite import tables_of_store
from zato_lite.store.moving import move_store, undo_move
from zato_lite.store.nodes import register_node
from zato_lite.store.ports import Connection
from zato_lite.store.postgres import open_postgres
from zato_lite.store.postgres_connection import Use, connect
from zato_lite.store.postgres_url import parse
from zato_lite.store.rows import NodeRow
from zato_lite.store.sql import advance
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import SECOND

pytestmark = pytest.mark.postgres

NOW = 1_800_000_000 * SECOND
FILE = "sqlite:///data/z.db"
TABLES = tables_of_store()
TEXTS = ["plain", "Zażółć gęślą jaźń 🐘", 'a "quote", a \\ and\n\ta line', "x" * 2_000_000]
LONG = {"definition", "error", "result", "lines", "reason", "value", "changes"}
BIG = 2**62 + 1

Rows = dict[str, list[tuple[Any, ...]]]


class Places:
    """A project's folder with a store of SQLite, and the URL of an empty schema of PostgreSQL."""

    def __init__(self, folder: Path, url: str) -> None:
        self.folder, self.url, self.steps = folder, url, list[tuple[str, int]]()
        self.file = folder / "data" / "z.db"

    def move(self, source: str, target: str) -> Any:
        def report(step: str, rows: int) -> None:
            self.steps.append((step, rows))

        return move_store(self.folder, Settings(url=source), target, NOW, report)

    def undo(self, source: str) -> str | None:
        return undo_move(self.folder, Settings(url=source))

    def sqlite(self, statement: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(self.file)) as connection, connection:
            return connection.execute(statement).fetchall()

    def postgres(self, statement: str) -> Any:
        with psycopg.connect(self.url, autocommit=True) as connection:
            cursor = connection.execute(statement.encode())
            return cursor.fetchall() if cursor.description is not None else None

    def rows(self, url: str) -> Rows:
        """Return all rows that a move copies, as numbers and texts."""
        query = self.sqlite if url == FILE else self.postgres
        return {
            table: sorted(
                tuple(_plain(value) for value in row)
                for row in query(
                    f"SELECT {_columns(names, url)} FROM {table}{_without_marks(table)}"
                )
            )
            for table, names in TABLES.items()
        }


def _columns(names: Sequence[str], url: str) -> str:
    quoted = (f'"{name}"' for name in names)
    return ", ".join(quoted if url == FILE else (f"CAST({name} AS text)" for name in quoted))


def _without_marks(table: str) -> str:
    own = "name LIKE 'store.moved%' OR name = 'scheduler.left_at'"
    return f" WHERE NOT ({own})" if table == "setting" else ""


def _plain(value: Any) -> str:
    return {"true": "1", "false": "0"}.get(str(value), str(value))


@pytest.fixture
async def places(tmp_path: Path, postgres_url: str) -> Places:
    found = Places(tmp_path, postgres_url)
    async with open_store(found.file, SystemClock()):
        pass
    return found


def fill(file: Path) -> None:
    """Write rows with extreme values into each column of each table."""
    # Closed at once: the collector would do it while this process has the file open by another
    # SQLite, whose locks it does not see, and delete the log.
    with closing(sqlite3.connect(file)) as connection, connection:
        for table, names in TABLES.items():
            types = {row[1]: row for row in connection.execute(f"PRAGMA table_info({table})")}
            for number, text in enumerate(TEXTS):
                row = [_value(name, types[name], number, text) for name in names]
                places = ", ".join("?" * len(row))
                columns = ", ".join(f'"{name}"' for name in names)
                connection.execute(f"INSERT INTO {table} ({columns}) VALUES ({places})", row)
        connection.execute("UPDATE sequence SET value = 5000000000 WHERE name = 'job'")
        connection.execute(f"UPDATE run SET outcome = 'ok', node = 3, token = {2**53} + id")


def _value(name: str, column: Sequence[Any], number: int, text: str) -> Any:
    _, _, kind, is_required, _, key = column
    if number == 3 and not is_required and not key:
        return None
    if kind == "TEXT" and number == 3 and name not in LONG:
        text = "long"
    if kind == "TEXT":
        return json.dumps(f"{number} {text}", ensure_ascii=False)  # also where JSON is due
    if name.startswith(("is_", "has_")):
        return number % 2
    return number + 1 if key or name == "slot" else BIG + number


async def numbers(url: str, file: Path) -> dict[str, int]:
    """Return the next number of each sequence."""

    def take(connection: Connection) -> dict[str, int]:
        return {name: advance(connection, name, 1)[0] for name in ("job", "token", "node")}

    store = open_store(file, SystemClock()) if url == FILE else open_postgres(url, SystemClock())
    async with store as opened:
        return await opened.write(take)


async def test_each_column_of_each_table_arrives_and_comes_back(places: Places) -> None:
    fill(places.file)
    before = places.rows(FILE)

    moved = places.move(FILE, places.url)
    there = places.rows(places.url)
    places.file.rename(places.folder / "old.db")
    places.move(places.url, FILE)

    assert min(moved.rows.values()) == len(TEXTS)
    assert there == before
    assert places.rows(FILE) == before
    assert before["run"][0] != before["run"][1]


async def test_numbers_are_given_out_once(places: Places) -> None:
    fill(places.file)

    places.move(FILE, places.url)
    there = await numbers(places.url, places.file)
    places.postgres("DELETE FROM lane")  # as time does
    places.file.rename(places.folder / "old.db")
    places.move(places.url, FILE)
    back = await numbers(FILE, places.file)
    places.postgres("ALTER TABLE audit DROP CONSTRAINT store_was_moved")
    (audit,) = places.postgres(
        "INSERT INTO audit (at, who, action, subject, outcome, cid, remote_address)"
        " VALUES (1, '', '', '', '', '', '') RETURNING id"
    )

    assert there["job"] == 5_000_000_001
    assert there["token"] > 2**53 + len(TEXTS)
    assert there["node"] >= 4
    assert all(back[name] > there[name] for name in there)
    assert audit == (len(TEXTS) + 1,)


async def test_steps_are_reported_with_the_number_of_rows(places: Places) -> None:
    fill(places.file)

    moved = places.move(FILE, places.url)

    total = sum(moved.rows.values())
    sums = {
        name: sum(rows for step, rows in places.steps if step == name)
        for name in ("found", "copied", "verified", "marked", "moved")
    }
    assert sums == {"found": total, "copied": total, "verified": total, "marked": 0, "moved": 0}


async def test_no_server_starts_on_a_store_that_was_moved(places: Places) -> None:
    places.move(FILE, places.url)

    with pytest.raises(StoreError, match="was moved to postgresql://"):
        async with open_store(places.file, SystemClock()):
            pass
    places.postgres("DELETE FROM lane")
    places.file.rename(places.folder / "old.db")
    places.move(places.url, FILE)
    with pytest.raises(StoreError, match=f"was moved to sqlite:///{places.file}"):
        async with open_postgres(places.url, SystemClock()):
            pass


async def test_an_earlier_program_takes_a_moved_file_for_one_of_a_newer_schema(
    places: Places,
) -> None:
    known = places.sqlite("SELECT max(number) FROM migration")

    places.move(FILE, places.url)

    # What each program asks of a file before it uses it, also one that knows no mark of a move.
    assert places.sqlite(f"SELECT count(*) FROM migration WHERE number > {known[0][0]}") == [(1,)]
    places.undo(FILE)
    assert places.sqlite("SELECT max(number) FROM migration") == known


async def test_a_program_that_was_suspended_cannot_write_to_a_moved_database(
    places: Places,
) -> None:
    places.move(FILE, places.url)
    places.file.rename(places.folder / "old.db")
    async with open_postgres(places.url, SystemClock()) as server:
        await server.write(lambda c: advance(c, "job", 1))
        places.postgres("UPDATE lane SET seen_at = 0")

        places.move(places.url, FILE)

        with pytest.raises(UnavailableError, match="store_was_moved"):
            await server.write(lambda c: advance(c, "job", 1))


async def test_the_same_move_again_does_nothing(places: Places) -> None:
    places.move(FILE, places.url)

    again = places.move(FILE, places.url)

    assert again.was_moved_before


async def test_a_moved_store_is_moved_to_no_second_place(places: Places) -> None:
    places.move(FILE, places.url)

    with pytest.raises(StoreError, match=r"was moved to postgresql://.* before; .*--undo"):
        places.move(FILE, places.url + "&connect_timeout=3")


@pytest.mark.parametrize("is_back", [False, True])
async def test_an_undone_move_leaves_a_store_that_works(places: Places, is_back: bool) -> None:
    places.move(FILE, places.url)
    source = FILE
    if is_back:
        places.file.rename(places.folder / "old.db")
        places.move(places.url, FILE)
        source = places.url

    left = places.undo(source)

    assert left is not None
    assert left.startswith("sqlite" if is_back else "postgresql")
    assert places.undo(source) is None
    await numbers(source, places.file)


async def test_a_move_made_again_after_it_was_undone_names_the_earlier_one(places: Places) -> None:
    fill(places.file)
    places.move(FILE, places.url)
    places.undo(FILE)

    words = f"has 4 rows of an earlier move from sqlite:///{places.file}; name an empty"
    with pytest.raises(StoreError, match=words):
        places.move(FILE, places.url)


async def test_a_move_that_fails_leaves_an_older_store_as_old_as_it_was(places: Places) -> None:
    for path in places.file.parent.iterdir():
        path.unlink()
    old = make_store_of_schema(places.file, newest=16)
    old.execute("INSERT INTO calendar VALUES ('with' || char(0), '{}')")
    old.close()

    with pytest.raises(StoreError, match="cannot be copied"):
        places.move(FILE, places.url)

    assert places.sqlite("SELECT max(number) FROM migration") == [(16,)]
    places.sqlite("UPDATE calendar SET name = 'without'")
    assert places.move(FILE, places.url).rows["calendar"] == 1


async def test_a_file_that_a_server_has_open_is_not_moved(places: Places) -> None:
    async with open_store(places.file, SystemClock()):
        with pytest.raises(StoreError, match="stop the server first"):
            places.move(FILE, places.url)

    assert places.postgres("SELECT to_regclass('job')") == [(None,)]


async def test_a_file_that_a_server_has_open_by_a_link_is_not_moved(places: Places) -> None:
    link = places.folder / "link.db"
    link.symlink_to(places.file)
    async with open_store(link, SystemClock()):
        with pytest.raises(StoreError, match="stop the server first"):
            places.move(FILE, places.url)
    async with open_store(places.file, SystemClock()):
        with pytest.raises(StoreError, match="stop the server first"):
            places.move("sqlite:///link.db", places.url)

    assert places.postgres("SELECT to_regclass('job')") == [(None,)]


async def test_a_move_takes_longer_than_the_time_limits_of_its_role(places: Places) -> None:
    role = f"hasty_{places.postgres('SELECT current_schema()')[0][0]}"
    limits = ("statement_timeout", "idle_in_transaction_session_timeout")
    places.postgres(f"CREATE ROLE {role} LOGIN")
    for limit in limits:
        places.postgres(f"ALTER ROLE {role} SET {limit} = '1s'")
    location = parse(places.url.replace("user=postgres", f"user={role}"))

    for use, found in (("run", "1s"), ("move", "0")):
        connection = connect(location, cast("Use", use))
        assert [list(connection.execute(f"SHOW {limit}")) for limit in limits] == [[(found,)]] * 2
        connection.close()
    places.postgres(f"DROP ROLE {role}")


async def test_a_database_with_a_living_node_is_not_moved(places: Places) -> None:
    async with open_postgres(places.url, SystemClock()) as server:
        now = SystemClock().now()
        row = NodeRow(1, "alpha", 77, now, now)
        await server.write(lambda c: register_node(c, row, "1"))
    places.file.rename(places.folder / "old.db")

    with pytest.raises(StoreError, match=r"in use by alpha \(pid 77\); stop it first"):
        places.move(places.url, FILE)

    assert not places.file.exists()
    await numbers(places.url, places.file)


@pytest.mark.parametrize("target", [FILE, ""])
async def test_a_target_must_be_empty(places: Places, target: str) -> None:
    fill(places.file)
    source = places.url if target == FILE else FILE
    if target != FILE:
        async with open_postgres(places.url, SystemClock()) as other:
            await other.write(lambda c: c.execute("INSERT INTO calendar VALUES ('a', '{}')"))
    else:
        async with open_postgres(places.url, SystemClock()):
            pass

    words = "already exists" if target == FILE else "table calendar has 1 rows"
    with pytest.raises(StoreError, match=words):
        places.move(source, target or places.url)

    await numbers(source, places.file)


async def test_a_null_character_is_refused_with_its_row(places: Places) -> None:
    places.sqlite("INSERT INTO calendar VALUES ('good', '{}'), ('with' || char(0), '{}')")

    with pytest.raises(StoreError, match=r"table calendar, name 'with\\x00', cannot be copied"):
        places.move(FILE, places.url)

    assert places.postgres("SELECT to_regclass('job')") == [(None,)]
    await numbers(FILE, places.file)


def spoil(places: Places, kind: str, body: str, options: str = "") -> None:
    """Make a trigger on a table of the target."""
    function = (
        f"CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$"
    )
    places.postgres(function)
    row = "FOR EACH ROW EXECUTE FUNCTION spoil()"
    places.postgres(f"CREATE {kind} INSERT ON calendar {options} {row}")


@pytest.fixture
async def prepared(places: Places) -> Places:
    """Return places whose target is a schema without rows, for a trigger that spoils the copy."""
    async with open_postgres(places.url, SystemClock()):
        pass
    places.postgres("DELETE FROM setting")  # the channel's name
    fill(places.file)
    return places


@pytest.mark.parametrize(
    "body",
    [
        "NEW.definition = '{}'; RETURN NEW;",
        "IF NEW.name LIKE '%plain%' THEN RETURN NULL; END IF; RETURN NEW;",
    ],
)
async def test_rows_that_differ_are_noticed_before_the_commit(prepared: Places, body: str) -> None:
    spoil(prepared, "TRIGGER spoil BEFORE", body)

    with pytest.raises(StoreError, match="table calendar differs after the copy"):
        prepared.move(FILE, prepared.url)

    assert prepared.postgres("SELECT count(*) FROM run") == [(0,)]
    await numbers(FILE, prepared.file)


@pytest.mark.parametrize(
    "body",
    ["RAISE 'no'; RETURN NULL;", "PERFORM pg_terminate_backend(pg_backend_pid()); RETURN NULL;"],
)
async def test_a_target_that_cannot_commit_leaves_the_source_as_it_was(
    prepared: Places, body: str
) -> None:
    spoil(prepared, "CONSTRAINT TRIGGER spoil AFTER", body, "DEFERRABLE INITIALLY DEFERRED")

    with pytest.raises(StoreError):
        prepared.move(FILE, prepared.url)

    assert prepared.postgres("SELECT count(*) FROM run") == [(0,)]
    await numbers(FILE, prepared.file)


async def test_both_ends_on_one_engine_are_refused(places: Places) -> None:
    with pytest.raises(ConfigError, match="zato-lite db backup copies it"):
        places.move(FILE, "sqlite:///other.db")
    with pytest.raises(ConfigError, match="pg_dump"):
        places.move(places.url, "postgresql://ann:secret@db/x")


@pytest.fixture
def asking() -> Iterator[str]:
    """A server that asks ann for a password; her database is ``jobs``."""
    server = Server(Path(tempfile.mkdtemp(prefix="zato-lite-pg-", dir="/tmp")))
    try:
        server.create()
        rules = "local all postgres,bob trust\nlocal all ann scram-sha-256\n"
        (server.folder / "data" / "pg_hba.conf").write_text(rules)
        server.start()
        with psycopg.connect(server.url, autocommit=True) as connection:
            connection.execute("CREATE ROLE ann LOGIN PASSWORD 'right'")
            connection.execute("CREATE DATABASE jobs OWNER ann")
        yield server.url
    finally:
        server.stop()


@pytest.mark.e2e
async def test_a_move_gives_the_password_that_a_server_asks_for(
    places: Places, asking: str
) -> None:
    fill(places.file)
    url = asking.replace("///postgres", "///jobs").replace("user=postgres", "user=ann")
    expected = places.rows(FILE)

    def ignore(*_: object) -> None:
        pass

    def move(target: str, password: str) -> Any:
        return move_store(places.folder, Settings(FILE, password=password), target, NOW, ignore)

    for target, password, words in (
        (url, "", "no password supplied; set ZATO_LITE_STORE__PASSWORD, "),
        (url, "wrong", 'password authentication failed for user "ann"; set ZATO_LITE_STORE'),
        (url.replace("///jobs", "///none"), "right", 'database "none" does not exist; create it'),
        (url.replace("=ann", "=bob"), "right", 'role "bob" does not exist; create it'),
        (url.replace("=ann", "=eve"), "right", r"no pg_hba\.conf entry .*; allow it"),
    ):
        with pytest.raises(StoreError, match=words) as caught:
            move(target, password)
        assert "wrong" not in str(caught.value)
        assert "right" not in str(caught.value)
    nowhere = "postgresql:///jobs?host=%2Fnowhere"
    with pytest.raises(UnavailableError, match="No such file"):  # may answer later
        move(nowhere, "right")

    move(url, "right")

    places.url = url.replace("user=ann", "user=postgres")
    assert places.rows(places.url) == expected
    back = Settings(url, password="right")  # noqa: S106 - of this test
    places.file.rename(places.folder / "old.db")
    move_store(places.folder, back, FILE, NOW, ignore)
    assert places.rows(FILE) == expected


async def test_a_store_behind_the_first_schema_of_the_search_path_is_not_moved(
    places: Places,
) -> None:
    places.move(FILE, places.url)
    schema = places.url.rpartition("%3D")[2]
    places.postgres(f"CREATE SCHEMA {schema}_first")
    both = places.url.replace(f"%3D{schema}", f"%3D{schema}_first,{schema}")

    try:
        with pytest.raises(StoreError, match="has no zato-lite store"):
            places.move(both, "sqlite:///back.db")
    finally:
        places.postgres(f"DROP SCHEMA {schema}_first")


async def test_a_database_without_a_store_is_refused(places: Places) -> None:
    places.file.rename(places.folder / "old.db")

    with pytest.raises(StoreError, match="has no zato-lite store"):
        places.move(places.url, FILE)
    with pytest.raises(ConfigError, match="file not found"):
        places.move(FILE, places.url)
