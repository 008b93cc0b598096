"""SQLite: one thread that writes in group commits, one that reads; the only one that knows apsw.

Whatever is given to the writer while a commit runs shares the next commit. A lone operation is
its transaction; several have a savepoint each, so that one that fails leaves no trace.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, TypeVar

import apsw

from zato_lite.clock import Clock
from zato_lite.errors import StoreError, UnavailableError, ZatoLiteError
from zato_lite.store.migrate import migrate
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Connection

Result = TypeVar("Result")
Operation = Callable[[Connection], Any]
Done = Callable[[Any, BaseException | None], None]
Task = tuple[Operation, Done]
Answer = tuple[Done, Any, BaseException | None]

MOST_IN_A_COMMIT = 4096
CHECKPOINT_PAGES = 4000
IDLE_CHECKPOINT_S = 1.0
BUSY_MS = 10_000

_log = logging.getLogger("zato_lite.store")


@asynccontextmanager
async def open_store(path: str | Path, clock: Clock) -> AsyncIterator["SqliteStore"]:
    """Open the database file, or one in memory for ``:memory:``; made and migrated as needed.

    Raises:
        StoreError: the file is damaged, newer than this program, or cannot be written to.
    """
    store = SqliteStore(str(path))
    await asyncio.to_thread(store.open, clock.now())
    try:
        store.start()
        yield store
    finally:
        await asyncio.to_thread(store.close)


class SqliteStore:
    """A ``Database`` in a file of its own."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.is_in_memory = path == ":memory:"
        self.is_broken = False
        self.locks = NodeLocks(path)
        self._writes: SimpleQueue[Task | None] = SimpleQueue()
        self._reads: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False

    # For everybody

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._ask(self._writes, operation)

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._ask(self._writes if self.is_in_memory else self._reads, operation)

    def submit(
        self,
        operation: Callable[[Connection], Result],
        done: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        if self._closed:
            done(None, UnavailableError("the store is closed"))
        else:
            self._writes.put((operation, done))

    async def backup(self, target: str | Path) -> None:
        """Write a consistent copy of the whole database to a new file, while all goes on.

        Raises:
            StoreError: the file is there already, or cannot be written.
        """
        await asyncio.to_thread(self._backup, Path(target))

    async def check(self) -> Sequence[str]:
        """What is wrong with the database file; nothing, if all is well."""
        return await self.read(_problems)

    @property
    def queued(self) -> tuple[int, int]:
        """How many writes and reads wait for their thread."""
        return self._writes.qsize(), self._reads.qsize()

    # Life

    def open(self, now: int) -> None:
        """Open or make the file and bring its schema up to date."""
        try:
            if not self.is_in_memory:
                Path(self.path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(
                f"{self.path} has no folder, and none can be made ({error})"
            ) from error
        self._writer = self._connect()
        try:
            self._in_one_transaction(self._writer, lambda connection: migrate(connection, now))
            self._reader = self._writer if self.is_in_memory else self._connect()
        except StoreError:
            self._writer.close(force=True)
            raise

    def start(self) -> None:
        """Begin to work for the running loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [Thread(target=self._write_on, name="store-writer", daemon=True)]
        if not self.is_in_memory:
            self._threads.append(Thread(target=self._read_on, name="store-reader", daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Do what was given, and close the file; what comes later is refused."""
        self._closed = True
        self._writes.put(None)
        self._reads.put(None)
        for thread in self._threads:
            thread.join()
        if self._reader is not self._writer:
            self._reader.close()
        self._writer.close()

    def _connect(self) -> apsw.Connection:
        try:
            connection = apsw.Connection(self.path, statementcachesize=200)
            connection.set_busy_timeout(BUSY_MS)
            if not self.is_in_memory:
                _pragma(connection, "journal_mode = wal")
            _pragma(connection, "synchronous = full")
            _pragma(connection, "cache_size = -16000")
            _pragma(connection, f"wal_autocheckpoint = {CHECKPOINT_PAGES}")
            _pragma(connection, "temp_store = memory")
        except apsw.Error as error:
            raise _store_error(self.path, error) from error
        return connection

    def _in_one_transaction(
        self, connection: apsw.Connection, operation: Callable[[Connection], Result]
    ) -> Result:
        try:
            connection.execute("BEGIN IMMEDIATE")
            result = operation(connection)
            connection.execute("COMMIT")
        except apsw.Error as error:
            raise _store_error(self.path, error) from error
        return result

    def _backup(self, target: Path) -> None:
        if target.exists():
            raise StoreError(f"{target} is there already")
        try:
            if self.is_in_memory:
                self._copy(target)
            else:  # one read, which no commit makes begin again
                source = self._connect()
                source.execute("VACUUM INTO ?", (str(target),))
                source.close()
        except apsw.Error as error:
            raise _store_error(str(target), error) from error

    def _copy(self, target: Path) -> None:
        copy = apsw.Connection(str(target))
        with copy.backup("main", self._reader, "main") as backup:
            while not backup.done:
                backup.step(1000)
        copy.close()

    async def _ask(
        self, queue: "SimpleQueue[Task | None]", operation: Callable[[Connection], Result]
    ) -> Result:
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

        queue.put((operation, done))
        return await future

    # The writer's thread

    def _write_on(self) -> None:
        dirty = False
        while True:
            try:
                task = self._writes.get(timeout=IDLE_CHECKPOINT_S if dirty else None)
            except Empty:
                dirty = False
                self._checkpoint()
                continue
            tasks, is_last = _gather(task, self._writes)
            if tasks:
                self._deliver(self._commit(tasks))
                dirty = True
            if is_last:
                return

    def _commit(self, tasks: Sequence[Task]) -> list[Answer]:
        try:
            if self.is_broken:
                self._reopen()
            self._writer.execute("BEGIN IMMEDIATE")
            answers = self._run_all(tasks)
            self._writer.execute("COMMIT")
        except (apsw.Error, StoreError) as error:
            return self._failed(tasks, error)
        return answers

    def _run_all(self, tasks: Sequence[Task]) -> list[Answer]:
        connection = self._writer
        if len(tasks) == 1:
            operation, done = tasks[0]
            try:
                return [(done, operation(connection), None)]
            except Exception as error:
                if not connection.in_transaction:
                    raise
                connection.execute("ROLLBACK; BEGIN IMMEDIATE")
                return [(done, None, _translated(error))]
        return [self._run_apart(operation, done) for operation, done in tasks]

    def _run_apart(self, operation: Operation, done: Done) -> Answer:
        connection = self._writer
        connection.execute("SAVEPOINT apart")
        try:
            answer = (done, operation(connection), None)
        except Exception as error:
            if not connection.in_transaction:
                raise
            connection.execute("ROLLBACK TO apart; RELEASE apart")
            return (done, None, _translated(error))
        connection.execute("RELEASE apart")
        return answer

    def _failed(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        """Nothing of it is there: after a failed fsync nobody knows, so the file is reopened."""
        _log.error("commit failed", extra={"error": str(error), "operations": len(tasks)})
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except apsw.Error:
            self.is_broken = True
        if not isinstance(error, apsw.FullError | apsw.BusyError):
            self.is_broken = not self.is_in_memory
        told = UnavailableError(f"the store cannot be written to: {error}")
        return [(done, None, told) for _, done in tasks]

    def _reopen(self) -> None:
        self._writer.close(force=True)
        self._writer = self._connect()
        if problems := _problems(self._writer):
            raise StoreError(f"{self.path} is damaged: {problems[0]}")
        self.is_broken = False
        _log.warning("store reopened", extra={"path": self.path})

    def _checkpoint(self) -> None:
        try:
            if not self.is_in_memory:
                self._writer.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_PASSIVE)
        except apsw.Error as error:
            _log.warning("checkpoint failed", extra={"error": str(error)})

    # The reader's thread

    def _read_on(self) -> None:
        while (task := self._reads.get()) is not None:
            operation, done = task
            try:
                self._reader.execute("BEGIN")
                answer: Answer = (done, operation(self._reader), None)
            except Exception as error:  # noqa: BLE001 - it is the asker's
                answer = (done, None, _translated(error))
            if self._reader.in_transaction:
                self._reader.execute("ROLLBACK")
            self._deliver([answer])

    def _deliver(self, answers: list[Answer]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_hand_out, answers)


def _gather(first: Task | None, queue: "SimpleQueue[Task | None]") -> tuple[list[Task], bool]:
    """Everything that waits, and whether nothing more will come."""
    if first is None:
        return [], True
    tasks = [first]
    while len(tasks) < MOST_IN_A_COMMIT and not queue.empty():
        task = queue.get()
        if task is None:
            return tasks, True
        tasks.append(task)
    return tasks, False


def _hand_out(answers: list[Answer]) -> None:
    for done, result, error in answers:
        try:
            done(result, error)
        except Exception:  # noqa: BLE001 - the others are to have their answers
            _log.exception("answer not taken")


def _pragma(connection: apsw.Connection, setting: str) -> None:
    connection.execute(f"PRAGMA {setting}").fetchall()


def _problems(connection: Connection) -> list[str]:
    found = [str(row[0]) for row in connection.execute("PRAGMA quick_check(10)")]
    return [] if found == ["ok"] else found


def _translated(error: Exception) -> Exception:
    if isinstance(error, ZatoLiteError) or not isinstance(error, apsw.Error):
        return error
    return UnavailableError(f"the store cannot do it: {error}")


def _store_error(path: str, error: Exception) -> StoreError:
    match error:
        case apsw.NotADBError() | apsw.CorruptError():
            words = "is damaged, or no zato-lite store at all: restore a backup"
        case apsw.CantOpenError():
            words = "cannot be opened: does its folder exist, and may this user write there?"
        case apsw.ReadOnlyError() | apsw.PermissionsError():
            words = "is read-only for this user"
        case apsw.BusyError() | apsw.LockedError():
            words = "is locked by another program"
        case apsw.FullError():
            words = "cannot grow: the disk is full"
        case _:
            words = "cannot be used"
    return StoreError(f"{path} {words} ({error})")
