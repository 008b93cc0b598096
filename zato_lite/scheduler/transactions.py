"""Transactions of runs: effects in the store's database, committed with the run's outcome."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from zato_lite.errors import NotOfferedError
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.ports import Connection, RunConnection

Result = TypeVar("Result")
Connect = Callable[[int, int], Any]


class Transactions:
    """Open transactions, by the run whose outcome ends them.

    Args:
        connect: opens a connection for a run, by its id and its fencing token.

    Attributes:
        opened: connections by run id.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.opened: dict[int, RunConnection] = {}

    @asynccontextmanager
    async def open(self, attempt: ClaimedAttempt) -> AsyncIterator[RunConnection]:
        """Yield a connection whose transaction is committed with the outcome ``ok`` of the run.

        It is rolled back if the block or the run ends in any other way.

        Raises:
            NotOfferedError: the store is not a database of PostgreSQL.
            StoreError: another node has taken over the run.
        """
        connection = self.opened.pop(attempt.run_id, None)
        if connection is None:
            connection = await self._connect(attempt.run_id, attempt.token)
        try:
            yield connection
        except BaseException:
            await connection.give_up()
            raise
        self.opened[attempt.run_id] = connection

    def drop(self) -> None:
        """Close all connections, as the end of the process does."""
        while self.opened:
            self.opened.popitem()[1].drop()


async def commit_with(
    connection: RunConnection,
    operation: Callable[[Connection], Result],
    is_wanted: Callable[[Result], bool],
) -> None:
    """Run an operation in the transaction of a run, and commit both unless it was in vain."""
    try:
        if is_wanted(await connection.run(operation)):
            await connection.commit_run()
    finally:
        await connection.give_up()


async def refuse_transactions(run_id: int, token: int) -> RunConnection:
    """Refuse a transaction: SQLite has one writer, which a service would hold up.

    Raises:
        NotOfferedError: always.
    """
    raise NotOfferedError(
        "transaction: the store is not a database of PostgreSQL; use one, or write to your own"
        " database and tolerate repetitions"
    )
