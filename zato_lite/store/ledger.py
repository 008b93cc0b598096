"""Ledger: records slots that got no run; equal neighbours share a row."""

from collections.abc import Iterable

from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute
from zato_lite.timetable.job_plan import Entry

LedgerEntry = tuple[int, int, Entry]
"""A job's id, the number of its latest run at that time, and the entry."""


def record_entries(connection: Connection, entries: Iterable[LedgerEntry]) -> None:
    """Append entries, oldest first; extend the latest row instead if it is equal.

    Rows with different run numbers are not equal: there was a run between them.
    """
    for job_id, number, entry in entries:
        extended = execute(
            connection,
            "UPDATE ledger SET last = ?, count = count + ? WHERE outcome = ? AND reason = ?"
            " AND number = ? AND id = (SELECT id FROM ledger WHERE job_id = ?"
            " ORDER BY first DESC LIMIT 1)",
            (entry.last, entry.count, entry.outcome, entry.reason, number, job_id),
        )
        if not extended:
            execute(
                connection,
                "INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)"
                " VALUES (?, ?, ?, ?, ?, ?, ?)",
                (
                    job_id,
                    entry.outcome,
                    entry.first,
                    entry.last,
                    entry.count,
                    entry.reason,
                    number,
                ),
            )
