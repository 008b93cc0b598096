"""Transactions of runs: effects in the store's database, committed with the run's outcome."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, TypeVar

from zato_lite.errors import NotOfferedError, StoreError
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.ports import Connection, RunConnection

Result = TypeVar("Result")
Connect = Callable[[int, int], Any]


class Transaction:
    """The transaction of an attempt, which all its blocks share.

    Attributes:
        task: of the blocks that have not ended; None if there are none.
    """

    def __init__(self, connection: RunConnection) -> None:
        self.connection = connection
        self.task: asyncio.Task[Any] | None = None
        self._is_used = False

    @asynccontextmanager
    async def block(self) -> AsyncIterator[None]:
        """Enclose statements that are rolled back together if they fail, without those before.

        Raises:
            StoreError: a block of another task has not ended.
        """
        task, outer = asyncio.current_task(), self.task
        if outer not in {None, task}:
            words = "another task of the run has a block of it open; use one after another"
            raise StoreError(f"the transaction cannot be used: {words}")
        self.task = task
        try:
            if self._is_used or outer is not None:
                async with self.connection.transaction():  # a savepoint
                    yield
            else:
                yield
                self._is_used = True
        finally:
            self.task = outer

    @property
    def is_empty(self) -> bool:
        """True if no block has ended well."""
        return not (self._is_used or self.task is not None)

    async def commit_with(
        self, operation: Callable[[Connection], Result], is_wanted: Callable[[Result], bool]
    ) -> None:
        """Run an operation in the transaction, and commit both unless it was in vain.

        Raises:
            StoreError: a block has not ended.
        """
        connection = self.connection
        try:
            if self.task is not None:
                raise StoreError("a block of it has not ended")
            if is_wanted(await connection.run(operation)):
                await connection.commit_run()
        finally:
            await connection.give_up()


class Transactions:
    """Open transactions, by the token of the attempt whose outcome ends them.

    Args:
        connect: opens a connection for a run, by its id and its fencing token.

    Attributes:
        opened: open transactions by token; who ends an attempt takes its transaction out.
    """

    def __init__(self, connect: Connect) -> None:
        self._connect = connect
        self.opened: dict[int, Transaction] = {}

    @asynccontextmanager
    async def open(self, attempt: ClaimedAttempt) -> AsyncIterator[RunConnection]:
        """Yield a connection whose transaction is committed with the outcome ``ok`` of the run.

        It is rolled back if the run ends in any other way. Blocks one after another or within
        each other share it; of one that fails, nothing is left.

        Raises:
            NotOfferedError: the store is not a database of PostgreSQL.
            StoreError: another node has taken over the run, or another task has a block open.
        """
        token = attempt.token
        transaction = self.opened.get(token) or await self._begin(attempt.run_id, token)
        try:
            async with transaction.block():
                yield transaction.connection
        except BaseException:
            if transaction.is_empty and self.opened.get(token) is transaction:
                del self.opened[token]
                await transaction.connection.give_up()
            raise

    async def _begin(self, run_id: int, token: int) -> Transaction:
        begun = Transaction(await self._connect(run_id, token))
        transaction = self.opened.setdefault(token, begun)
        if transaction is not begun:  # another task was first
            await begun.connection.give_up()
        return transaction

    def drop(self) -> None:
        """Close all connections, as the end of the process does."""
        while self.opened:
            self.opened.popitem()[1].connection.drop()


async def refuse_transactions(run_id: int, token: int) -> RunConnection:
    """Refuse a transaction: SQLite has one writer, which a service would hold up.

    Raises:
        NotOfferedError: always.
    """
    raise NotOfferedError(
        "transaction: the store is not a database of PostgreSQL; use one, or write to your own"
        " database and tolerate repetitions"
    )
