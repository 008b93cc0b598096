"""Schema migration: applies the numbered SQL files that a database lacks, in order.

A file ``NNNN_name.sql`` is for both engines, unless ``NNNN_name.postgres.sql`` is beside it.
PostgreSQL begins with one file that makes what SQLite reaches by several.

A first line ``-- works with: N`` says that a program that knows only schema N can use the store
all the same: nodes of both versions may run while a cluster is upgraded.
"""

import hashlib
import re
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from typing import NamedTuple

import msgspec

from zato_lite.errors import StoreError
from zato_lite.store.dialect import Dialect
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_value

_OTHER = ".postgres.sql"
_WORKS_WITH = re.compile(r"-- works with: (\d+)")


class Migration(NamedTuple):
    """One migration: its number, its file's name and its SQL."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return a hash of the SQL, which detects migrations of other versions."""
        return hashlib.sha256(self.sql.encode()).hexdigest()

    @property
    def works_with(self) -> int:
        """Return the oldest schema whose programs can use the store after this migration."""
        found = _WORKS_WITH.match(self.sql)
        return int(found[1]) if found else self.number


@cache
def migrations(dialect: Dialect = "sqlite") -> Sequence[Migration]:
    """Return all migrations of this program for an engine, in order."""
    folder = files("zato_lite.store") / "migrations"
    names = [entry.name for entry in folder.iterdir() if entry.name.endswith(".sql")]
    if dialect == "sqlite":
        names = [name for name in names if not name.endswith(_OTHER)]
    else:
        own = {name[:4] for name in names if name.endswith(_OTHER)}
        names = [
            name
            for name in names
            if name.endswith(_OTHER) or (name[:4] > min(own) and name[:4] not in own)
        ]
    steps = (Migration(int(n[:4]), n, (folder / n).read_text(encoding="utf-8")) for n in names)
    return tuple(sorted(steps))


_CREATE = """CREATE TABLE IF NOT EXISTS migration
    (number INTEGER PRIMARY KEY, name TEXT, checksum TEXT, taken_at BIGINT)"""
_CREATE_SHARED = _CREATE.replace("taken_at BIGINT", "taken_at BIGINT, works_with INTEGER")
# A store of SQLite is used by one program at a time.
_APPLIED = {
    "sqlite": "SELECT number, checksum, number FROM migration",
    "postgres": "SELECT number, checksum, works_with FROM migration",
}
NODES_HAVE_SCHEMA = 12
"""From this schema on, records of nodes say which schema their programs know."""

_OLD_NODES = """SELECT name, pid FROM node WHERE schema < ?
    AND seen_at > extract(epoch FROM clock_timestamp()) * 1000000 - 10000000 ORDER BY name, id"""
_Applied = dict[int, tuple[str, int]]

MOVED_TO = "store.moved_to"
"""Setting of a store that was moved: the place of the new one, and the number of the move."""


_MOVED = 2**31 - 1
"""Number beyond all migrations that a moved file has: programs that look for no mark refuse it."""


class MoveMark(msgspec.Struct, frozen=True):
    """The URL of the other store of a move, and the number that both have of it."""

    url: str
    number: str


def migrate(connection: Connection, now: int) -> list[Migration]:
    """Apply the migrations that the database lacks, and return them.

    Raises:
        StoreError: the schema is newer than this program, a migration's content differs, or the
            store was moved.
    """
    dialect = connection.dialect
    execute(connection, _CREATE if dialect == "sqlite" else _CREATE_SHARED)
    applied = _applied(connection)
    known = migrations(dialect)
    _check(applied, known)
    if applied:
        _refuse_moved(connection)
    missing = [migration for migration in known if migration.number not in applied]
    if missing and applied and dialect == "postgres":
        _refuse_while_in_use(connection, applied, missing)
    for step in missing:
        execute(connection, step.sql)
        columns, values = "number, name, checksum, taken_at", "?, ?, ?, ?"
        row: tuple[object, ...] = (step.number, step.name, step.checksum, now)
        if dialect == "postgres":
            columns, values = f"{columns}, works_with", f"{values}, ?"
            row = (*row, step.works_with)
        execute(connection, f"INSERT INTO migration ({columns}) VALUES ({values})", row)
    return missing


def check_usable(connection: Connection) -> None:
    """Check that this program can use the database as it is now.

    Raises:
        StoreError: the schema is newer or differs, or the store was moved, since it was opened.
    """
    _check(_applied(connection), migrations(connection.dialect))
    _refuse_moved(connection)


def find_move(connection: Connection, name: str = MOVED_TO) -> MoveMark | None:
    """Return what a store says of its move; None if it was not moved."""
    text = fetch_value(connection, "SELECT value FROM setting WHERE name = ?", (name,))
    return None if text is None else msgspec.json.decode(text, type=MoveMark)


def fence_file(connection: Connection) -> None:
    """Keep programs away from a moved file that know nothing of moves."""
    row = (_MOVED, "moved to another place")
    execute(connection, "INSERT INTO migration (number, name) VALUES (?, ?)", row)


def unfence_file(connection: Connection) -> None:
    """Let all programs use a file again."""
    execute(connection, "DELETE FROM migration WHERE number = ?", (_MOVED,))


def _refuse_moved(connection: Connection) -> None:
    """Check that a store was not moved to another place.

    Raises:
        StoreError: names the new place.
    """
    if (moved := find_move(connection)) is not None:
        raise StoreError(
            f"the store was moved to {moved.url}; use it as [store] url. If the move was"
            f" interrupted, repeat it: zato-lite db migrate-to '{moved.url}'. To use this store"
            " again instead: zato-lite db migrate-to --undo"
        )


def _refuse_while_in_use(
    connection: Connection, applied: _Applied, missing: list[Migration]
) -> None:
    """Check that the programs of all living nodes can use the store after these migrations.

    Raises:
        StoreError: names the nodes to stop first.
    """
    if max(applied) < NODES_HAVE_SCHEMA:
        return
    oldest = max(step.works_with for step in missing)
    rows = connection.execute(_OLD_NODES, (oldest,))
    if names := [f"{name} (pid {pid})" for name, pid in rows]:
        raise StoreError(
            f"the store cannot be migrated to schema {missing[-1].number}: nodes run a program"
            f" that does not know schema {oldest}; stop {', '.join(names)} first"
        )


def refuse_foreign(connection: Connection) -> None:
    """Check that this program can use the database of a file, without any change to it.

    Raises:
        StoreError: the schema is newer or differs, or the file is not a zato-lite store.
    """
    tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'"
    if not list(connection.execute(tables)):
        raise StoreError("not a zato-lite store")
    _check(_applied(connection), migrations())


def _applied(connection: Connection) -> _Applied:
    rows = connection.execute(_APPLIED[connection.dialect])
    return {
        number: (checksum, works_with) for number, checksum, works_with in rows if number < _MOVED
    }


def _check(applied: _Applied, known: Sequence[Migration]) -> None:
    newest = known[-1].number
    if any(works_with > newest for _, works_with in applied.values()):
        raise StoreError(
            f"the store has schema {max(applied)}, but this zato-lite knows only {newest}; "
            "use a newer zato-lite, or restore a backup made before the upgrade"
        )
    for migration in known:
        found = applied.get(migration.number)
        if found is not None and found[0] != migration.checksum:
            raise StoreError(f"the store was made with a different {migration.name}")
