"""Lane: one thread and one connection that write to PostgreSQL in group commits."""

import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from threading import Condition, Thread
from typing import NamedTuple

from zato_lite.errors import StoreError, UnavailableError
from zato_lite.log import Repeats
from zato_lite.store.health import StoreHealth
from zato_lite.store.lane import (
    Answer,
    Done,
    Operation,
    Task,
    gather,
    refuse_all,
    run_group,
    run_in_savepoints,
)
from zato_lite.store.postgres_connection import (
    PostgresError,
    is_duplicate,
    is_retryable,
    is_stale_plan,
    is_unavailable,
    to_public_error,
)
from zato_lite.store.postgres_session import NoMarkError, Session, Stamp

MAX_GROUP = 1_000
"""Operations that share one commit at most."""

RETRIES = 3
"""Repetitions of a transaction that another one has made fail."""

_log = logging.getLogger("zato_lite.store")


class _RunAgainError(Exception):
    """An operation of a group has failed: the group must run again, with savepoints."""


class _Unknown(NamedTuple):
    """A commit whose answer was lost, and the answers to give if it was kept."""

    stamp: Stamp
    answers: list[Answer]


class Progress:
    """Numbers of operations of a lane: submitted, begun in a group, and answered."""

    def __init__(self) -> None:
        self.submitted = self.begun = self._answered = 0
        self._changed = Condition()

    def note_answered(self) -> None:
        """Note that all begun operations are answered."""
        with self._changed:
            self._answered = self.begun
            self._changed.notify_all()

    def wait_for(self, number: int) -> None:
        """Wait until this many operations are answered."""
        with self._changed:
            self._changed.wait_for(lambda: self._answered >= number)


class Lane:
    """Queue of operations that one thread commits in order.

    An operation may run several times: its effects outside the database are its result alone.

    Attributes:
        progress: the numbers of its operations.

    Args:
        first: a lane that this one does not hold up, and is not overtaken by. Its operations that
            were submitted before one of this lane are answered before that begins, and those that
            were committed before it are answered before that is.
    """

    def __init__(
        self,
        name: str,
        session: Session,
        health: StoreHealth,
        deliver: Callable[[list[Answer]], None],
        first: "Lane | None" = None,
    ) -> None:
        self.session = session
        self._name, self._health, self._deliver = name, health, deliver
        self._first, self.progress = first, Progress()
        self._queue: SimpleQueue[Task | None] = SimpleQueue()
        self._marks: SimpleQueue[int] = SimpleQueue()
        self._thread: Thread | None = None
        self._failures = Repeats()
        self._unknown: _Unknown | None = None
        self._duplicates_left = 0

    @property
    def queued(self) -> int:
        return self._queue.qsize()

    @property
    def trouble(self) -> str:
        return self.session.trouble

    def put(self, operation: Operation, done: Done) -> None:
        """Have an operation committed; ``done`` is called in the event loop afterwards."""
        self.progress.submitted += 1
        if self._first is not None:
            self._marks.put(self._first.progress.submitted)
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
            gathered = gather(self._queue, self._queue.get(), MAX_GROUP)
            is_last = gathered[-1] is None
            if tasks := [each for each in gathered if each is not None]:
                self._answer(tasks)
        self.session.close()

    def _answer(self, tasks: Sequence[Task]) -> None:
        """Commit a group and give its answers, in the order of the commits of both lanes."""
        first = None if self._first is None else self._first.progress
        if first is not None:
            first.wait_for(max(self._marks.get() for _ in tasks))
        self.progress.begun += len(tasks)
        answers = self._commit(tasks)
        if first is not None:
            first.wait_for(first.begun)
        self._deliver(answers)
        self.progress.note_answered()

    def _commit(self, tasks: Sequence[Task]) -> list[Answer]:
        """Commit a group, again if necessary, and return its answers."""
        session, tries, has_savepoints = self.session, 0, False
        self._duplicates_left = RETRIES
        deadline = session.deadline
        while True:
            try:
                answers = self._transaction(tasks, has_savepoints)
            except _RunAgainError:
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
        if is_duplicate(error):
            self._duplicates_left -= 1
            return self._duplicates_left >= 0
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
        run = run_in_savepoints if has_savepoints else run_group
        answers = run(connection, tasks, self)
        if answers is None:
            raise _RunAgainError
        if not connection.in_transaction:  # the only operation has failed
            return answers
        health.commits_now()
        try:
            connection.commit()
        except PostgresError:
            if connection.is_broken:
                self._unknown = _Unknown(stamp, answers)
            raise
        session.on_kept(stamp.began)
        health.has_ended()
        return answers

    # Rules about errors of operations

    def is_fatal(self, error: Exception) -> bool:
        if is_duplicate(error):  # the last time, it is the operation's own
            return self._duplicates_left > 0
        return self.session.is_lost or is_retryable(error) or is_stale_plan(error)

    def is_of_statement(self, error: Exception) -> bool:
        return isinstance(error, PostgresError)

    def public(self, error: Exception) -> BaseException:
        return to_public_error(error)

    def undo(self) -> None:
        self.session.roll_back()

    def _refuse_all(self, tasks: Sequence[Task], error: Exception) -> list[Answer]:
        why = str(to_public_error(error)).strip()
        if self._failures.again(why):
            fields = {"error": why, "operations": len(tasks), "so_far": self._failures.count}
            _log.error("commit failed", extra=fields)
        message = f"the store cannot be written to: {why}"
        if self._unknown is not None:
            mark = self._unknown.stamp.mark
            self._unknown = None
            message = f"it is unknown whether the store has kept the changes: {why}"
            # The store may have runs that this node holds and has never heard of: as another
            # node, it takes over what this one has.
            self.session.give_up(mark)
        return refuse_all(tasks, message)
