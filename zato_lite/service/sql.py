"""``self.out.sql``: databases by name, as a service uses them."""

from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, TypeVar

from zato_lite.service.outgoing_call import NamedConnection
from zato_lite.service.sync_aware import blocking

if TYPE_CHECKING:  # an extra
    from sqlalchemy.ext.asyncio import AsyncSession
    from sqlalchemy.orm import Session

    from zato_lite.outgoing.sql import Query, SqlConnection, Values

T = TypeVar("T")
Row = dict[str, Any]


class SqlCalls(NamedConnection["SqlConnection"]):
    """Common part of ``Sql`` and ``BlockingSql``."""

    __slots__ = ()
    KIND = "sql"

    async def _run(self, reader: str, query: "Query", values: "Values", more: Row) -> Any:
        from zato_lite.outgoing import sql  # noqa: PLC0415 - an extra

        if more:
            if values is not None:
                raise TypeError("values and keyword arguments given; use one of them")
            values = more
        read: Callable[[Any], Any] = getattr(sql, reader)
        async with self._kind[self._name] as connection:
            return await connection.run(query, values, read, self._service.time_left)

    def _connection(self) -> "SqlConnection":
        """Return the connection; SQLAlchemy itself closes what is in use after its last user."""
        return self._kind[self._name].connection


class Sql(SqlCalls):
    """Database: ``await self.out.sql["db"].all("SELECT … WHERE id = :id", {"id": 7})``.

    Values are given by name, as a dictionary or as keyword arguments. Each statement is
    one transaction, committed; ``session`` makes larger ones.
    """

    __slots__ = ()

    def one(
        self, query: "Query", values: "Values" = None, /, **more: Any
    ) -> Coroutine[Any, Any, Row]:
        """Return the only row; SQLAlchemy's NoResultFound or MultipleResultsFound otherwise."""
        return self._resolve(self._run("one", query, values, more))

    def one_or_none(
        self, query: "Query", values: "Values" = None, /, **more: Any
    ) -> Coroutine[Any, Any, Row | None]:
        """Return the only row, or None."""
        return self._resolve(self._run("one_or_none", query, values, more))

    def all(
        self, query: "Query", values: "Values" = None, /, **more: Any
    ) -> Coroutine[Any, Any, list[Row]]:
        """Return all rows."""
        return self._resolve(self._run("all_rows", query, values, more))

    def scalar(
        self, query: "Query", values: "Values" = None, /, **more: Any
    ) -> Coroutine[Any, Any, Any]:
        """Return the first value of the first row, or None."""
        return self._resolve(self._run("scalar", query, values, more))

    def execute(
        self, query: "Query", values: "Values" = None, /, **more: Any
    ) -> Coroutine[Any, Any, int]:
        """Execute a statement, for each of a list of values; return the rows that it changed."""
        return self._resolve(self._run("row_count", query, values, more))

    def session(self) -> "AsyncSession":
        """Return a session of SQLAlchemy, for ``async with``; it commits on request."""
        return self._connection().session()


class BlockingSql(SqlCalls):
    """``Sql`` for blocking services."""

    __slots__ = ()

    one = blocking(Sql.one)
    one_or_none = blocking(Sql.one_or_none)
    all = blocking(Sql.all)
    scalar = blocking(Sql.scalar)
    execute = blocking(Sql.execute)

    def session(self) -> "Session":
        """Return a session of SQLAlchemy, for ``with``; it commits on request."""
        return self._connection().blocking_session()

    @property
    def conn(self) -> "BlockingSql":
        """Return the connection itself, under Zato's name."""
        return self
