"""Connections of services, whose transactions are committed with the outcomes of their runs.

Some rest between two runs, as a new one costs milliseconds. The next service gets a new object
over the old session; the server has discarded the settings of the service before.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg import pq
from psycopg.rows import tuple_row

from zato_lite.errors import StoreError
from zato_lite.store.dialect import Dialect
from zato_lite.store.ports import Connection
from zato_lite.store.postgres_connection import (
    adapt,
    array_text,
    connect_error,
    parameters_of,
    query_of,
    threshold_of,
)
from zato_lite.store.postgres_url import Location

Result = TypeVar("Result")

RESTING = 8
"""Connections that rest at most."""

REST_S = 30.0
"""Seconds after which a connection is closed that no run has wanted."""

_IS_OWN = b"SELECT pg_backend_pid() FROM run WHERE id = $1 AND token = $2 AND outcome IS NULL"


class PostgresRunConnection(psycopg.AsyncConnection[Any]):
    """Connection of a service, whose transaction is committed with the outcome of its run.

    Attributes:
        rest: takes a session whose commit was answered, for another run.
    """

    rest: Callable[[pq.abc.PGconn], None] | None = None
    _is_committed = False

    async def commit(self) -> None:
        """Refuse: the transaction is committed with the outcome of the run.

        Raises:
            psycopg.ProgrammingError: always.
        """
        words = "this transaction is committed with the outcome of the run"
        raise psycopg.ProgrammingError(words)

    async def run(self, operation: Callable[[Connection], Result]) -> Result:
        """Run an operation of the store in the transaction, in a thread."""
        bridge = _Bridge(self, asyncio.get_running_loop())
        return await asyncio.to_thread(operation, bridge)

    async def commit_run(self) -> None:
        """Commit the transaction."""
        await super().commit()
        self._is_committed = True

    async def give_up(self) -> None:
        """Roll back what is not committed, and close the connection or let it rest."""
        if not self._is_committed or self.rest is None or self.closed:
            await self.close()
            return
        try:
            await self.set_autocommit(True)
            await self.execute(b"DISCARD ALL", prepare=False)
        except BaseException:
            await self.close()
            raise
        # The service may have kept this object: it is closed for it.
        session, self.pgconn = self.pgconn, pq.PGconn()
        self.rest(session)

    def drop(self) -> None:
        """Close the connection without a word."""
        self.pgconn.finish()


class RunConnections:
    """Connections for the transactions of runs, to one database.

    Args:
        location: of the database.
    """

    def __init__(self, location: Location) -> None:
        self._location = location
        self._resting: list[pq.abc.PGconn] = []
        self._is_closed = False

    async def connect(self, run_id: int, token: int) -> PostgresRunConnection:
        """Return a connection in a transaction, if the run is still this node's own.

        Raises:
            UnavailableError: the server cannot be reached.
            StoreError: another node has taken over the run, or it has ended.
        """
        while self._resting:
            raw = PostgresRunConnection(self._resting.pop())
            try:
                return await self._begun(raw, run_id, token)
            except psycopg.OperationalError:  # cut while it rested
                await raw.close()
        parameters, options = parameters_of(self._location, "run")
        try:
            raw = await PostgresRunConnection.connect(
                self._location.url, **parameters, options=options
            )
            return await self._begun(raw, run_id, token)
        except psycopg.Error as error:
            raise connect_error(self._location, error) from None

    async def _begun(
        self, raw: PostgresRunConnection, run_id: int, token: int
    ) -> PostgresRunConnection:
        """Begin the transaction, so that one of psycopg's own within it is a savepoint."""
        cursor = psycopg.AsyncRawCursor(raw, row_factory=tuple_row)
        found = await (await cursor.execute(_IS_OWN, (run_id, token), prepare=False)).fetchone()
        if found is None:
            await raw.close()
            raise StoreError(f"run {run_id} is not this node's any more")
        raw.prepare_threshold = threshold_of(self._location, raw.info.backend_pid, found[0])
        raw.rest = self._rest
        return raw

    def _rest(self, session: pq.abc.PGconn) -> None:
        if self._is_closed or len(self._resting) >= RESTING:
            session.finish()
            return
        self._resting.append(session)
        asyncio.get_running_loop().call_later(REST_S, self._end_rest, session)

    def _end_rest(self, session: pq.abc.PGconn) -> None:
        """Close a connection if it rests still, or again: another one is made then."""
        if session in self._resting:
            self._resting.remove(session)
            session.finish()

    def close(self) -> None:
        """Close what rests, and let nothing rest any more."""
        self._is_closed = True
        while self._resting:
            self._resting.pop().finish()


class _Bridge:
    """``Connection`` of a thread over an asynchronous connection of the event loop."""

    dialect: Dialect = "postgres"

    def __init__(
        self, raw: "psycopg.AsyncConnection[Any]", loop: asyncio.AbstractEventLoop
    ) -> None:
        self._cursor, self._loop = psycopg.AsyncRawCursor(raw, row_factory=tuple_row), loop
        adapt(self._cursor.adapters)
        self._changed = 0

    def execute(self, sql: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        running = asyncio.run_coroutine_threadsafe(self._execute(sql, values), self._loop)
        return iter(running.result())

    async def _execute(self, sql: str, values: Sequence[Any]) -> list[tuple[Any, ...]]:
        cursor = self._cursor
        await cursor.execute(query_of(sql), values or None)
        self._changed = cursor.rowcount
        return await cursor.fetchall() if cursor.description is not None else []

    def changes(self) -> int:
        return self._changed

    def array(self, texts: Sequence[str]) -> str:
        return array_text(texts)

    def many(self, values: Iterable[Any]) -> str:
        return array_text(values)
