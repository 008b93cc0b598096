"""Schema migration: applies the numbered SQL files that a database lacks, in order."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from zato_lite.errors import StoreError
from zato_lite.store.ports import Connection


class Migration(NamedTuple):
    """One migration: its number, its file's name and its SQL."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Return a hash of the SQL, which detects migrations of other versions."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """Return all migrations of this program, in order."""
    folder = files("zato_lite.store") / "migrations"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = (Migration(int(e.name[:4]), e.name, e.read_text(encoding="utf-8")) for e in found)
    return sorted(steps)


def migrate(connection: Connection, now: int) -> list[Migration]:
    """Apply the migrations that the database lacks, and return them.

    Raises:
        StoreError: the schema is newer than this program, or a migration's content differs.
    """
    create = (
        "CREATE TABLE IF NOT EXISTS migration "
        "(number INTEGER PRIMARY KEY, name TEXT, checksum TEXT, taken_at INTEGER)"
    )
    for _ in connection.execute(create):
        pass
    rows = connection.execute("SELECT number, checksum FROM migration")
    applied: dict[int, str] = dict(rows)
    known = migrations()
    _check(applied, known)
    missing = [migration for migration in known if migration.number not in applied]
    for migration in missing:
        for _ in connection.execute(migration.sql):
            pass
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?, ?)",
            (migration.number, migration.name, migration.checksum, now),
        )
    return missing


def refuse_foreign(connection: Connection) -> None:
    """Check that this program can use the database, without any change to it.

    Raises:
        StoreError: the schema is newer or differs, or the file is not a zato-lite store.
    """
    tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'"
    if not list(connection.execute(tables)):
        raise StoreError("not a zato-lite store")
    _check(dict(connection.execute("SELECT number, checksum FROM migration")), migrations())


def _check(applied: dict[int, str], known: list[Migration]) -> None:
    newest = known[-1].number
    if applied and max(applied) > newest:
        raise StoreError(
            f"the store has schema {max(applied)}, but this zato-lite knows only {newest}; "
            "use a newer zato-lite, or restore a backup made before the upgrade"
        )
    for migration in known:
        if applied.get(migration.number, migration.checksum) != migration.checksum:
            raise StoreError(f"the store was made with a different {migration.name}")
