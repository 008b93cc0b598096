"""Answers to requests with an idempotency key, shared by all nodes."""

from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import execute, read_rows
from zato_lite.timetable.job import Instant


class Answers:
    """Repository of the answers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, principal: str, key: str, now: Instant) -> tuple[str, str] | None:
        """Return the fingerprint and the answer of a caller's key; None if it has none."""
        rows = await self._database.read(
            lambda c: read_rows(
                c,
                "SELECT fingerprint, answer FROM idempotent_answer"
                " WHERE principal = ? AND key = ? AND until > ?",
                (principal, key, now),
                tuple[str, str],
            )
        )
        return rows[0] if rows else None

    async def save(
        self, principal: str, key: str, answer: tuple[str, str], now: Instant, until: Instant
    ) -> None:
        """Save an answer, and delete the expired ones."""

        def save(connection: Connection) -> None:
            execute(connection, "DELETE FROM idempotent_answer WHERE until <= ?", (now,))
            execute(
                connection,
                "INSERT INTO idempotent_answer (principal, key, fingerprint, answer, until)"
                " VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (principal, key) DO NOTHING",
                (principal, key, *answer, until),
            )

        await self._database.write(save)
