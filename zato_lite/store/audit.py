"""Audit log: the record of who changed what, when, and with which outcome."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from unicodedata import category

import msgspec

from zato_lite.store.jobs import escaped
from zato_lite.store.ports import Connection, Database
from zato_lite.store.sql import execute, read_rows
from zato_lite.timetable.job import Instant


class AuditRecord(msgspec.Struct, frozen=True):
    """One action, or refused attempt, of a caller.

    Attributes:
        changes: JSON: the changed fields of a job with their values before and after, or the ids
            of many changed jobs; None for none.
        id: grows with each record; 0 before it is stored.
    """

    who: str
    action: str
    subject: str
    outcome: str
    cid: str = ""
    remote_address: str = ""
    at: Instant = 0
    changes: str | None = None
    id: int = 0


_CHANGES = AuditRecord.__struct_fields__.index("changes")
_UNREADABLE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
"""Categories of control, direction and surrogate characters, and of separators of lines."""


class AuditFilter(NamedTuple):
    """Records to find; the default finds all.

    Attributes:
        who: exactly this caller.
        action: the name of a service, or its beginning.
        actions: beginnings of names, any of them.
        subjects: patterns of LIKE for the subject, any of them, or of a change of many jobs.
        words: each is in one of the texts, in upper or lower case.
        since, until: bounds of the time, both included.
        before_id: older than this record.
    """

    who: str = ""
    action: str = ""
    actions: Sequence[str] = ()
    subjects: Sequence[str] = ()
    words: Sequence[str] = ()
    since: Instant | None = None
    until: Instant | None = None
    before_id: int | None = None

    def condition(self) -> tuple[str, list[Any]]:
        """Return the condition on the table ``audit``, and its values."""
        where, values = "TRUE", list[Any]()
        if self.who:
            where, values = where + " AND who = ?", [*values, self.who]
        if self.action:
            where, values = where + _like("action", 1), [*values, f"{escaped(self.action)}%"]
        if self.actions:
            where += _like("action", len(self.actions))
            values += (f"{escaped(each)}%" for each in self.actions)
        if self.subjects:
            where += _like("subject", len(self.subjects))
            values += self.subjects
        for word in self.words:
            where += (
                " AND lower(who || ' ' || action || ' ' || subject || ' ' || outcome)"
                " LIKE lower(?) ESCAPE '\\'"
            )
            values.append(f"%{escaped(word)}%")
        for column, operator, bound in (
            ("at", ">=", self.since),
            ("at", "<=", self.until),
            ("id", "<", self.before_id),
        ):
            if bound is not None:
                where, values = f"{where} AND {column} {operator} ?", [*values, bound]
        return where, values


def _like(column: str, count: int) -> str:
    """Return the condition that a column fits one of some patterns."""
    each = [f"{column} LIKE ? ESCAPE '\\'"] * count
    return f" AND ({' OR '.join(each)})"


def readable(text: str) -> str:
    """Return a text with escapes in place of control and direction characters."""
    if text.isprintable():
        return text
    return "".join(ascii(each)[1:-1] if category(each) in _UNREADABLE else each for each in text)


def insert_record(connection: Connection, record: AuditRecord) -> None:
    """Append a record; names and subjects of refused requests may have any characters."""
    values = [
        readable(value) if isinstance(value, str) else value
        for value in msgspec.structs.astuple(record)
    ]
    values[_CHANGES] = record.changes  # JSON has escapes of its own
    execute(
        connection,
        "INSERT INTO audit (who, action, subject, outcome, cid, remote_address, at, changes)"
        " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        values[:-1],
    )


class AuditLog:
    """Repository of audit records."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, record: AuditRecord) -> None:
        """Append the record."""
        await self._database.write(lambda c: insert_record(c, record))

    async def list(
        self, limit: int = 50, offset: int = 0, wanted: AuditFilter | None = None
    ) -> Sequence[AuditRecord]:
        """Return a page of records, newest first."""
        where, values = (wanted or AuditFilter()).condition()
        return await self._database.read(
            lambda c: read_rows(
                c,
                "SELECT at, who, action, subject, outcome, cid, remote_address, changes, id"
                f" FROM audit WHERE {where} ORDER BY id DESC LIMIT ? OFFSET ?",
                (*values, limit, offset),
                AuditRecord,
            )
        )
