"""The ledger: slots that got no run, and why; adjacent ones with one reason are one row."""

from collections.abc import Iterable

from zato_lite.store.ports import Connection
from zato_lite.store.statements import execute
from zato_lite.timetable.job_plan import Entry

Line = tuple[int, int, Entry]
"""A job's id, the number of its latest run, and the entry."""


def write(connection: Connection, lines: Iterable[Line]) -> None:
    """Add entries, oldest first, each to the row before it if that says the same."""
    for job_id, number, entry in lines:
        grown = execute(
            connection,
            "UPDATE ledger SET last = ?, count = count + ? WHERE outcome = ? AND reason = ?"
            " AND number = ? AND id = (SELECT id FROM ledger WHERE job_id = ?"
            " ORDER BY first DESC LIMIT 1)",
            (entry.last, entry.count, entry.outcome, entry.reason, number, job_id),
        )
        if not grown:
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
