"""Named locks that all nodes on the same store share, each with a time to live."""

from zato_lite.clock import Clock
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import advance, execute
from zato_lite.timetable.job import SECOND, Instant


class Locks:
    """Lock service behind ``self.lock``."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock

    async def acquire(self, name: str, owner: str, ttl: float) -> int | None:
        """Acquire a lock for ``ttl`` seconds; return a new, greatest token, or None if held."""
        now = self._clock.now()
        until = now + int(ttl * SECOND)
        return await self._database.write(lambda c: _acquire(c, name, owner, now, until))

    async def renew(self, name: str, token: int, ttl: float) -> bool:
        """Extend a lock to ``ttl`` seconds from now; return False if it has expired."""
        now = self._clock.now()
        until = now + int(ttl * SECOND)
        changed = await self._database.write(
            lambda c: execute(
                c,
                "UPDATE lock SET until = ? WHERE name = ? AND token = ? AND until > ?",
                (until, name, token, now),
            )
        )
        return bool(changed)

    async def release(self, name: str, token: int) -> None:
        """Release a lock; has no effect if it has expired."""
        await self._database.write(
            lambda c: execute(c, "DELETE FROM lock WHERE name = ? AND token = ?", (name, token))
        )


def _acquire(
    connection: Connection, name: str, owner: str, now: Instant, until: Instant
) -> int | None:
    token = advance(connection, "token", 1)[0]
    acquired = execute(
        connection,
        "INSERT INTO lock (name, owner, token, until) VALUES (?1, ?2, ?3, ?4)"
        " ON CONFLICT (name) DO UPDATE SET owner = ?2, token = ?3, until = ?4"
        " WHERE lock.until <= ?5",
        (name, owner, token, until, now),
    )
    return token if acquired else None
