"""Companion: a write that shares the transaction of the next change, and so its one sync."""

from collections.abc import Callable
from contextvars import ContextVar
from typing import Any, Concatenate, ParamSpec, TypeVar

from zato_lite.store.ports import Connection

Rest = ParamSpec("Rest")
Result = TypeVar("Result")


class Companion:
    """A write that goes with a change; both are committed, or none.

    Attributes:
        is_written: it was written in the change's transaction.
    """

    __slots__ = ("_is_taken", "_operation", "is_written")

    def __init__(self, operation: Callable[[Connection, Any], object]) -> None:
        self._operation = operation
        self._is_taken = self.is_written = False

    def take(self) -> bool:
        """Return True the first time: it goes with one change only."""
        was_taken, self._is_taken = self._is_taken, True
        return not was_taken

    def give_back(self) -> None:
        """Let the next change take it: this one was refused."""
        self._is_taken = False

    def write(self, connection: Connection, result: Any) -> None:
        """Write in the present transaction, after the change with this result."""
        self._operation(connection, result)
        self._is_taken = self.is_written = True


companion: ContextVar[Companion | None] = ContextVar("companion", default=None)
"""The companion of the next change by the current task."""


def take_companion() -> Companion | None:
    """Return the companion of a change that is about to be submitted, once."""
    found = companion.get()
    return found if found is not None and found.take() else None


def accompanied(
    operation: Callable[Concatenate[Connection, Rest], Result],
) -> Callable[Concatenate[Connection, Rest], Result]:
    """Return an operation that writes the current companion, too, if there is one."""
    found = take_companion()
    if found is None:
        return operation

    def both(connection: Connection, /, *args: Rest.args, **kwargs: Rest.kwargs) -> Result:
        try:
            result = operation(connection, *args, **kwargs)
        except BaseException:
            found.give_back()
            raise
        found.write(connection, result)
        return result

    return both
