"""SQLite store: one thread that writes in group commits, and some that read.

Operations that are submitted while a commit runs share the next commit. They run without
savepoints; only if one of them fails after it has written, all run again, in a savepoint each.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from queue import Empty, SimpleQueue
from threading import Event, Thread
from typing import Any, TypeVar

from zato_lite.clock import Clock, SystemClock
from zato_lite.errors import StoreError, UnavailableError
from zato_lite.log import Repeats
from zato_lite.store.connection import (
    InterruptedCheckError,
    SqliteConnection,
    SqliteError,
    connect,
    copy,
    damage_message,
    find_problems,
    in_one_transaction,
    interruptible,
    is_damage,
    is_transient,
    open_file,
    serialize,
    to_public_error,
    write_image,
)
from zato_lite.store.file_lock import FileLock
from zato_lite.store.health import StoreHealth
from zato_lite.store.lane import (
    Answer,
    Task,
    call_back,
    gather,
    refuse_all,
    run_group,
    run_in_savepoints,
)
from zato_lite.store.migrate import migrate
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Connection
from zato_lite.store.private import prepare_database

Result = TypeVar("Result")
MAX_GROUP = 4096
"""Operations that share one commit at most."""

READERS = 2
"""Threads that read: a question that takes long does not hold up the others."""

CHECKPOINT_PAGES = 4000
"""Pages in the log after which the writer checkpoints between two commits."""

IDLE_CHECKPOINT_S = 1.0
"""Seconds without a write after which the writer checkpoints."""

STARTUP_CHECK_BYTES = 8 * 1024 * 1024
STARTUP_CHECK_S = 0.025
"""Size in bytes, and duration in seconds, up to which a file is checked before it is used; a
larger one is checked in the background. A cached megabyte takes about a millisecond."""

CHECK_DELAY_S = 1.0
"""Seconds between the start and the background check: runs that are due come first."""

_log = logging.getLogger("zato_lite.store")


@asynccontextmanager
async def open_store(path: str | Path, clock: Clock) -> AsyncIterator["SqliteStore"]:
    """Open the database file, or one in memory for ``:memory:``; create and migrate it as needed.

    Raises:
        StoreError: the file is damaged, newer than this program or not writable.
    """
    store = SqliteStore(str(path), clock)
    await asyncio.to_thread(store.open, clock.now())
    try:
        store.start()
        yield store
    finally:
        await asyncio.to_thread(store.close)


class SqliteStore:
    """``Database`` over an SQLite file or over memory.

    Attributes:
        is_broken: a commit failed, and the file has not been reopened since.
        damage: a description of damage found in the file; empty without any.
        health: what the file, its lock and its disk do.
    """

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self.path = path
        self.is_in_memory = path == ":memory:"
        self.folder = None if self.is_in_memory else Path(path).parent
        self.is_broken = False
        self.damage = ""
        self._monotonic = (clock or SystemClock()).monotonic
        # Not the application's clock, which tests set: commits take real time.
        self.health = StoreHealth(path, SystemClock().monotonic)
        self._file_lock = FileLock(path)
        self._is_unchecked = False
        self._stopping = Event()
        self._failures = Repeats()
        self.locks = NodeLocks(path)
        self._writes: SimpleQueue[Task | None] = SimpleQueue()
        self._reads: SimpleQueue[Task | None] = SimpleQueue()
        self._readers: list[SqliteConnection] = []
        self._threads: list[Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._pages = 0

    # Operations

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._run(self._writes, operation)

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        return await self._run(self._writes if self.is_in_memory else self._reads, operation)

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
        """Write a consistent copy of the database to a new file; reads and writes continue.

        Raises:
            StoreError: the file exists or cannot be written.
        """
        if self.is_in_memory:
            # The writer's thread reads its own connection: no other thread may use it meanwhile.
            image = await self.read(serialize)
            await asyncio.to_thread(write_image, image, Path(target))
        else:
            await asyncio.to_thread(self._backup, Path(target))

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """Return the problems of the database file; reads and writes continue.

        A full check also compares indexes with their tables.
        """
        if self.is_in_memory:
            return await self.read(lambda connection: find_problems(connection, is_full=is_full))
        return await asyncio.to_thread(self._check, is_full=is_full)

    @property
    def trouble(self) -> str:
        """Return why the store is not usable; empty while it is."""
        if self.is_broken and not self.damage:
            return "the last commit failed; no write is acknowledged until the store is reopened"
        return self.damage or self.health.trouble

    @property
    def queued(self) -> tuple[int, int]:
        """Return the numbers of waiting writes and reads."""
        return self._writes.qsize(), self._reads.qsize()

    # Lifecycle

    def open(self, now: int) -> None:
        """Open or create the file, check it and migrate its schema."""
        if not self.is_in_memory:
            prepare_database(Path(self.path))
            self._file_lock.acquire_shared()
        try:
            self._open(now)
        except StoreError:
            self._file_lock.release()
            raise

    def _open(self, now: int) -> None:
        self._writer = connect(self.path)
        try:
            self._check_at_startup()
            in_one_transaction(
                self.path, self._writer, lambda connection: migrate(connection, now)
            )
            if not self.is_in_memory:
                self._readers = [connect(self.path) for _ in range(READERS)]
        except StoreError:
            self._writer.close(force=True)
            raise
        self.health.remember_files()

    def start(self) -> None:
        """Start the threads; answers go to the running event loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [Thread(target=self._write_loop, name="store-writer", daemon=True)]
        if not self.is_in_memory:
            self._threads += [
                Thread(target=self._read_loop, args=(each,), name="store-reader", daemon=True)
                for each in self._readers
            ]
        if self._is_unchecked:
            self._threads.append(
                Thread(target=self._check_in_background, name="store-check", daemon=True)
            )
        for thread in self._threads:
            thread.start()
        self.health.start()

    def close(self) -> None:
        """Complete the submitted operations and close the file; refuse later ones."""
        self._closed = True
        self._stopping.set()
        self._writes.put(None)
        for _ in self._readers:
            self._reads.put(None)
        for thread in self._threads:
            thread.join()
        self.health.stop()
        for reader in self._readers:
            reader.close()
        self._writer.close()
        self._file_lock.release()

    # Checks and backups

    def _check_at_startup(self) -> None:
        """Check a small file before its first use; leave a large one to the background.

        Raises:
            StoreError: it is damaged.
        """
        if self.is_in_memory:
            return
        if Path(self.path).stat().st_size > STARTUP_CHECK_BYTES:
            self._is_unchecked = True
            return
        until = self._monotonic() + STARTUP_CHECK_S
        try:
            with interruptible(self._writer, lambda: self._monotonic() > until):
                found = find_problems(self._writer)
        except InterruptedCheckError:
            self._is_unchecked = True
            return
        if found:
            raise StoreError(damage_message(self.path, found[0]))

    def _check_in_background(self) -> None:
        if not self._stopping.wait(CHECK_DELAY_S):
            with suppress(UnavailableError):  # the store is being closed
                self._check(is_full=False)

    def _check(self, *, is_full: bool) -> Sequence[str]:
        """Check the file through a separate connection, in the calling thread."""
        try:
            with (
                open_file(self.path) as connection,
                interruptible(connection, self._stopping.is_set),
            ):
                found = find_problems(connection, is_full=is_full)
        except InterruptedCheckError as error:
            raise UnavailableError("the store is closed") from error
        self.damage = damage_message(self.path, found[0]) if found else ""
        if found:
            _log.critical("store damaged", extra={"path": self.path, "problems": found})
        return found

    def _record_damage(self, error: BaseException) -> None:
        """Remember and log the damage that an operation's error reveals, if any."""
        if is_damage(error) and not self.damage:
            self.damage = damage_message(self.path, str(error))
            _log.critical("store damaged", extra={"path": self.path, "problems": [str(error)]})

    def _backup(self, target: Path) -> None:
        with open_file(self.path) as source:
            copy(source, target)

    async def _run(
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

    # Writer thread

    def _write_loop(self) -> None:
        has_written = False
        while True:
            try:
                task = self._writes.get(timeout=IDLE_CHECKPOINT_S if has_written else None)
            except Empty:
                has_written = False
                self._checkpoint()
                continue
            gathered = gather(self._writes, task, MAX_GROUP)
            if tasks := [each for each in gathered if each is not None]:
                self._deliver(self._commit(tasks))
                has_written = True
                if self._needs_checkpoint():
                    self._checkpoint()
            if gathered[-1] is None:
                return

    def _commit(self, tasks: Sequence[Task]) -> list[Answer]:
        health = self.health
        if moved := health.check_files():
            return _refuse_all(tasks, moved)
        try:
            if self.is_broken:
                self._reopen()
            health.waits_for_lock()
            self._writer.execute("BEGIN IMMEDIATE")
            health.has_lock()
            answers = self._run_all(tasks)
            health.commits_now()
            self._writer.execute("COMMIT")
        except (SqliteError, StoreError) as error:
            health.has_failed()
            return self._fail_all(tasks, error)
        health.has_ended()
        if self._failures.count:
            _log.warning("commits resumed", extra={"failures": self._failures.over()})
        if moved := health.check_files():  # the commit may be in a file that nobody will find
            return _refuse_all(tasks, moved)
        return answers

    def _run_all(self, tasks: Sequence[Task]) -> list[Answer]:
        answers = run_group(self._writer, tasks, self)
        return run_in_savepoints(self._writer, tasks, self) if answers is None else answers

    # Rules of the writer's lane

    def is_fatal(self, error: Exception) -> bool:
        return not self._writer.in_transaction  # SQLite rolls back: the disk is full, I/O error

    def is_of_statement(self, error: Exception) -> bool:
        return isinstance(error, SqliteError)

    def public(self, error: Exception) -> BaseException:
        self._record_damage(error)
        return to_public_error(error)

    def undo(self) -> None:
        self._writer.script("ROLLBACK; BEGIN IMMEDIATE")

    def _fail_all(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        """Roll back and refuse all operations of a failed transaction.

        After a failed fsync it is unknown which pages have reached the disk, and a second fsync
        may succeed without writing them: the file is reopened before the next transaction.
        """
        self._record_damage(error)
        if self._failures.again(str(error)):
            fields = {
                "error": str(error),
                "operations": len(tasks),
                "so_far": self._failures.count,
            }
            _log.error("commit failed", extra=fields)
        try:
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
        except SqliteError:
            self.is_broken = True
        if not is_transient(error):
            self.is_broken = not self.is_in_memory
        return _refuse_all(tasks, str(error))

    def _reopen(self) -> None:
        self._writer.close(force=True)
        self._writer = connect(self.path)
        if found := find_problems(self._writer):
            self.damage = damage_message(self.path, found[0])
            raise StoreError(self.damage)
        self.is_broken, self.damage = False, ""
        self.health.remember_files()
        _log.warning("store reopened", extra={"path": self.path})

    def _needs_checkpoint(self) -> bool:
        """Return True if the log has ``CHECKPOINT_PAGES`` pages.

        SQLite's automatic checkpoint would be part of the commit and delay its answers, and a
        hook at each commit would have to wait for the GIL.
        """
        self._pages += self._writer.pages_written()
        return self._pages >= CHECKPOINT_PAGES

    def _checkpoint(self) -> None:
        self._pages = 0
        try:
            if not self.is_in_memory:
                self._writer.checkpoint()
        except SqliteError as error:
            _log.warning("checkpoint failed", extra={"error": str(error)})

    # Reader threads

    def _read_loop(self, reader: SqliteConnection) -> None:
        while (task := self._reads.get()) is not None:
            operation, done = task
            try:
                reader.execute("BEGIN")
                answer: Answer = (done, operation(reader), None)
            except Exception as error:  # noqa: BLE001 - passed on to the caller
                self._record_damage(error)
                answer = (done, None, to_public_error(error))
            if reader.in_transaction:
                reader.execute("ROLLBACK")
            self._deliver([answer])

    def _deliver(self, answers: list[Answer]) -> None:
        if self._loop is not None and not self._loop.is_closed():
            # One wake-up of the loop for the whole group, from the writer's or reader's thread.
            self._loop.call_soon_threadsafe(call_back, answers)


def _refuse_all(tasks: Sequence[Task], why: str) -> list[Answer]:
    return refuse_all(tasks, f"the store cannot be written to: {why}")
