"""Database files of tests: made with settings as their content, and read again."""

from pathlib import Path

from zato_lite.clock import SystemClock
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute
from zato_lite.store.sqlite import open_store


def put(connection: Connection, name: str) -> None:
    execute(connection, "INSERT INTO setting VALUES (?, ?)", (name, "1"))


def names(connection: Connection) -> list[str]:
    """Return the settings' names but that of the bell, which a store of PostgreSQL has."""
    select = "SELECT name FROM setting WHERE name <> 'bell' ORDER BY name"
    return [row[0] for row in connection.execute(select)]


async def store_with(path: Path, *settings: str) -> Path:
    async with open_store(path, SystemClock()) as store:
        for name in settings:
            await store.write(lambda c, name=name: put(c, name))  # type: ignore[misc]
    return path


async def settings_in(path: Path) -> list[str]:
    async with open_store(path, SystemClock()) as store:
        return await store.read(names)


def file_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())
