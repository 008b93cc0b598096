"""What a database is to the rest of the store: connections that execute, writes and reads."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol, TypeVar

Result = TypeVar("Result")
Row = tuple[Any, ...]


class Connection(Protocol):
    """Executes SQL in the transaction that it is in."""

    def execute(self, sql: str, values: Sequence[Any] = ..., /) -> Iterator[Row]:
        """Run a statement; the rows that it yields."""
        ...

    def changes(self) -> int:
        """How many rows the latest statement changed."""
        ...

    def array(self, texts: Sequence[str], /) -> Any:
        """One or more texts as the value that a statement reads as rows of ``carray(?)``."""
        ...


class Database(Protocol):
    """Runs functions over connections; a function is all or nothing, and asks nothing else."""

    async def write(self, operation: Callable[[Connection], Result]) -> Result:
        """Run it in a transaction of its own or in one shared with others; return after commit.

        Operations take effect in the order in which they were given. One that raises leaves no
        trace, and keeps no other from its effect.

        Raises:
            UnavailableError: the database is closed, full or broken. Nothing was changed.
        """
        ...

    async def read(self, operation: Callable[[Connection], Result]) -> Result:
        """Run it over one consistent state of the database, which has all that was committed."""
        ...

    def submit(
        self,
        operation: Callable[[Connection], Result],
        done: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        """Like ``write``, for those who do not wait: ``done`` is called in the loop."""
        ...
