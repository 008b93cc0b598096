"""Damage to database files."""

from pathlib import Path

import apsw


def damage(path: Path, name: str) -> None:
    """Overwrite part of the root page of a table or an index, as a defective disk does."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READWRITE)
    connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    size = next(connection.execute("PRAGMA page_size"))[0]
    query = "SELECT rootpage FROM sqlite_master WHERE name = ?"
    page = next(connection.execute(query, (name,)))[0]
    connection.close()
    with path.open("r+b") as file:
        file.seek((page - 1) * size)
        file.write(b"\xa5" * 200)
