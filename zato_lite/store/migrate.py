"""Brings a database's schema to what this program knows, one numbered step after another."""

import hashlib
from importlib.resources import files
from typing import NamedTuple

from zato_lite.errors import StoreError
from zato_lite.store.ports import Connection


class Migration(NamedTuple):
    """One step: its number, its file's name, and the SQL in it."""

    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        """Tells whether a step that was taken is the one that is here."""
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations() -> list[Migration]:
    """All steps that this program knows, in order."""
    folder = files("zato_lite.store") / "migrations"
    found = (entry for entry in folder.iterdir() if entry.name.endswith(".sql"))
    steps = (Migration(int(e.name[:4]), e.name, e.read_text(encoding="utf-8")) for e in found)
    return sorted(steps)


def migrate(connection: Connection, now: int) -> list[Migration]:
    """Take the steps that were not taken yet; these.

    Raises:
        StoreError: the schema is newer than this program, or was made by other steps.
    """
    create = (
        "CREATE TABLE IF NOT EXISTS migration "
        "(number INTEGER PRIMARY KEY, name TEXT, checksum TEXT, taken_at INTEGER)"
    )
    for _ in connection.execute(create):
        pass
    rows = connection.execute("SELECT number, checksum FROM migration")
    taken: dict[int, str] = dict(rows)
    known = migrations()
    _check(taken, known)
    missing = [step for step in known if step.number not in taken]
    for step in missing:
        for _ in connection.execute(step.sql):
            pass
        connection.execute(
            "INSERT INTO migration VALUES (?, ?, ?, ?)",
            (step.number, step.name, step.checksum, now),
        )
    return missing


def refuse_foreign(connection: Connection) -> None:
    """Look whether this program can work with the database, and change nothing.

    Raises:
        StoreError: the schema is newer than this program, or was made by other steps or programs.
    """
    tables = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'migration'"
    if not list(connection.execute(tables)):
        raise StoreError("it is no zato-lite store")
    _check(dict(connection.execute("SELECT number, checksum FROM migration")), migrations())


def _check(taken: dict[int, str], known: list[Migration]) -> None:
    newest = known[-1].number
    if taken and max(taken) > newest:
        raise StoreError(
            f"the store has schema {max(taken)}, and this zato-lite knows {newest} at most: "
            "use a newer zato-lite, or restore a backup made before the upgrade"
        )
    for step in known:
        if taken.get(step.number, step.checksum) != step.checksum:
            raise StoreError(f"the store was made by another {step.name} than this zato-lite has")
