"""SQLite: one thread that writes in group commits, and one that reads.

Whatever is given to the writer while a commit runs shares the next commit. A lone operation is
its transaction; several have a savepoint each, so that one that fails leaves no trace.
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
from zato_lite.store.atomic import new_file
from zato_lite.store.connection import (
    InterruptedCheckError,
    SqliteError,
    connect,
    copy,
    damage,
    in_one_transaction,
    in_our_words,
    is_damage,
    may_pass,
    open_file,
    problems,
    stoppable,
    translated,
)
from zato_lite.store.file_lock import FileLock
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

AT_ONCE_BYTES = 8 * 1024 * 1024
AT_ONCE_S = 0.025
"""A file that is no bigger, and takes no longer to check, is checked before anything else; others
are checked when all is under way. A megabyte takes a millisecond, if the kernel has it at hand."""

CHECK_DELAY_S = 1.0
"""So long after the start the check of a big file begins: what is due comes first."""

_log = logging.getLogger("zato_lite.store")


@asynccontextmanager
async def open_store(path: str | Path, clock: Clock) -> AsyncIterator["SqliteStore"]:
    """Open the database file, or one in memory for ``:memory:``; made and migrated as needed.

    Raises:
        StoreError: the file is damaged, newer than this program, or cannot be written to.
    """
    store = SqliteStore(str(path), clock)
    await asyncio.to_thread(store.open, clock.now())
    try:
        store.start()
        yield store
    finally:
        await asyncio.to_thread(store.close)


class SqliteStore:
    """A ``Database`` in a file of its own.

    Attributes:
        is_broken: a commit failed, and the file has not been opened anew since.
        damage: what was found to be wrong with the file; empty while nothing was.
    """

    def __init__(self, path: str, clock: Clock | None = None) -> None:
        self.path = path
        self.is_in_memory = path == ":memory:"
        self.is_broken = False
        self.damage = ""
        self._monotonic = (clock or SystemClock()).monotonic
        self._presence = FileLock(path)
        self._is_unchecked = False
        self._stopping = Event()
        self._failures = Repeats()
        self.locks = NodeLocks(path)
        self._writes: SimpleQueue[Task | None] = SimpleQueue()
        self._reads: SimpleQueue[Task | None] = SimpleQueue()
        self._threads: list[Thread] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._pages = 0

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

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """What is wrong with the database file; nothing, if all is well.

        Reads and writes go on meanwhile. A full check also compares indexes with their tables.
        """
        if self.is_in_memory:
            return await self.read(lambda connection: problems(connection, is_full=is_full))
        return await asyncio.to_thread(self._check, is_full=is_full)

    @property
    def trouble(self) -> str:
        """Why the store cannot be relied upon; empty while it can."""
        if self.is_broken and not self.damage:
            return "the last commit failed; nothing is acknowledged until it is reopened"
        return self.damage

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
        if not self.is_in_memory:
            self._presence.enter()
        try:
            self._open(now)
        except StoreError:
            self._presence.leave()
            raise

    def _open(self, now: int) -> None:
        self._writer = connect(self.path)
        try:
            self._check_at_once()
            in_one_transaction(
                self.path, self._writer, lambda connection: migrate(connection, now)
            )
            self._reader = self._writer if self.is_in_memory else connect(self.path)
        except StoreError:
            self._writer.close(force=True)
            raise

    def start(self) -> None:
        """Begin to work for the running loop."""
        self._loop = asyncio.get_running_loop()
        self._threads = [Thread(target=self._write_on, name="store-writer", daemon=True)]
        if not self.is_in_memory:
            self._threads.append(Thread(target=self._read_on, name="store-reader", daemon=True))
        if self._is_unchecked:
            self._threads.append(Thread(target=self._check_late, name="store-check", daemon=True))
        for thread in self._threads:
            thread.start()

    def close(self) -> None:
        """Do what was given, and close the file; what comes later is refused."""
        self._closed = True
        self._stopping.set()
        self._writes.put(None)
        self._reads.put(None)
        for thread in self._threads:
            thread.join()
        if self._reader is not self._writer:
            self._reader.close()
        self._writer.close()
        self._presence.leave()

    # Whether the file is sound

    def _check_at_once(self) -> None:
        """Look at a small file whole before anything is read from it.

        Raises:
            StoreError: it is damaged.
        """
        if self.is_in_memory:
            return
        if Path(self.path).stat().st_size > AT_ONCE_BYTES:
            self._is_unchecked = True
            return
        until = self._monotonic() + AT_ONCE_S
        try:
            with stoppable(self._writer, lambda: self._monotonic() > until):
                found = problems(self._writer)
        except InterruptedCheckError:
            self._is_unchecked = True
            return
        if found:
            raise StoreError(damage(self.path, found[0]))

    def _check_late(self) -> None:
        if not self._stopping.wait(CHECK_DELAY_S):
            with suppress(UnavailableError):  # it is being closed
                self._check(is_full=False)

    def _check(self, *, is_full: bool) -> Sequence[str]:
        """Look at the file by a connection of its own, in whatever thread this is."""
        try:
            with (
                open_file(self.path) as connection,
                stoppable(connection, self._stopping.is_set),
            ):
                found = problems(connection, is_full=is_full)
        except InterruptedCheckError as error:
            raise UnavailableError("the store is closed") from error
        self.damage = damage(self.path, found[0]) if found else ""
        if found:
            _log.critical("store is damaged", extra={"path": self.path, "problems": found})
        return found

    def _notice(self, error: BaseException) -> None:
        """An operation came upon damage: it is known from now on."""
        if is_damage(error) and not self.damage:
            self.damage = damage(self.path, str(error))
            _log.critical("store is damaged", extra={"path": self.path, "problems": [str(error)]})

    def _backup(self, target: Path) -> None:
        if not self.is_in_memory:
            with open_file(self.path) as source:
                copy(source, target)
            return
        with (
            new_file(target) as part,
            in_our_words(str(target)),
            open_file(part) as made,
            made.backup("main", self._reader, "main") as backup,
        ):
            while not backup.done:
                backup.step(1000)

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
                if self._has_grown():
                    self._checkpoint()
            if is_last:
                return

    def _commit(self, tasks: Sequence[Task]) -> list[Answer]:
        try:
            if self.is_broken:
                self._reopen()
            self._writer.execute("BEGIN IMMEDIATE")
            answers = self._run_all(tasks)
            self._writer.execute("COMMIT")
        except (SqliteError, StoreError) as error:
            return self._failed(tasks, error)
        if self._failures.count:
            _log.warning("commits succeed again", extra={"failures": self._failures.over()})
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
                self._notice(error)
                connection.execute("ROLLBACK; BEGIN IMMEDIATE")
                return [(done, None, translated(error))]
        return [self._run_apart(operation, done) for operation, done in tasks]

    def _run_apart(self, operation: Operation, done: Done) -> Answer:
        connection = self._writer
        connection.execute("SAVEPOINT apart")
        try:
            answer = (done, operation(connection), None)
        except Exception as error:
            if not connection.in_transaction:
                raise
            self._notice(error)
            connection.execute("ROLLBACK TO apart; RELEASE apart")
            return (done, None, translated(error))
        connection.execute("RELEASE apart")
        return answer

    def _failed(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        """Nothing of it is there: after a failed fsync nobody knows, so the file is reopened."""
        self._notice(error)
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
        if not may_pass(error):
            self.is_broken = not self.is_in_memory
        told = UnavailableError(f"the store cannot be written to: {error}")
        return [(done, None, told) for _, done in tasks]

    def _reopen(self) -> None:
        self._writer.close(force=True)
        self._writer = connect(self.path)
        if found := problems(self._writer):
            self.damage = damage(self.path, found[0])
            raise StoreError(self.damage)
        self.is_broken, self.damage = False, ""
        _log.warning("store reopened", extra={"path": self.path})

    def _has_grown(self) -> bool:
        """Whether the log has so many pages that it is time for a checkpoint.

        SQLite's own would be part of the commit, whose answers wait for it; and a hook at each
        commit would wait for Python's lock.
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

    # The reader's thread

    def _read_on(self) -> None:
        while (task := self._reads.get()) is not None:
            operation, done = task
            try:
                self._reader.execute("BEGIN")
                answer: Answer = (done, operation(self._reader), None)
            except Exception as error:  # noqa: BLE001 - it is the asker's
                self._notice(error)
                answer = (done, None, translated(error))
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
