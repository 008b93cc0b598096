"""Values that services share on all nodes, each for a limited time."""

from zato_lite.clock import Clock
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import execute, fetch_value, read_rows
from zato_lite.timetable.job import SECOND, Instant

_SWEPT = 100
"""Expired items that a write deletes at most, and writes between two counts of all items."""

_MAX_FOUND = 10_000
"""Items that ``by_prefix`` and ``keys`` return at most."""

_LIVE = "(until IS NULL OR until > ?)"
_WITH_PREFIX = f"cache = ? AND substr(key, 1, length(CAST(? AS text))) = ? AND {_LIVE}"


class StoredCache:
    """Repository of the values.

    Args:
        database, clock: the store's.
        max_items: items in all caches; beyond, the oldest ones are deleted.
    """

    def __init__(self, database: Database, clock: Clock, max_items: int = 100_000) -> None:
        self._database, self._clock, self._max_items = database, clock, max_items
        self._writes = 0

    async def get(self, cache: str, key: str) -> str | None:
        """Return a value; None if there is none, or it has expired."""
        now = self._clock.now()
        sql = f"SELECT value FROM cache_item WHERE cache = ? AND key = ? AND {_LIVE}"
        rows = await self._database.read(
            lambda c: read_rows(c, sql, (cache, key, now), tuple[str])
        )
        return rows[0][0] if rows else None

    async def set(self, cache: str, key: str, value: str, seconds: float) -> None:
        """Save a value, for some seconds, or for ever with 0."""
        now = self._clock.now()
        self._writes += 1
        is_counted = self._writes % _SWEPT == 0

        def save(connection: Connection) -> None:
            execute(
                connection,
                "DELETE FROM cache_item WHERE (cache, key) IN"
                " (SELECT cache, key FROM cache_item WHERE until <= ? LIMIT ?)",
                (now, _SWEPT),
            )
            execute(
                connection,
                "INSERT INTO cache_item (cache, key, value, written_at, until)"
                " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (cache, key)"
                " DO UPDATE SET value = ?3, written_at = ?4, until = ?5",
                (cache, key, value, now, _until(now, seconds)),
            )
            if is_counted:
                self._shrink(connection)

        await self._database.write(save)

    def _shrink(self, connection: Connection) -> None:
        """Delete the oldest items, down to nine tenths of the maximum, if there are too many."""
        count = fetch_value(connection, "SELECT count(*) FROM cache_item")
        if count > self._max_items:
            execute(
                connection,
                "DELETE FROM cache_item WHERE (cache, key) IN"
                " (SELECT cache, key FROM cache_item ORDER BY written_at LIMIT ?)",
                (count - self._max_items * 9 // 10,),
            )

    async def delete(self, cache: str, key: str) -> bool:
        """Delete a value; return True if there was one."""
        now = self._clock.now()
        sql = f"DELETE FROM cache_item WHERE cache = ? AND key = ? AND {_LIVE}"
        return bool(await self._database.write(lambda c: execute(c, sql, (cache, key, now))))

    async def expire(self, cache: str, key: str, seconds: float) -> bool:
        """Let a value expire after some seconds, or never with 0; return True if there is one."""
        now = self._clock.now()
        sql = f"UPDATE cache_item SET until = ? WHERE cache = ? AND key = ? AND {_LIVE}"
        values = (_until(now, seconds), cache, key, now)
        return bool(await self._database.write(lambda c: execute(c, sql, values)))

    async def by_prefix(self, cache: str, prefix: str) -> list[tuple[str, str]]:
        """Return the keys that begin with a prefix, in order, and their values."""
        now = self._clock.now()
        sql = f"SELECT key, value FROM cache_item WHERE {_WITH_PREFIX} ORDER BY key LIMIT ?"
        values = (cache, prefix, prefix, now, _MAX_FOUND)
        return await self._database.read(lambda c: read_rows(c, sql, values, tuple[str, str]))

    async def keys(self, cache: str, prefix: str) -> list[str]:
        """Return the keys that begin with a prefix, in order."""
        values = (cache, prefix, prefix, self._clock.now(), _MAX_FOUND)
        sql = f"SELECT key FROM cache_item WHERE {_WITH_PREFIX} ORDER BY key LIMIT ?"
        rows = await self._database.read(lambda c: read_rows(c, sql, values, tuple[str]))
        return [key for (key,) in rows]

    async def delete_by_prefix(self, cache: str, prefix: str) -> int:
        """Delete the values whose keys begin with a prefix; return their number."""
        values = (cache, prefix, prefix, self._clock.now())
        sql = f"DELETE FROM cache_item WHERE {_WITH_PREFIX}"
        return await self._database.write(lambda c: execute(c, sql, values))

    async def expire_by_prefix(self, cache: str, prefix: str, seconds: float) -> int:
        """Let the values whose keys begin with a prefix expire; return their number."""
        now = self._clock.now()
        values = (_until(now, seconds), cache, prefix, prefix, now)
        sql = f"UPDATE cache_item SET until = ? WHERE {_WITH_PREFIX}"
        return await self._database.write(lambda c: execute(c, sql, values))


def _until(now: Instant, seconds: float) -> Instant | None:
    return now + int(seconds * SECOND) if seconds else None
