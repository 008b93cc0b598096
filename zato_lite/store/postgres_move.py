"""The two ends of a move that are databases of PostgreSQL."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from zato_lite.errors import BadInputError, StoreError
from zato_lite.store.journal import Journal
from zato_lite.store.migrate import MoveMark, find_move, migrate
from zato_lite.store.move import Tables, is_moved_here, refuse_used, select, unmark
from zato_lite.store.ports import Connection, Row
from zato_lite.store.postgres import begin_alone, check_encoding, has_store
from zato_lite.store.postgres_connection import (
    PostgresConnection,
    PostgresError,
    connect,
    to_public_error,
    with_advice,
)
from zato_lite.store.postgres_session import DATABASE_NOW
from zato_lite.store.postgres_url import Location
from zato_lite.store.sql import execute, fetch_value
from zato_lite.timetable.job import SECOND, Instant

LIVED = 10 * SECOND
"""Microseconds after its last commit for which a node may live: others bury it after 5.5 s."""

_FENCE = "store_was_moved"
_OWN_TABLES = """SELECT r.relname FROM pg_constraint f JOIN pg_class r ON r.oid = f.conrelid
    WHERE f.conname = ? AND r.relnamespace = CAST(current_schema() AS regnamespace)"""
_TYPES = """SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ?"""
_IDENTITIES = """SELECT table_name, column_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND is_identity = 'YES'"""
_LIVING = f"SELECT id, name, pid FROM node WHERE seen_at > {DATABASE_NOW} - ? ORDER BY id"
_WRITING = f"SELECT count(*) FROM lane WHERE seen_at > {DATABASE_NOW} - ?"


class PostgresSide:
    """``Side`` over a database of PostgreSQL."""

    def __init__(self, location: Location, connection: PostgresConnection) -> None:
        self.shown, self.connection = location.shown, connection
        self._location = location

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        kinds = dict(self.connection.execute(_TYPES, (table,)))
        casts = [f'CAST("{column}" AS {_cast(kinds[column])})' for column in columns]
        types = ["int8" if _cast(kinds[column]) != "text" else "text" for column in columns]
        yield from self.connection.copy_out(f"COPY ({select(table, casts)}) TO STDOUT", types)

    def commit(self) -> None:
        try:
            self.connection.commit()
        except PostgresError as error:
            raise to_public_error(error) from error


class PostgresSource(PostgresSide):
    """``Source`` over a database of PostgreSQL."""

    def moved(self) -> MoveMark | None:
        return find_move(self.connection)

    def undo(self) -> None:
        begin_alone(self.connection, self._location)
        for (table,) in list(self.connection.execute(_OWN_TABLES, (_FENCE,))):
            execute(self.connection, f'ALTER TABLE "{table}" DROP CONSTRAINT {_FENCE}')
        unmark(self.connection)
        self.connection.commit()

    def begin(self, now: Instant, tables: Iterable[str]) -> Instant:
        connection = self.connection
        begin_alone(connection, self._location)
        migrate(connection, now)
        _lock(connection, (*tables, "node", "lane"), "SHARE ROW EXCLUSIVE")
        self._refuse_living()
        return int(fetch_value(connection, f"SELECT {DATABASE_NOW}"))

    def _refuse_living(self) -> None:
        living = list(self.connection.execute(_LIVING, (LIVED,)))
        names = ", ".join(f"{name} (pid {pid})" for _, name, pid in living)
        if living:
            raise StoreError(
                f"{self.shown} is in use by {names}; stop it first, or wait for"
                f" {LIVED // SECOND} seconds if it was killed"
            )
        if fetch_value(self.connection, _WRITING, (LIVED,)):
            raise StoreError(
                f"{self.shown} is in use by a server without a scheduler; stop it first"
            )

    def journal_of(self, node: int) -> Journal | None:
        return None  # in the memory of its process

    def forget(self, dead: Sequence[int]) -> None:
        """Nothing: the nodes have left no files."""

    def fence(self, tables: Iterable[str]) -> None:
        """Refuse all writes, also of programs that know nothing of moves or were suspended."""
        for table in (*tables, "lane"):
            statement = f'ALTER TABLE "{table}" ADD CONSTRAINT {_FENCE} CHECK (FALSE) NOT VALID'
            execute(self.connection, statement)


class PostgresTarget(PostgresSide):
    """``Target`` over an empty schema of PostgreSQL."""

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        try:
            self.connection.copy_in(f'COPY "{table}" ({names}) FROM STDIN', rows)
        except PostgresError as error:
            raise to_public_error(error) from error

    def set_sequence(self, name: str, value: int) -> None:
        if value:
            execute(self.connection, f"SELECT setval('sequence_{name}', ?)", (value,))

    def finish(self, tables: Iterable[str]) -> None:
        for table, column in list(self.connection.execute(_IDENTITIES)):
            if table in tables:
                sequence = f"pg_get_serial_sequence('{table}', '{column}')"
                statement = f'SELECT setval({sequence}, max("{column}")) FROM "{table}"'
                execute(self.connection, statement)
        for table in tables:
            execute(self.connection, f'ANALYZE "{table}"')


@contextmanager
def postgres_source(location: Location) -> Iterator[PostgresSource]:
    """Open a database to move its store.

    Raises:
        StoreError: it has no store, or cannot be used.
        UnavailableError: it cannot be reached.
    """
    with _connected(location) as connection:
        if not has_store(connection):
            raise StoreError(f"{location.shown} has no zato-lite store")
        yield PostgresSource(location, connection)


@contextmanager
def postgres_target(location: Location, tables: Tables, now: Instant) -> Iterator[PostgresTarget]:
    """Begin a transaction in an empty schema.

    Raises:
        StoreError: it is not empty, or cannot be used.
        UnavailableError: it cannot be reached.
    """
    with _connected(location) as connection:
        begin_alone(connection, location)
        check_encoding(connection, location)
        migrate(connection, now)
        _lock(connection, (*tables, "node"), "ACCESS EXCLUSIVE")
        refuse_used(connection, tables, location.shown)
        yield PostgresTarget(location, connection)


def is_moved_to_database(location: Location, move: MoveMark) -> bool:
    """Return True if a database is the target of a move that was committed.

    It waits for a commit that is under way, whose answer was lost.
    """
    with _connected(location) as connection:
        begin_alone(connection, location)
        return has_store(connection) and is_moved_here(connection, move)


@contextmanager
def _connected(location: Location) -> Iterator[PostgresConnection]:
    connection = connect(location, "move")
    try:
        yield connection
    except PostgresError as error:
        found = to_public_error(error)
        if isinstance(found, BadInputError):
            raise found from error
        raise StoreError(f"{location.shown}: {with_advice(str(found), error)}") from error
    finally:
        connection.close()


def _lock(connection: Connection, tables: Iterable[str], mode: str) -> None:
    names = ", ".join(f'"{table}"' for table in tables)
    execute(connection, f"LOCK TABLE {names} IN {mode} MODE")


def _cast(kind: str) -> str:
    """Return the type as which a column is read: booleans are numbers, as on SQLite."""
    return {"bigint": "bigint", "integer": "bigint", "boolean": "int"}.get(kind, "text")
