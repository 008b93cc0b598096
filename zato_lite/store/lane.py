"""Lanes: gather operations, run them in one transaction, answer after the commit.

The writers of SQLite and PostgreSQL share these functions.
"""

import logging
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Protocol

from zato_lite.errors import UnavailableError
from zato_lite.store.ports import Connection

Operation = Callable[[Connection], Any]
Done = Callable[[Any, BaseException | None], None]
Task = tuple[Operation, Done]
Answer = tuple[Done, Any, BaseException | None]

_log = logging.getLogger("zato_lite.store")


class Transaction(Connection, Protocol):
    """A writer's connection."""

    def writes(self) -> int:
        """Return a number that grows with each statement that writes."""
        ...

    def script(self, sql: str, /) -> object:
        """Execute several statements."""
        ...


class Rules(Protocol):
    """A writer's decisions about errors of operations."""

    def is_fatal(self, error: Exception, /) -> bool:
        """Return True if the transaction is lost."""
        ...

    def is_of_statement(self, error: Exception, /) -> bool:
        """Return True if a statement failed: what it has written is unknown."""
        ...

    def public(self, error: Exception, /) -> BaseException:
        """Return the error that the operation's caller gets."""
        ...

    def undo(self) -> None:
        """Undo all that the operations have written."""
        ...


def gather(queue: "SimpleQueue[Task | None]", first: Task | None, most: int) -> list[Task | None]:
    """Return ``first`` and the operations that wait behind it; None is last, if it is there."""
    tasks = [first]
    while tasks[-1] is not None and len(tasks) < most and not queue.empty():
        tasks.append(queue.get())
    return tasks


def run_group(connection: Transaction, tasks: Sequence[Task], rules: Rules) -> list[Answer] | None:
    """Run operations without savepoints; undo all and return None if that does not do.

    It does not if one of several fails after it has written: then all must run again, each in a
    savepoint. An operation that fails before it writes, which is how most of them fail, has
    nothing that must be undone.
    """
    answers: list[Answer] = []
    for operation, done in tasks:
        before = connection.writes()
        try:
            answers.append((done, operation(connection), None))
        except Exception as error:
            if rules.is_fatal(error):
                raise
            answers.append((done, None, rules.public(error)))
            if connection.writes() != before or rules.is_of_statement(error):
                rules.undo()
                return answers if len(tasks) == 1 else None
    return answers


def run_in_savepoints(
    connection: Transaction, tasks: Sequence[Task], rules: Rules
) -> list[Answer]:
    """Run operations in a savepoint each, so that a failed one is undone alone."""
    answers: list[Answer] = []
    for operation, done in tasks:
        connection.script("SAVEPOINT operation")
        try:
            answers.append((done, operation(connection), None))
        except Exception as error:
            if rules.is_fatal(error):
                raise
            connection.script("ROLLBACK TO operation; RELEASE operation")
            answers.append((done, None, rules.public(error)))
        else:
            connection.script("RELEASE operation")
    return answers


def refuse_all(tasks: Sequence[Task], message: str) -> list[Answer]:
    """Answer all operations that they are not carried out."""
    refusal = UnavailableError(message)
    return [(done, None, refusal) for _, done in tasks]


def call_back(answers: Sequence[Answer]) -> None:
    """Give operations their answers, in the event loop."""
    for done, result, error in answers:
        try:
            done(result, error)
        except Exception:  # noqa: BLE001 - the other callers still need their answers
            _log.exception("completion callback failed")
