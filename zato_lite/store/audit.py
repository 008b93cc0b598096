"""Audit log: the record of who changed what, when, and with which outcome."""

from collections.abc import Sequence

import msgspec

from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import execute, read_rows
from zato_lite.timetable.job import Instant


class AuditRecord(msgspec.Struct, frozen=True):
    """One action, or refused attempt, of a caller."""

    who: str
    action: str
    subject: str
    outcome: str
    cid: str = ""
    remote_address: str = ""
    at: Instant = 0


def insert_record(connection: Connection, record: AuditRecord) -> None:
    """Append a record; of a refused request, the subject may have null characters."""
    values = [
        value.replace("\0", "\\x00") if isinstance(value, str) else value
        for value in msgspec.structs.astuple(record)
    ]
    execute(
        connection,
        "INSERT INTO audit (who, action, subject, outcome, cid, remote_address, at)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        values,
    )


class AuditLog:
    """Repository of audit records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, record: AuditRecord) -> None:
        """Append the record."""
        await self._database.write(lambda c: insert_record(c, record))

    async def list(self, limit: int = 50, offset: int = 0) -> Sequence[AuditRecord]:
        """Return a page of records, newest first."""
        return await self._database.read(
            lambda c: read_rows(
                c,
                "SELECT at, who, action, subject, outcome, cid, remote_address FROM audit"
                " ORDER BY id DESC LIMIT ? OFFSET ?",
                (limit, offset),
                AuditRecord,
            )
        )
