"""Uses of API keys, recorded in the store by few writes."""

import asyncio
import logging

from zato_lite.clock import Clock
from zato_lite.errors import ZatoLiteError
from zato_lite.store.accounts import Accounts

WRITE_EVERY_S = 60.0
"""Seconds between two writes; each records all uses since the one before."""

_log = logging.getLogger(__name__)


class KeyUses:
    """Collects the keys that are checked, and writes them at most once a minute.

    A key is checked again after a minute: requests of a known caller do not come here.
    """

    def __init__(self, accounts: Accounts, clock: Clock) -> None:
        self._accounts, self._clock = accounts, clock
        self._uses: dict[str, int] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._writing: asyncio.Task[None] | None = None
        self._next_at = float("-inf")

    def add(self, key: str) -> None:
        """Note that a key is used now."""
        self._uses[key] = self._clock.now()
        if self._timer is None:
            loop = asyncio.get_running_loop()
            self._timer = loop.call_at(max(loop.time(), self._next_at), self._begin)

    async def close(self) -> None:
        """Record the uses that are not recorded yet."""
        if self._timer is not None:
            self._timer.cancel()
        if self._writing is not None:
            await self._writing
        await self._write()

    def _begin(self) -> None:
        self._timer = None
        self._next_at = asyncio.get_running_loop().time() + WRITE_EVERY_S
        self._writing = asyncio.ensure_future(self._write())

    async def _write(self) -> None:
        uses, self._uses = self._uses, {}
        if not uses:
            return
        try:
            await self._accounts.record_uses(uses)
        except ZatoLiteError as error:  # a full disk must not lock out its admin
            self._uses = {**uses, **self._uses}
            _log.warning("uses of keys not recorded", extra={"error": str(error)})
