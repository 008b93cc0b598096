"""Patience at the start of a server: what another transaction has locked is tried again."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TypeVar

from zato_lite.errors import StoreLockedError

Result = TypeVar("Result")

UNLOCKED_S = 60.0
"""Seconds after which a server that starts no longer waits for a lock of another program."""

_log = logging.getLogger("zato_lite.store")


async def when_unlocked(work: Callable[[], Awaitable[Result]]) -> Result:
    """Return the result of ``work``, which is done again while another transaction locks its rows.

    Raises:
        StoreLockedError: the lock was held for ``UNLOCKED_S``.
    """
    loop = asyncio.get_running_loop()
    deadline, is_known = loop.time() + UNLOCKED_S, False
    while True:
        try:
            return await work()
        except StoreLockedError as error:
            if loop.time() > deadline:
                raise
            if not is_known:
                _log.warning("store locked, waiting", extra={"why": str(error)})
            is_known = True
