"""SQL connections over SQLAlchemy. Imported only if one is configured."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Lock
from typing import Any, TypeVar
from uuid import uuid4

from sqlalchemy import CursorResult, Engine, Executable, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, InterfaceError, NoSuchModuleError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, create_async_engine
from sqlalchemy.orm import Session
from sqlalchemy.pool import ConnectionPoolEntry

from zato_lite.errors import ConfigError, OutgoingError, OutgoingTimeoutError
from zato_lite.outgoing.figures import Figures
from zato_lite.outgoing_config import Sql

T = TypeVar("T")
Query = str | Executable
Values = Mapping[str, Any] | Sequence[Mapping[str, Any]] | None

_ASYNC = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+psycopg",
    "postgres": "postgresql+psycopg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
    "oracle": "oracle+oracledb",
    "mssql": "mssql+aioodbc",
}
"""Drivers of async services, by the name of a database."""

_BLOCKING = {
    "aiosqlite": "pysqlite",
    "asyncpg": "psycopg",
    "aiomysql": "pymysql",
    "asyncmy": "pymysql",
    "aioodbc": "pyodbc",
}
"""Drivers of sessions in blocking services, where they differ from those of async ones."""

_IN_MEMORY = ":memory:"


def url_of(settings: Sql, password: str, folder: Path) -> URL:
    """Return the URL of an async engine.

    Raises:
        ConfigError: it is not valid.
    """
    try:
        url = make_url(settings.url)
    except ArgumentError as error:
        raise ConfigError("url is not valid; use database://user@host/name") from error
    if url.password is not None:
        raise ConfigError("url has a password; use password or password_file")
    url = url.set(drivername=_ASYNC.get(url.drivername, url.drivername))
    if password:
        url = url.set(password=password)
    if url.get_backend_name() == "sqlite":
        path = url.database or _IN_MEMORY
        is_path = path != _IN_MEMORY and not path.startswith("file:")
        url = url.set(database=str(folder / path) if is_path else path)
    return url


class TextSession(Session):
    """A session whose statements may be text, as in SQLAlchemy 1.x."""

    def execute(self, statement: Any, *args: Any, **options: Any) -> Any:
        """Execute a statement."""
        chosen = text(statement) if isinstance(statement, str) else statement
        return super().execute(chosen, *args, **options)


class SqlConnection:
    """Database by name: a pool of connections for statements, and one for blocking sessions.

    Args:
        name: its name in the settings.
        settings: its settings.
        url: of the async engine.
        figures: counts its statements.

    Raises:
        ConfigError: the driver is not installed, or not an async one.
    """

    def __init__(self, name: str, settings: Sql, url: URL, figures: Figures) -> None:
        if url.database == _IN_MEMORY:
            # SQLite's memdb has one database for all connections of a process, with the locks of a
            # file; plain ":memory:" would be another database for each pool.
            url = url.set(database=f"file:/{uuid4()}", query={"vfs": "memdb", "uri": "true"})
        self.name, self._settings, self._url, self._figures = name, settings, url, figures
        try:
            self.engine: AsyncEngine = create_async_engine(url, **self._options(url))
        except (ImportError, NoSuchModuleError, ArgumentError) as error:
            raise ConfigError(f"driver {url.drivername} cannot be used: {error}") from error
        event.listen(self.engine.sync_engine, "checkin", self._returned)
        self._blocking: Engine | None = None
        self._opening, self._is_closed = Lock(), False

    def _options(self, url: URL) -> dict[str, Any]:
        if url.get_backend_name() == "sqlite":
            return {}
        return {
            "pool_size": self._settings.pool_size,
            "max_overflow": 0,
            "pool_timeout": self._settings.timeout,
            "pool_recycle": self._settings.pool_recycle,
            "pool_pre_ping": True,
        }

    def session(self) -> AsyncSession:
        """Return a new session, for ``async with``."""
        return AsyncSession(self.engine, expire_on_commit=False)

    def blocking_session(self, kind: type[Session] = Session) -> Session:
        """Return a new session for a worker thread, from a second pool."""
        with self._opening:
            if self._blocking is None:
                driver = self._url.get_driver_name()
                name = f"{self._url.get_backend_name()}+{_BLOCKING.get(driver, driver)}"
                url = self._url.set(drivername=name)
                self._blocking = create_engine(url, **self._options(url))
                event.listen(self._blocking, "checkin", self._returned)
        return kind(self._blocking, expire_on_commit=False)

    async def run(
        self,
        query: Query,
        values: Values,
        read: Callable[[CursorResult[Any]], T],
        left: float | None,
    ) -> T:
        """Execute a statement in a transaction, commit it, and return what is read of its result.

        Args:
            query: its text, with ``:name`` for values, or a statement of SQLAlchemy.
            values: by name; a list executes the statement for each.
            read: reads the result.
            left: seconds that the invocation has left; None for no limit.

        Raises:
            OutgoingTimeoutError: it takes too long, or no connection becomes free.
            OutgoingError: the database cannot be reached.
        """
        seconds = self._settings.timeout if left is None else min(self._settings.timeout, left)
        with self._figures.counted():
            try:
                async with asyncio.timeout(seconds):
                    return await self._executed(query, values, read)
            except (TimeoutError, PoolTimeoutError) as error:
                message = f"[outgoing.sql.{self.name}] no result within {seconds:g} s"
                raise OutgoingTimeoutError(message) from error

    async def _executed(
        self, query: Query, values: Values, read: Callable[[CursorResult[Any]], T]
    ) -> T:
        statement = text(query) if isinstance(query, str) else query
        try:
            connection = await self.engine.connect()
        except (OperationalError, InterfaceError, OSError) as error:
            reason = getattr(error, "orig", None) or error
            message = f"[outgoing.sql.{self.name}] cannot connect: {reason}"
            raise OutgoingError(message) from error
        try:
            found = read(await connection.execute(statement, values))
            await connection.commit()
        finally:
            await asyncio.shield(connection.close())
        return found

    async def close(self) -> None:
        """Close idle connections; those in use are closed when they are returned."""
        self._is_closed = True
        await self.engine.dispose()
        if self._blocking is not None:
            self._blocking.dispose()

    def _returned(self, _: object, record: ConnectionPoolEntry) -> None:
        """Close a connection that a session returns after ``close``: its pool would keep it."""
        if self._is_closed:
            record.invalidate()


def one(result: CursorResult[Any]) -> dict[str, Any]:
    """Return the only row."""
    return dict(result.mappings().one())


def one_or_none(result: CursorResult[Any]) -> dict[str, Any] | None:
    """Return the only row, or None if there are none."""
    row = result.mappings().one_or_none()
    return None if row is None else dict(row)


def all_rows(result: CursorResult[Any]) -> list[dict[str, Any]]:
    """Return all rows."""
    return [dict(row) for row in result.mappings()]


def scalar(result: CursorResult[Any]) -> Any:
    """Return the first value of the first row, or None."""
    return result.scalar()


def row_count(result: CursorResult[Any]) -> int:
    """Return the number of changed rows; -1 if the database does not know it."""
    return result.rowcount
