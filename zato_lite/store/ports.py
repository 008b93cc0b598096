"""Database protocols: everything that the rest of the store requires of a database."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from zato_lite.store.dialect import Dialect

Result = TypeVar("Result")
Row = tuple[Any, ...]


class Connection(Protocol):
    """Connection: executes SQL within the current transaction.

    Attributes:
        dialect: decides between the two texts of a statement, where it has two.
    """

    dialect: Dialect

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Iterator[Row]:
        """Execute a statement and return its rows."""
        ...

    def changes(self) -> int:
        """Return the number of rows that the latest statement changed."""
        ...

    def many(self, items: Iterable[int | str | None], /) -> Any:
        """Bind whole numbers or texts as one value, for the words of ``dialect``."""
        ...

    def array(self, texts: Sequence[str], /) -> Any:
        """Bind one or more texts as a value that a statement reads as rows of ``carray(?)``."""
        ...


class Database(Protocol):
    """Database: runs functions over a connection, each in full or without any effect.

    An operation must not call the database itself: it runs in the database's thread.
    """

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        """Run an operation in a transaction, which others may share; return after the commit.

        Operations take effect in the order of their submission. An operation that raises is
        undone alone; the others of the transaction are committed. An operation may be run again
        from the start, after it was undone: apart from the database, it changes nothing but its
        result.

        Raises:
            UnavailableError: the database is closed, full or broken. Nothing was changed.
        """
        ...

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        """Run an operation over one consistent snapshot that includes every earlier commit."""
        ...

    def submit(
        self,
        operation: Callable[[Connection], Result],
        done: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        """Write without waiting: call ``done`` in the event loop after the commit or error."""
        ...


def lane_for_scheduler(database: Database) -> Database:
    """Return the database as the scheduler writes to it: in a separate lane, if there is one.

    A change that waits for a lock holds up no claim and no result there. A write of the database
    itself begins after those of the scheduler's that were submitted before it.
    """
    found: Database = getattr(database, "for_scheduler", database)
    return found


class RunConnection(Protocol):
    """Connection of a service, whose transaction ends with the run."""

    def transaction(self) -> AbstractAsyncContextManager[Any]:
        """Return a savepoint of the transaction, to which it is rolled back after an error."""
        ...

    async def run(self, operation: Callable[[Connection], Result]) -> Result:
        """Run an operation in the transaction."""
        ...

    async def commit_run(self) -> None:
        """Commit the transaction."""
        ...

    async def give_up(self) -> None:
        """Roll back what is not committed, and close the connection."""
        ...

    def drop(self) -> None:
        """Close the connection without a word, as the end of the process does."""
        ...
