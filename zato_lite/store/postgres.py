"""PostgreSQL store: a thread for each lane of writes, two that read, and one that listens.

Each lane has one connection and commits in groups, as SQLite's writer does. A group runs without
savepoints first; if an operation fails, all run again with a savepoint each, so that the failed
one is undone alone.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from zato_lite.clock import Clock, DatabaseClock, SystemClock
from zato_lite.errors import StoreError, StoreLockedError, UnavailableError
from zato_lite.log import Repeats
from zato_lite.store.bell import Bell, channel_of
from zato_lite.store.health import StoreHealth
from zato_lite.store.lane import Answer, Done, Operation, Task, call_back
from zato_lite.store.migrate import migrate
from zato_lite.store.others import Others
from zato_lite.store.patience import UNLOCKED_S
from zato_lite.store.ports import Connection, RunConnection
from zato_lite.store.postgres_connection import (
    PostgresConnection,
    PostgresError,
    Use,
    connect,
    first_line,
    is_locked,
    is_stale_plan,
    to_public_error,
    with_advice,
)
from zato_lite.store.postgres_lane import Lane
from zato_lite.store.postgres_others import NodeSerials
from zato_lite.store.postgres_run import RunConnections
from zato_lite.store.postgres_session import BACKOFF_S, BEGIN, DATABASE_NOW, Session
from zato_lite.store.postgres_url import Location, parse
from zato_lite.store.sql import execute, fetch_value

Result = TypeVar("Result")

READERS = 2
"""Threads that read, each over a separate connection."""

FIRST_LOOKS = 5
"""Questions for the database's time at the start: the quickest answer is the most exact."""

_SNAPSHOT = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"
_LOCK = """SELECT current_schema() FROM (SELECT pg_advisory_xact_lock(
    hashtext('zato-lite ' || coalesce(current_schema(), '')))) AS held"""

ENCODINGS = frozenset({"UTF8", "SQL_ASCII"})
"""Encodings of databases that keep every text. SQL_ASCII, of a server without a locale, keeps
bytes as they are."""

_log = logging.getLogger("zato_lite.store")


@asynccontextmanager
async def open_postgres(
    location: Location | str, clock: Clock, folder: Path | None = None
) -> AsyncIterator["PostgresStore"]:
    """Open a database of PostgreSQL; migrate its schema as needed.

    Args:
        location: of the database, or its URL.
        clock: if it is a ``DatabaseClock``, the store keeps it right.
        folder: for files of this node.

    Raises:
        ConfigError: the URL is not valid.
        StoreError: the server refuses the connection, or its schema is newer than this program.
        UnavailableError: the server cannot be reached.
    """
    location = parse(location) if isinstance(location, str) else location
    store = PostgresStore(location, clock, folder)
    try:
        await asyncio.to_thread(store.open, clock.now())
        store.start()
        yield store
    finally:
        await asyncio.to_thread(store.close)


