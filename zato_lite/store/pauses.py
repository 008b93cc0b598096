"""Pause of the whole scheduler: stored as a setting that ``claim`` reads.

``jobs`` pauses single jobs; ``holds`` keeps the runs of both from starting.
"""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.attempts import StartedRuns
from zato_lite.store.holds import PAUSE_SETTING, hold_runs
from zato_lite.store.ledger import record_entries
from zato_lite.store.ports import Connection
from zato_lite.store.rows import Pause
from zato_lite.store.sql import execute, fetch_ids, fetch_value, lock_jobs
from zato_lite.timetable.due import end_pause
from zato_lite.timetable.job import Instant
from zato_lite.timetable.pauses import SCHEDULER_PAUSED, with_author


def get_pause(connection: Connection) -> Pause | None:
    """Return the pause of the whole scheduler, or None."""
    text = fetch_value(connection, "SELECT value FROM setting WHERE name = ?", (PAUSE_SETTING,))
    return None if text is None else msgspec.json.decode(text, type=Pause)


class Paused(NamedTuple):
    """The pause of the scheduler, the runs revoked by it, and True if it was paused before."""

    pause: Pause
    revoked: Sequence[int] = ()
    was_paused: bool = False


def pause_all(connection: Connection, pause: Pause, started: StartedRuns) -> Paused:
    """Pause the scheduler unless it is paused."""
    if (current := get_pause(connection)) is not None:
        return Paused(current, was_paused=True)
    execute(
        connection,
        "INSERT INTO setting (name, value) VALUES (?, ?)",
        (PAUSE_SETTING, msgspec.json.encode(pause).decode()),
    )
    job_ids = fetch_ids(
        connection,
        "SELECT DISTINCT job_id AS id FROM run WHERE outcome IS NULL AND state = 'claimed'"
        " AND kind = 'scheduled' AND node = ? AND job_id IN (SELECT job_id FROM timer)",
        (started.node,),
    )
    revoked = [
        run_id for job_id in job_ids for run_id in jobs.revoke_claims(connection, job_id, started)
    ]
    return Paused(pause, revoked + hold_runs(connection, None, started))


def resume_all(connection: Connection, now: Instant) -> Pause | None:
    """End the pause and return it; record the slots that were due meanwhile as paused."""
    pause = get_pause(connection)
    if pause is None:
        return None
    execute(connection, "DELETE FROM setting WHERE name = ?", (PAUSE_SETTING,))
    reason = with_author(SCHEDULER_PAUSED, pause.by, pause.note)
    due = fetch_ids(connection, "SELECT job_id AS id FROM timer WHERE next_at <= ?", (now,))
    lock_jobs(connection, due)
    calendars = jobs.get_calendars(connection)
    for job_id in due:
        row = jobs.get(connection, job_id)
        if not row.job.is_active:
            continue
        resumed = end_pause(jobs.state_of(row), now, calendars, reason)
        record_entries(connection, [(job_id, row.number, entry) for entry in resumed.entries])
        execute(
            connection,
            "UPDATE timer SET cursor = ?, next_at = ? WHERE job_id = ?",
            (resumed.cursor, resumed.next_at, job_id),
        )
    return pause
