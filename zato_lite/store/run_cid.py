"""Correlation ids of runs: that of an attempt follows from its token, so that none is saved."""

import secrets
from typing import NamedTuple

from zato_lite.store.ports import Connection
from zato_lite.store.sql import claim_setting, fetch_value

_SETTING = "scheduler.cid"


class RunCids(NamedTuple):
    """The correlation ids of a store's attempts.

    Attributes:
        prefix: of this store; empty until a node has begun to use it.
        after: attempts whose tokens are not greater have other ids, which are not known.
    """

    prefix: str = ""
    after: int = 0

    def of(self, token: int) -> str | None:
        """Return the correlation id of the attempt with a token, if it is known."""
        return f"{self.prefix}{token}" if self.prefix and token > self.after else None


def read_cids(connection: Connection) -> RunCids:
    """Return the correlation ids of the store's attempts."""
    text = fetch_value(connection, "SELECT value FROM setting WHERE name = ?", (_SETTING,))
    return RunCids() if text is None else _parse(text)


def claim_cids(connection: Connection) -> RunCids:
    """Return the correlation ids of the store's attempts; begin to give them if there are none."""
    last = fetch_value(connection, "SELECT coalesce(max(id), 0) FROM run")
    return _parse(claim_setting(connection, _SETTING, f"zr-{secrets.token_hex(4)}- {last}"))


def _parse(text: str) -> RunCids:
    prefix, after = text.split()
    return RunCids(prefix, int(after))
