"""Retention: deletes history that no job has to keep, in short transactions."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store.dialect import AMONG_NUMBERS, SKIPPING_LOCKED, Dialect
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids, fetch_value, lock_jobs
from zato_lite.timetable.job import DAY, Instant, Job, OneTime

KEEP_DAYS = 30.0
KEEP_RUNS = 10_000
KEEP_ONE_TIME_DAYS = 7.0
"""Limits of history for jobs without ``keep_days`` or ``keep_runs``."""

KEEP_AUDIT = 1_000_000
"""Rows that the audit log keeps."""

MAX_RUNS: dict[Dialect, int] = {"sqlite": 500, "postgres": 2_000}
"""Runs that one transaction deletes at most. On SQLite, other writes wait for it."""

MAX_JOBS = 50
"""Jobs that one transaction examines at most."""

# Nodes that prune at the same time delete different runs.
_OLD_RUNS = f"""SELECT id FROM run WHERE job_id = ? AND outcome IS NOT NULL
    AND (finished_at < ? OR number <= ?) AND id <> ? ORDER BY id LIMIT ? {SKIPPING_LOCKED}"""


class PruneResult(NamedTuple):
    """The number of deleted runs, and the job after which to continue; None at the end."""

    deleted_runs: int
    continue_after: int | None


def prune(connection: Connection, now: Instant, after_job: int) -> PruneResult:
    """Delete expired history of the next jobs after ``after_job``, at most ``MAX_RUNS`` runs."""
    deleted, limit = 0, MAX_RUNS[connection.dialect]
    for _ in range(MAX_JOBS):
        job_id = fetch_value(
            connection, "SELECT min(job_id) FROM run WHERE job_id > ?", (after_job,)
        )
        if job_id is None:
            _delete_empty_jobs(connection)
            execute(
                connection,
                "DELETE FROM audit WHERE id <= (SELECT max(id) FROM audit) - ?",
                (KEEP_AUDIT,),
            )
            return PruneResult(deleted, None)
        deleted += _prune_job(connection, job_id, now, limit - deleted)
        if deleted >= limit:
            return PruneResult(deleted, after_job)
        after_job = job_id
    return PruneResult(deleted, after_job)


def jobs_with_runs_after(connection: Connection, run_id: int) -> tuple[list[int], int]:
    """Return the jobs that have a newer run than this one, and the newest run's id."""
    newest = fetch_value(connection, "SELECT max(id) FROM run") or 0
    found = fetch_ids(
        connection, "SELECT DISTINCT job_id AS id FROM run WHERE id > ? ORDER BY 1", (run_id,)
    )
    return found, newest


def prune_jobs(connection: Connection, now: Instant, jobs: Sequence[int]) -> Sequence[int]:
    """Delete expired history of the first of these jobs; return those that are left."""
    deleted, limit = 0, MAX_RUNS[connection.dialect]
    for place, job_id in enumerate(jobs[:MAX_JOBS]):
        deleted += _prune_job(connection, job_id, now, limit - deleted)
        if deleted >= limit:
            return jobs[place:]
    return jobs[MAX_JOBS:]


def _prune_job(connection: Connection, job_id: int, now: Instant, limit: int) -> int:
    job = _definition(connection, job_id)
    oldest = now - int(_days(job) * DAY)
    keep = KEEP_RUNS if job is None or job.keep_runs is None else job.keep_runs
    newest = fetch_value(connection, "SELECT max(number) FROM run WHERE job_id = ?", (job_id,))
    if newest is None:  # deleted meanwhile
        return 0
    last = 0 if job_id == 0 else newest - keep  # the number of a run without a job is its id
    old = fetch_ids(
        connection,
        _OLD_RUNS,
        (job_id, oldest, last, _last_success(connection, job_id, job), limit),
    )
    if old:
        _delete_runs(connection, old)
    execute(connection, "DELETE FROM ledger WHERE job_id = ? AND last < ?", (job_id, oldest))
    if job is not None and isinstance(job.trigger, OneTime) and old:
        _delete_finished(connection, job_id, now)
    return len(old)


def _last_success(connection: Connection, job_id: int, job: Job | None) -> int:
    """Return the job's last successful run, which is kept as long as the job exists, or 0."""
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


def _delete_runs(connection: Connection, ids: Sequence[int]) -> None:
    for column in ("run.id", "run_log.run_id", "call.run_id", "attempt.run_id"):
        _delete_by_ids(connection, column, ids)


def _delete_finished(connection: Connection, job_id: int, now: Instant) -> None:
    """Delete a one-time job that has ended and has no run left."""
    lock_jobs(connection, [job_id])
    is_over = fetch_value(
        connection,
        "SELECT 1 FROM timer WHERE job_id = ?1 AND next_at IS NULL AND paused_since IS NULL"
        " AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = ?1)",
        (job_id,),
    )
    if is_over is not None:
        execute(connection, "UPDATE job SET deleted_at = ? WHERE id = ?", (now, job_id))
        execute(connection, "DELETE FROM timer WHERE job_id = ?", (job_id,))


def _delete_empty_jobs(connection: Connection) -> None:
    """Delete the rows of deleted jobs that have no run left."""
    empty = fetch_ids(
        connection,
        "SELECT id FROM job WHERE deleted_at IS NOT NULL"
        " AND NOT EXISTS (SELECT 1 FROM run WHERE job_id = job.id) LIMIT ?",
        (MAX_RUNS[connection.dialect],),
    )
    for column in ("job.id", "ledger.job_id"):
        _delete_by_ids(connection, column, empty)


def _delete_by_ids(connection: Connection, column: str, ids: Sequence[int]) -> None:
    table = column.partition(".")[0]
    statement = f"DELETE FROM {table} WHERE {column} {AMONG_NUMBERS}"
    execute(connection, statement, (connection.many(ids),))
