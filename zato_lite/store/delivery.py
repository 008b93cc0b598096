"""Writes whose result is delivered even if the task that waits for it is cancelled meanwhile."""

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

from zato_lite.store.ports import Connection, Database

Result = TypeVar("Result")


async def write_and_deliver(
    database: Database,
    operation: Callable[[Connection], Result],
    deliver: Callable[[Result], object],
) -> Result:
    """Write, and call ``deliver`` with the result in any case, before the caller continues.

    Once committed, claimed attempts are this node's to start, whatever happens to the caller.
    """
    future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

    def done(result: Result | None, error: BaseException | None) -> None:
        if error is None:
            deliver(cast("Result", result))
        resolve(future, result, error)

    database.submit(operation, done)
    return await future


def resolve(
    future: "asyncio.Future[Result]", result: Result | None, error: BaseException | None
) -> None:
    """Set a future's result or exception, unless the task that waits for it was cancelled."""
    if future.done():
        return
    if error is None:
        future.set_result(cast("Result", result))
    else:
        future.set_exception(error)
