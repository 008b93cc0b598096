"""What is kept of the past, and for how long; the rest goes in small parts."""

from typing import NamedTuple

import msgspec

from zato_lite.store.ports import Connection
from zato_lite.store.statements import execute, fetch_ids, fetch_value, json_list
from zato_lite.timetable.job import SECOND, Instant, Job, OneTime

KEEP_DAYS = 30.0
KEEP_RUNS = 10_000
KEEP_ONE_TIME_DAYS = 7.0
"""For jobs that do not say it themselves."""

KEEP_AUDIT = 1_000_000
"""Lines of the audit log."""

AT_ONCE = 500
JOBS_AT_ONCE = 50
_DAY = 86_400 * SECOND


class PruneResult(NamedTuple):
    """How many runs went, and after which job to go on; None: all jobs were seen."""

    deleted_runs: int
    next_job_id: int | None


def prune(connection: Connection, now: Instant, place: int) -> PruneResult:
    """Delete what some jobs after ``place`` need no more, at most ``AT_ONCE`` runs."""
    gone = 0
    for _ in range(JOBS_AT_ONCE):
        job_id = fetch_value(connection, "SELECT min(job_id) FROM run WHERE job_id > ?", (place,))
        if job_id is None:
            _purge(connection)
            execute(
                connection,
                "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?",
                (KEEP_AUDIT,),
            )
            return PruneResult(gone, None)
        found = _sweep_job(connection, job_id, now, AT_ONCE - gone)
        gone += found
        if gone >= AT_ONCE:
            return PruneResult(gone, place)
        place = job_id
    return PruneResult(gone, place)


def _sweep_job(connection: Connection, job_id: int, now: Instant, most: int) -> int:
    job = _definition(connection, job_id)
    oldest = now - int(_days(job) * _DAY)
    keep = KEEP_RUNS if job is None or job.keep_runs is None else job.keep_runs
    newest = fetch_value(connection, "SELECT max(number) FROM run WHERE job_id = ?", (job_id,))
    last = 0 if job_id == 0 else newest - keep  # numbers of calls are their ids
    old = fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND outcome IS NOT NULL"
        " AND (finished_at < ? OR number <= ?) AND id <> ? ORDER BY id LIMIT ?",
        (job_id, oldest, last, _last_success(connection, job_id, job), most),
    )
    if old:
        _delete_runs(connection, json_list(old))
    execute(connection, "DELETE FROM ledger WHERE job_id = ? AND last < ?", (job_id, oldest))
    if job is not None and isinstance(job.trigger, OneTime) and old:
        _forget_finished(connection, job_id, now)
    return len(old)


def _last_success(connection: Connection, job_id: int, job: Job | None) -> int:
    """The run that says when a job has last worked, which is asked for all its life."""
    if job is None or isinstance(job.trigger, OneTime):
        return 0
    found = fetch_value(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND outcome = 'ok' ORDER BY id DESC LIMIT 1",
        (job_id,),
    )
    return found or 0


def _definition(connection: Connection, job_id: int) -> Job | None:
    text = fetch_value(connection, "SELECT definition FROM job WHERE id = ?", (job_id,))
    return None if text is None else msgspec.json.decode(text, type=Job)


def _days(job: Job | None) -> float:
    if job is None:
        return KEEP_DAYS
    if job.keep_days is not None:
        return job.keep_days
    return KEEP_ONE_TIME_DAYS if isinstance(job.trigger, OneTime) else KEEP_DAYS


def _delete_runs(connection: Connection, ids: str) -> None:
    for table, column in (("run", "id"), ("run_log", "run_id"), ("call", "run_id")):
        execute(
            connection,
            f"DELETE FROM {table} WHERE {column} IN (SELECT value FROM json_each(?))",
            (ids,),
        )
    execute(
        connection, "DELETE FROM attempt WHERE run_id IN (SELECT value FROM json_each(?))", (ids,)
    )


def _forget_finished(connection: Connection, job_id: int, now: Instant) -> None:
    """A one-time job that has run goes with its last run."""
    is_over = fetch_value(
        connection,
        "SELECT 1 FROM timer WHERE job_id = ?1 AND next_at IS NULL AND paused_since IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = ?1)",
        (job_id,),
    )
    if is_over is not None:
        execute(connection, "UPDATE job SET deleted_at = ? WHERE id = ?", (now, job_id))
        execute(connection, "DELETE FROM timer WHERE job_id = ?", (job_id,))


def _purge(connection: Connection) -> None:
    """Deleted jobs go when nothing is left of them."""
    empty = fetch_ids(
        connection,
        "SELECT id FROM job WHERE deleted_at IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = job.id) LIMIT ?",
        (AT_ONCE,),
    )
    ids = json_list(empty)
    execute(connection, "DELETE FROM job WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    execute(
        connection, "DELETE FROM ledger WHERE job_id IN (SELECT value FROM json_each(?))", (ids,)
    )
