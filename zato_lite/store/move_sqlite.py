"""The two ends of a move that are SQLite files."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from zato_lite.errors import StoreError
from zato_lite.store.atomic import part_of, publish
from zato_lite.store.connection import (
    SqliteConnection,
    connect,
    find_problems,
    in_one_transaction,
    open_file,
    store_errors,
)
from zato_lite.store.file_lock import exclusive_lock
from zato_lite.store.journal import Journal
from zato_lite.store.migrate import (
    MoveMark,
    fence_file,
    find_move,
    migrate,
    refuse_foreign,
    unfence_file,
)
from zato_lite.store.move import LEFT, Tables, is_moved_here, select, unmark
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Connection, Row
from zato_lite.timetable.job import Instant

_TABLES = """SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
    ORDER BY name"""


def tables_of_store() -> Tables:
    """Return the tables to copy with their columns, which are the same on both engines."""
    connection = connect(":memory:")
    migrate(connection, 0)
    columns = "SELECT name FROM pragma_table_info(?)"
    return {
        table: [name for (name,) in connection.execute(columns, (table,))]
        for (table,) in list(connection.execute(_TABLES))
        if table not in LEFT
    }


class SqliteSide:
    """``Side`` over an SQLite file."""

    def __init__(self, path: Path, connection: SqliteConnection) -> None:
        self.shown, self.connection = f"sqlite:///{path}", connection
        self._path = path

    def read(self, table: str, columns: Sequence[str]) -> Iterator[Row]:
        statement = select(table, (f'"{column}"' for column in columns))
        with store_errors(str(self._path)):
            yield from self.connection.execute(statement)

    def commit(self) -> None:
        with store_errors(str(self._path)):
            self.connection.execute("COMMIT")


class SqliteSource(SqliteSide):
    """``Source`` over an SQLite file, which this process alone has open."""

    def __init__(self, path: Path, connection: SqliteConnection) -> None:
        super().__init__(path, connection)
        self._locks = NodeLocks(str(path))

    def journal_of(self, node: int) -> Journal | None:
        return self._locks.journal_of(node)

    def forget(self, dead: Sequence[int]) -> None:
        self._locks.forget(dead)

    def moved(self) -> MoveMark | None:
        return find_move(self.connection)

    def undo(self) -> None:
        in_one_transaction(str(self._path), self.connection, _release)

    def begin(self, now: Instant, tables: Iterable[str]) -> Instant:
        self.connection.execute("BEGIN IMMEDIATE")
        migrate(self.connection, now)
        return now

    def fence(self, tables: Iterable[str]) -> None:
        """Let no earlier program open the file, which looks for no mark of a move."""
        fence_file(self.connection)


def _release(connection: Connection) -> None:
    unmark(connection)
    unfence_file(connection)


class SqliteTarget(SqliteSide):
    """``Target`` over a new SQLite file, which has its name only when it is complete."""

    def __init__(self, path: Path, part: Path, connection: SqliteConnection) -> None:
        super().__init__(path, connection)
        self._part = part

    def write(self, table: str, columns: Sequence[str], rows: Iterable[Row]) -> None:
        names = ", ".join(f'"{column}"' for column in columns)
        places = ", ".join("?" * len(columns))
        statement = f'INSERT INTO "{table}" ({names}) VALUES ({places})'
        with store_errors(str(self._path)):
            self.connection.executemany(statement, rows)

    def set_sequence(self, name: str, value: int) -> None:
        self.connection.execute("UPDATE sequence SET value = ? WHERE name = ?", (value, name))

    def finish(self, tables: Iterable[str]) -> None:
        """Nothing: SQLite's plans need no figures."""

    def commit(self) -> None:
        super().commit()
        if found := find_problems(self.connection):
            raise StoreError(f"{self._part} is damaged: {found[0]}")
        self.connection.close()
        try:
            publish(self._part, self._path)
        except OSError as error:
            raise StoreError(f"{self._path} cannot be written ({error})") from error


@contextmanager
def sqlite_source(path: Path) -> Iterator[SqliteSource]:
    """Open a file to move it, while no other process has it open.

    Raises:
        StoreError: a process has it open, or it is not a store of this program.
    """
    with exclusive_lock(path):
        connection = connect(str(path))
        try:
            with store_errors(str(path)):
                refuse_foreign(connection)
                yield SqliteSource(path, connection)
        finally:
            connection.close(force=True)


@contextmanager
def sqlite_target(path: Path, now: Instant) -> Iterator[SqliteTarget]:
    """Make a new file, which stays only if the move is committed.

    Raises:
        StoreError: the file or its log exists, or it cannot be written.
    """
    with exclusive_lock(path):
        log = Path(f"{path}-wal")
        if log.exists() and not path.exists():
            raise StoreError(f"{log} exists, the log of another file; delete it first")
        with part_of(path) as part, open_file(part) as connection:
            with store_errors(str(part)):
                # The part is synced once, before it gets its name.
                for statement in (
                    "PRAGMA journal_mode = off",
                    "PRAGMA synchronous = off",
                    "BEGIN",
                ):
                    connection.execute(statement).fetchall()
                migrate(connection, now)
            yield SqliteTarget(path, part, connection)


def is_moved_to_file(path: Path, move: MoveMark) -> bool:
    """Return True if a file is the target of a move that was committed."""
    if not path.is_file():
        return False
    with open_file(path, read_only=True) as connection, store_errors(str(path)):
        try:
            refuse_foreign(connection)
        except StoreError:
            return False
        return is_moved_here(connection, move)
