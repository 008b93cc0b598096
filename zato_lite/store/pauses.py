"""The pause of the whole scheduler."""

import msgspec

from zato_lite.store import jobs, ledger
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.ports import Connection
from zato_lite.store.rows import Pause
from zato_lite.store.statements import execute, fetch_ids, fetch_value
from zato_lite.timetable.due import end_pause
from zato_lite.timetable.job import Instant
from zato_lite.timetable.job_plan import Entry

NAME = "scheduler.pause"
"""Of the setting that says so."""


def get_pause(connection: Connection) -> Pause | None:
    """The pause of the whole scheduler, if there is one."""
    text = fetch_value(connection, "SELECT value FROM setting WHERE name = ?", (NAME,))
    return None if text is None else msgspec.json.decode(text, type=Pause)


def pause_all(connection: Connection, pause: Pause, begun: StartedRuns) -> tuple[Pause, list[int]]:
    """Stand still, unless it does already; and the runs that are not to start."""
    if (there := get_pause(connection)) is not None:
        return there, []
    execute(
        connection,
        "INSERT INTO setting VALUES (?, ?)",
        (NAME, msgspec.json.encode(pause).decode()),
    )
    early = fetch_ids(
        connection,
        "SELECT DISTINCT job_id AS id FROM run WHERE outcome IS NULL AND state = 'claimed'"
        " AND kind = 'scheduled' AND node = ? AND job_id IN (SELECT job_id FROM timer)",
        (begun.node,),
    )
    revoked = [
        run_id for job_id in early for run_id in jobs.revoke_claims(connection, job_id, begun)
    ]
    return pause, revoked


def resume_all(connection: Connection, now: Instant) -> None:
    """Go on; what was due meanwhile is in the ledger as paused."""
    pause = get_pause(connection)
    if pause is None:
        return
    execute(connection, "DELETE FROM setting WHERE name = ?", (NAME,))
    words = "the scheduler was paused" + (f": {pause.note}" if pause.note else "")
    due = fetch_ids(connection, "SELECT job_id AS id FROM timer WHERE next_at <= ?", (now,))
    known = jobs.get_calendars(connection)
    for job_id in due:
        row = jobs.get(connection, job_id)
        if not row.job.is_active:
            continue
        over = end_pause(jobs.state_of(row), now, known, words)
        lines: list[tuple[int, int, Entry]] = [(job_id, row.number, e) for e in over.entries]
        ledger.write(connection, lines)
        execute(
            connection,
            "UPDATE timer SET cursor = ?, next_at = ? WHERE job_id = ?",
            (over.cursor, over.next_at, job_id),
        )
