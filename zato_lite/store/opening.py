"""Opening of a store by its URL: a file, memory, or a database of PostgreSQL."""

from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from zato_lite.clock import Clock, DatabaseClock, SystemClock
from zato_lite.config import Store as Settings
from zato_lite.errors import ConfigError
from zato_lite.store.backup import check_file, query_file
from zato_lite.store.health import StoreHealth
from zato_lite.store.location import existing_file_of, existing_path_of, path_of
from zato_lite.store.others import Others
from zato_lite.store.ports import Connection, Database
from zato_lite.store.postgres_url import is_postgres, parse
from zato_lite.store.private import make_folder
from zato_lite.store.sqlite import open_store

Value = TypeVar("Value")


class OpenStore(Database, Protocol):
    """A database with all that the app needs of it.

    Attributes:
        path: of the file, or the URL, without a password.
        folder: for files of this node; None for a store in memory.
        is_in_memory: no other process can use it.
        health: figures of commits.
    """

    path: str
    folder: Path | None
    is_in_memory: bool
    health: StoreHealth

    @property
    def locks(self) -> Others:
        """Prove which nodes are alive."""
        ...

    async def backup(self, target: str | Path) -> None:
        """Write a consistent copy of the database to a new file.

        Raises:
            StoreError: the file exists or cannot be written, or the engine has other means.
        """
        ...

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """Return the problems of the database."""
        ...

    @property
    def trouble(self) -> str:
        """Return why the store is not usable; empty while it is."""
        ...

    @property
    def queued(self) -> tuple[int, int]:
        """Return the numbers of waiting writes and reads."""
        ...


@asynccontextmanager
async def open_database(
    folder: Path | None, settings: Settings, clock: Clock
) -> AsyncIterator[OpenStore]:
    """Open the store of a project.

    Raises:
        ConfigError: the URL is not valid, or psycopg is not installed.
        StoreError, UnavailableError: the store cannot be used.
    """
    if is_postgres(settings.url):
        location = parse(settings.url, password_of(folder, settings))
        data = None if folder is None else _data_folder(folder)
        async with require_postgres().open_postgres(location, clock, data) as postgres:
            yield postgres
    else:
        async with open_store(path_of(folder or Path(), settings.url), clock) as store:
            yield store


def clock_of(settings: Settings) -> Clock:
    """Return the clock for a store: the database's time where machines share it."""
    return DatabaseClock() if is_postgres(settings.url) else SystemClock()


def query_store(
    folder: Path, settings: Settings, query: Callable[[Connection], Value]
) -> Value | None:
    """Return the result of a query on a store, even while servers use it; None without a store.

    Raises:
        ConfigError: the URL is not valid.
        StoreError, UnavailableError: the store cannot be read.
    """
    if is_postgres(settings.url):
        location = parse(settings.url, password_of(folder, settings))
        found: Value = require_postgres().query_postgres(location, query)
        return found
    path = existing_path_of(folder, settings.url)
    return None if path is None else query_file(path, query)


def check_store(folder: Path, settings: Settings, *, is_full: bool) -> Sequence[str]:
    """Return the problems of a store, even while servers use it.

    Raises:
        ConfigError: the URL is not valid, or its file does not exist.
        StoreError, UnavailableError: the store cannot be opened.
    """
    if not is_postgres(settings.url):
        return check_file(existing_file_of(folder, settings.url), is_full=is_full)
    postgres = require_postgres()
    location = parse(settings.url, password_of(folder, settings))
    problems: Sequence[str] = postgres.query_postgres(
        location, lambda connection: postgres.find_problems(connection, is_full=is_full)
    )
    return problems


def password_of(folder: Path | None, settings: Settings) -> str:
    """Return the password for the database, of the settings or of the file that they name.

    Raises:
        ConfigError: the file cannot be read, or both are given.
    """
    if not settings.password_file:
        return settings.password
    if settings.password:
        raise ConfigError("[store] password and password_file exclude each other; use one")
    path = (folder or Path()) / settings.password_file
    try:
        return path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"[store] password_file: {path} cannot be read ({error})") from error


def _data_folder(folder: Path) -> Path:
    data = folder / "data"
    try:
        make_folder(data)
    except OSError as error:
        words = f"folder {data} cannot be used: {error.strerror or error}"
        raise ConfigError(f"[store] url: {words}") from error
    return data


def require_postgres() -> Any:
    """Return the module for PostgreSQL, which needs an extra.

    Raises:
        ConfigError: psycopg is not installed.
    """
    try:
        from zato_lite.store import postgres  # noqa: PLC0415 - an extra
    except ImportError as error:
        text = "psycopg is not installed; pip install 'zato-lite[postgres]'"
        raise ConfigError(f"[store] url: {text} ({error})") from error
    return postgres
