"""Lane: one thread and one connection that write to PostgreSQL in group commits."""

import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Thread
from typing import Any, NamedTuple

from zato_lite.errors import StoreError, UnavailableError
from zato_lite.log import Repeats
from zato_lite.store.health import StoreHealth
from zato_lite.store.ports import Connection
from zato_lite.store.postgres_connection import (
    PostgresConnection,
    PostgresError,
    is_retryable,
    is_stale_plan,
    is_unavailable,
    to_public_error,
)
from zato_lite.store.postgres_session import NoMarkError, Session, Stamp

Operation = Callable[[Connection], Any]
Done = Callable[[Any, BaseException | None], None]
Task = tuple[Operation, Done]
Answer = tuple[Done, Any, BaseException | None]

MAX_GROUP = 1_000
"""Operations that share one commit at most."""

RETRIES = 3
"""Repetitions of a transaction that another one has made fail."""

_log = logging.getLogger("zato_lite.store")


class _OperationError(Exception):
    """An operation of a group has failed: the group must run again, with savepoints."""


class _Unknown(NamedTuple):
    """A commit whose answer was lost, and the answers to give if it was kept."""

    stamp: Stamp
    answers: list[Answer]


class Lane:
    """Queue of operations that one thread commits in order.

    An operation may run several times: its effects outside the database are its result alone.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        health: StoreHealth,
        deliver: Callable[[list[Answer]], None],
    ) -> None:
        self.session = session
        self._name, self._health, self._deliver = name, health, deliver
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._failures = Repeats()
        self._unknown: _Unknown | None = None

    @property
    def queued(self) -> int:
        return self._queue.qsize()

    @property
    def trouble(self) -> str:
        return self.session.trouble

    def put(self, operation: Operation, done: Done) -> None:
        """Have an operation committed; ``done`` is called in the event loop afterwards."""
        self._queue.put((operation, done))

    def start(self) -> None:
        """Start the thread."""
        name = f"store-{self._name}"
        self._thread = Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Commit what was submitted, and end the thread."""
        self._queue.put(None)
        if self._thread is not None:
            self._thread.join()

    def _run(self) -> None:
        is_last = False
        while not is_last:
            tasks, is_last = collect(self._queue, MAX_GROUP)
            if tasks:
                self._deliver(self._commit(tasks))
        self.session.close()

    def _commit(self, tasks: Sequence[Task]) -> list[Answer]:
        """Commit a group, again if necessary, and return its answers."""
        session, tries, has_savepoints = self.session, 0, False
        deadline = session.deadline
        while True:
            try:
                answers = self._transaction(tasks, has_savepoints)
            except _OperationError:
                has_savepoints = True
            except (PostgresError, StoreError, UnavailableError) as error:
                session.roll_back()
                tries += 1
                if not self._may_repeat(error, tries, deadline):
                    self._health.has_failed()
                    return self._refuse_all(tasks, error)
            else:
                if self._failures.count:
                    _log.warning("commits resumed", extra={"failures": self._failures.over()})
                return answers

    def _may_repeat(self, error: Exception, tries: int, deadline: float) -> bool:
        if isinstance(error, NoMarkError):
            return error.is_own and tries <= RETRIES
        if is_retryable(error):
            return tries <= RETRIES
        if is_stale_plan(error):
            self.session.drop()
            return tries <= RETRIES
        # A lost connection, not a refused one: ``connected`` has waited for that already.
        is_lost = isinstance(error, PostgresError) and self.session.is_lost
        if is_lost or (self._unknown is not None and is_unavailable(error)):
            self.session.note_loss(str(error))
            return self.session.now() < deadline
        return False

    def _transaction(self, tasks: Sequence[Task], has_savepoints: bool) -> list[Answer]:
        session, health = self.session, self._health
        stamp = session.begin()
        if (unknown := self._unknown) is not None:
            if stamp.mark != unknown.stamp.mark:
                raise UnavailableError("another row is stamped since then")
            self._unknown = None
            if stamp.serial > unknown.stamp.serial:
                session.roll_back()
                return unknown.answers
        connection = session.connected()
        run = self._run_with_savepoints if has_savepoints else self._run_group
        answers = run(connection, tasks)
        if not connection.in_transaction:  # the only operation has failed
            return answers
        health.commits_now()
        try:
            connection.commit()
        except PostgresError:
            if connection.is_broken:
                self._unknown = _Unknown(stamp, answers)
            raise
        health.has_ended()
        return answers

    def _run_group(self, connection: PostgresConnection, tasks: Sequence[Task]) -> list[Answer]:
        answers: list[Answer] = []
        for operation, done in tasks:
            try:
                answers.append((done, operation(connection), None))
            except Exception as error:
                if connection.is_broken or is_retryable(error) or is_stale_plan(error):
                    raise
                self.session.roll_back()
                if len(tasks) > 1:
                    raise _OperationError from error
                return [(done, None, to_public_error(error))]
        return answers

    def _run_with_savepoints(
        self, connection: PostgresConnection, tasks: Sequence[Task]
    ) -> list[Answer]:
        answers: list[Answer] = []
        for operation, done in tasks:
            connection.script("SAVEPOINT operation")
            try:
                answers.append((done, operation(connection), None))
            except Exception as error:
                if connection.is_broken or is_retryable(error) or is_stale_plan(error):
                    raise
                connection.script("ROLLBACK TO operation; RELEASE operation")
                answers.append((done, None, to_public_error(error)))
            else:
                connection.script("RELEASE operation")
        return answers

    def _refuse_all(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        why = str(to_public_error(error)).strip()
        if self._failures.again(why):
            fields = {"error": why, "operations": len(tasks), "so_far": self._failures.count}
            _log.error("commit failed", extra=fields)
        message = f"the store cannot be written to: {why}"
        if self._unknown is not None:
            self._unknown = None
            message = f"it is unknown whether the store has kept the changes: {why}"
        refusal = UnavailableError(message)
        return [(done, None, refusal) for _, done in tasks]


def collect(queue: "SimpleQueue[Task | None]", most: int) -> tuple[list[Task], bool]:
    """Wait for an operation; return all that wait, and True if the queue is closing."""
    tasks: list[Task] = []
    while not tasks or (len(tasks) < most and not queue.empty()):
        task = queue.get()
        if task is None:
            return tasks, True
        tasks.append(task)
    return tasks, False