class PostgresStore:
    """``Database`` over PostgreSQL.

    Attributes:
        health: figures of the commits.
        for_scheduler: the same database, with a lane for the scheduler's own writes.
        bell: wakes other nodes, and says when they ring.
        folder: for files of this node; None if it has none.
    """

    is_in_memory = False
    damage = ""

    def __init__(self, location: Location, clock: Clock, folder: Path | None = None) -> None:
        self.path, self.folder = location.shown, folder
        self._clock = clock
        self.location = location
        self._monotonic = SystemClock().monotonic  # commits take real time
        self.health = StoreHealth(location.shown, self._monotonic, has_files=False)
        self._stopping = Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._scheduling = self._lane("scheduler", self.health)
        health = StoreHealth(location.shown, self._monotonic, has_files=False)
        self.health.beside = health
        self._changes = self._lane("changes", health, self._scheduling)
        self.for_scheduler = SchedulerLane(self, self._scheduling)
        self._reads: SimpleQueue[Task | None] = SimpleQueue()
        self._runs = RunConnections(location)
        self._threads: list[Thread] = []
        self._closed = False
        self.bell = Bell(location, self._stopping)
        self.locks: Others = NodeSerials(
            self._scheduling.session, self._changes.session, self.bell, clock.monotonic
        )

    def _lane(self, name: str, health: StoreHealth, first: Lane | None = None) -> Lane:
        use: Use = "schedule" if first is None else "write"
        session = Session(self.location, self._monotonic, self._stopping, use)
        if isinstance(self._clock, DatabaseClock):
            session.on_stamp = self._clock.observe
        return Lane(name, session, health, self._deliver, first)

    # Operations

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        return await self.run(self._changes.put, operation)

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        return await self.run(self._put_read, operation)

    def submit(
        self,
        operation: Callable[[Connection], Result],
        done: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        self.submit_to(self._changes, operation, done)

    def submit_to(self, lane: Lane, operation: Operation, done: Done) -> None:
        """Write in a lane without waiting."""
        if self._closed:
            done(None, UnavailableError("the store is closed"))
        else:
            lane.put(operation, done)

    async def connect_run(self, run_id: int, token: int) -> RunConnection:
        """Open a connection for the transaction of a run.

        Raises:
            UnavailableError: the server cannot be reached.
            StoreError: another node has taken over the run, or it has ended.
        """
        return await self._runs.connect(run_id, token)

    async def backup(self, target: str | Path) -> None:
        """Refuse: a database of PostgreSQL is copied by its own programs.

        Raises:
            StoreError: always.
        """
        raise StoreError(f"{self.path} is not a file; copy it with pg_dump --format=custom")

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """Return the problems of the database; a full check reads all rows of all tables."""
        try:
            return await self.read(lambda connection: find_problems(connection, is_full=is_full))
        except StoreError as error:
            return (str(error),)

    @property
    def trouble(self) -> str:
        """Return why the store is not usable; empty while it is."""
        return self._scheduling.trouble or self._changes.trouble or self.health.trouble

    @property
    def queued(self) -> tuple[int, int]:
        """Return the numbers of waiting writes and reads."""
        return self._scheduling.queued + self._changes.queued, self._reads.qsize()

    # Lifecycle

    def open(self, now: int) -> None:
        """Connect, and migrate the schema; wait while another program does, or moves the store."""
        failures, deadline = Repeats(), self._monotonic() + UNLOCKED_S
        while True:
            try:
                _migrate(self.location, now, self._clock)
            except StoreLockedError as error:
                if self._monotonic() > deadline or self._stopping.wait(BACKOFF_S):
                    raise
                if failures.again(str(error)):
                    _log.warning("store locked, waiting", extra={"path": self.path})
            else:
                return

    def start(self) -> None:
        """Start the threads; answers go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [
            Thread(target=self._read_loop, name="store-reader", daemon=True)
            for _ in range(READERS)
        ]
        for thread in self._threads:
            thread.start()
        self._scheduling.start()
        self._changes.start()
        self.health.start()

    def close(self) -> None:
        """Complete the submitted operations and close the connections; refuse later ones."""
        self._closed = True
        self._stopping.set()
        self._changes.stop()  # it waits for what the other lane has begun
        self._scheduling.stop()
        for _ in self._threads:
            self._reads.put(None)
        for thread in self._threads:
            thread.join()
        self._runs.close()
        self.bell.stop()
        self.health.stop()

    async def run(
        self, put: Callable[[Operation, Done], None], operation: Callable[[Connection], Result]
    ) -> Result:
        """Submit an operation and return its result."""
        if self._closed:
            raise UnavailableError("the store is closed")
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Any, error: BaseException | None) -> None:
            if future.done():
                return
            if error is None:
                future.set_result(result)
            else:
                future.set_exception(error)

        put(operation, done)
        return await future

    # Reader threads

    def _put_read(self, operation: Operation, done: Done) -> None:
        self._reads.put((operation, done))

    def _read_loop(self) -> None:
        session = Session(self.location, self._monotonic, self._stopping, "read")
        while (task := self._reads.get()) is not None:
            operation, done = task
            try:
                answer: Answer = (done, _read(session, operation), None)
            except Exception as error:  # noqa: BLE001 - passed on to the caller
                answer = (done, None, to_public_error(error))
            session.roll_back()
            self._deliver([answer])
        session.close()

    def _deliver(self, answers: list[Answer]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            # One wake-up of the loop for the whole group, from the thread of a lane or a reader.
            self._loop.call_soon_threadsafe(call_back, answers)


class SchedulerLane:
    """``Database`` whose writes wait for no lock that a change of ``PostgresStore`` waits for."""

    def __init__(self, store: PostgresStore, lane: Lane) -> None:
        self._store, self._lane = store, lane

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._store.run(self._lane.put, operation)

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._store.read(operation)

    def submit(
        self,
        operation: Callable[[Connection], Result],
        done: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        self._store.submit_to(self._lane, operation, done)


def _read(session: Session, operation: Operation) -> Any:
    """Return what an operation reads in one snapshot; again if the connection was lost."""
    deadline = session.deadline
    while True:
        try:
            connection = session.connected()
            connection.script(_SNAPSHOT)
            return operation(connection)
        except PostgresError as error:
            if is_stale_plan(error):
                session.drop()
            elif not session.is_lost or session.now() > deadline:
                raise
            session.note_loss(str(error))


def find_problems(connection: Connection, *, is_full: bool = False) -> list[str]:
    """Return the problems of a database; a full check reads all rows of all tables."""
    if is_full:
        tables = "SELECT tablename FROM pg_tables WHERE schemaname = current_schema()"
        for (table,) in list(connection.execute(tables)):
            execute(connection, f'SELECT count(CAST(t AS text)) FROM "{table}" t')
    invalid = """SELECT c.relname FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
        WHERE c.relnamespace = CAST(current_schema() AS regnamespace) AND NOT i.indisvalid"""
    return [f"index {name} is not valid: REINDEX it" for (name,) in connection.execute(invalid)]


def query_postgres(location: Location, query: Callable[[Connection], Result]) -> Result:
    """Return the result of a query on a database, which other programs may use meanwhile.

    Raises:
        StoreError, UnavailableError: the database cannot be read.
    """
    connection = connect(location, "read")
    try:
        connection.script(_SNAPSHOT)
        return query(connection)
    except PostgresError as error:
        raise StoreError(f"{location.shown} cannot be read: {first_line(error)}") from error
    finally:
        connection.close()


def begin_alone(connection: PostgresConnection, location: Location) -> None:
    """Begin a transaction that migrates or moves a store, while no other one does.

    A statement may take long: an index of a large history does.

    Raises:
        StoreError: the search path leads to no schema.
    """
    connection.script(f"{BEGIN}; SET LOCAL statement_timeout = 0")
    ((schema,),) = connection.execute(_LOCK)
    if schema is None:
        words = "its search_path names no schema that exists and that the role may use"
        words += "; create or grant it"
        raise StoreError(f"{location.shown} cannot be used: {words}")


def has_store(connection: Connection) -> bool:
    """Return True if the schema has a store; those behind it in the search path do not count."""
    name = "quote_ident(current_schema()) || '.migration'"
    return bool(fetch_value(connection, f"SELECT to_regclass({name}) IS NOT NULL"))


def check_encoding(connection: Connection, location: Location) -> None:
    """Check that a database keeps every text; warn of a store that exists already.

    Raises:
        StoreError: it does not, and has no store.
    """
    encoding = fetch_value(connection, "SELECT current_setting('server_encoding')")
    if encoding in ENCODINGS:
        return
    words = f"its encoding is {encoding}; create one with ENCODING 'UTF8' TEMPLATE template0"
    if not has_store(connection):
        raise StoreError(f"{location.shown} cannot be used: {words}")
    _log.warning("some texts cannot be stored", extra={"path": location.shown, "why": words})


def _migrate(location: Location, now: int, clock: Clock) -> None:
    """Connect and migrate the schema, while no other node does.

    Raises:
        StoreError: the schema is newer than this program, or does not exist.
    """
    connection = connect(location)
    try:
        begin_alone(connection, location)
        check_encoding(connection, location)
        migrate(connection, now)
        channel_of(connection)  # chosen before any transaction that rings
        connection.commit()
        if isinstance(clock, DatabaseClock):
            for _ in range(FIRST_LOOKS):
                ((instant,),) = connection.script(f"SELECT {DATABASE_NOW}")[0]
                clock.observe(instant)
    except PostgresError as error:
        kind = StoreLockedError if is_locked(error) else StoreError
        words = with_advice(first_line(error), error)
        raise kind(f"{location.shown} cannot be used: {words}") from error
    finally:
        connection.close()
