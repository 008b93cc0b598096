"""Jobs that a clock set back holds up: their latest slots are in what is the future now."""

from typing import NamedTuple

from msgspec.structs import replace

from zato_lite.store import jobs
from zato_lite.store.attempts import StartedRuns
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids, fetch_row, lock_jobs
from zato_lite.timetable import due
from zato_lite.timetable.job import SECOND, Instant

AHEAD = 10 * SECOND
"""Slots are run at most this long before their instant, by claims made ahead."""

# Jobs with a run, or with decided slots, more than AHEAD in the future.
_HELD_UP = """SELECT t.job_id AS id, t.cursor AS cursor FROM timer t
    WHERE t.cursor > ?1 AND t.next_at IS NOT NULL AND (
        EXISTS (SELECT 1 FROM run r
            WHERE r.job_id = t.job_id AND r.kind = 'scheduled' AND r.slot > ?1)
        OR EXISTS (SELECT 1 FROM ledger l WHERE l.job_id = t.job_id AND l.last > ?1))"""


class HeldUp(NamedTuple):
    """The number of jobs that start nothing for now, and the instant at which all do again."""

    jobs: int
    until: Instant


def held_up(connection: Connection, now: Instant) -> HeldUp:
    """Return how many jobs have slots in the future that are decided already."""
    count, until = fetch_row(
        connection, f"SELECT count(*), max(cursor) FROM ({_HELD_UP}) held", (now + AHEAD,)
    )
    return HeldUp(count, until or now)


class Continued(NamedTuple):
    """The jobs that start again, and their runs that must not start."""

    jobs: list[int]
    revoked: list[int]


def continue_jobs(connection: Connection, now: Instant, started: StartedRuns) -> Continued:
    """Have the jobs that are held up decide their slots again from now on.

    Their runs of slots that are in the future now stay in history, as runs on request.
    """
    revoked: list[int] = []
    found = fetch_ids(connection, f"SELECT id FROM ({_HELD_UP}) held", (now + AHEAD,))
    lock_jobs(connection, found)
    for job_id in found:
        revoked += jobs.revoke_claims(connection, job_id, started)
        execute(
            connection,
            "UPDATE run SET kind = 'backfill' WHERE job_id = ? AND kind = 'scheduled' AND slot > ?"
            " AND outcome IS NOT NULL",
            (job_id, now),
        )
        execute(connection, "DELETE FROM ledger WHERE job_id = ? AND first > ?", (job_id, now))
        row = jobs.get(connection, job_id)
        state = replace(jobs.state_of(row), cursor=now)
        next_at = due.next_due(state, jobs.get_calendars(connection))
        execute(
            connection,
            "UPDATE timer SET cursor = ?, next_at = ? WHERE job_id = ?",
            (now, next_at, job_id),
        )
    return Continued(found, revoked)
