"""Runs that no slot asked for: on demand, once more, called back; and closed while they wait."""

from collections.abc import Sequence

import msgspec

from zato_lite.errors import ConflictError, NotFoundError
from zato_lite.store import jobs
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind
from zato_lite.store.runs import INSERT, ClaimedAttempt
from zato_lite.store.statements import execute, fetch_ids, fetch_value, next_numbers, write_rows
from zato_lite.timetable.job import Instant, Job


def enqueue_runs(
    connection: Connection,
    job_id: int,
    job: Job,
    now: Instant,
    node: int,
    *,
    kind: RunKind = "manual",
    slots: Sequence[Instant] = (),
    one_by_one: bool = False,
) -> list[ClaimedAttempt]:
    """New runs of a job for this node, for now or for the slots given; its cursor stays."""
    slots = slots or (now,)
    number = int(fetch_value(connection, "SELECT number FROM timer WHERE job_id = ?", (job_id,)))
    execute(
        connection,
        "UPDATE timer SET number = ? WHERE job_id = ?",
        (number + len(slots), job_id),
    )
    tokens = next_numbers(connection, "token", len(slots))
    attempts = [
        ClaimedAttempt(
            run_id=token,
            job_id=job_id,
            run_number=number + place,
            slot=slot,
            start_at=now,
            token=token,
            job=job,
            kind=kind,
            queued=one_by_one,
            needs_start_record=one_by_one,
        )
        for place, (token, slot) in enumerate(zip(tokens, slots, strict=True), start=1)
    ]
    _insert(connection, attempts, now, node)
    return attempts


def enqueue_call(
    connection: Connection,
    job: Job,
    now: Instant,
    node: int,
    *,
    kind: RunKind = "async",
    cid: str = "",
) -> ClaimedAttempt:
    """A run of a definition that is no job's."""
    token = next_numbers(connection, "token", 1)[0]
    at = max(now, job.trigger.start)
    attempt = ClaimedAttempt(
        run_id=token,
        job_id=0,
        run_number=token,
        slot=at,
        start_at=at,
        token=token,
        job=job,
        kind=kind,
        cid=cid,
    )
    _insert(connection, [attempt], now, node)
    execute(
        connection,
        "INSERT INTO call VALUES (?, ?, ?)",
        (token, msgspec.json.encode(job).decode(), cid),
    )
    return attempt


def enqueue_retry(
    connection: Connection, job_id: int, number: int, now: Instant, node: int
) -> list[ClaimedAttempt]:
    """A finished run's slot once more, as a new run."""
    row = jobs.get(connection, job_id)
    found = list(
        connection.execute(
            "SELECT slot, outcome FROM run WHERE job_id = ? AND number = ? ORDER BY id DESC",
            (job_id, number),
        )
    )
    if not found:
        raise NotFoundError(f"Run {number} not found")
    slot, outcome = found[0]
    if outcome is None:
        raise ConflictError(f"Run {number} is in flight")
    return enqueue_runs(connection, job_id, row.job, now, node, kind="retry", slots=(slot,))


def cancel_unstarted(connection: Connection, job_id: int, number: int, now: Instant) -> list[int]:
    """Close a run that nobody is busy with; its id."""
    found = fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND number = ? AND outcome IS NULL"
        " AND (state IN ('queued', 'waiting') OR node = 0)",
        (job_id, number),
    )
    for run_id in found:
        execute(
            connection,
            "UPDATE run SET outcome = 'cancelled', state = 'done', finished_at = ? WHERE id = ?",
            (now, run_id),
        )
    return found


def _insert(
    connection: Connection, attempts: Sequence[ClaimedAttempt], now: Instant, node: int
) -> None:
    rows = [
        (
            attempt.run_id,
            attempt.job_id,
            attempt.run_number,
            attempt.slot,
            attempt.kind,
            "queued" if attempt.queued else "claimed",
            node,
            attempt.token,
            attempt.attempt_number,
            attempt.crashes,
            now,
        )
        for attempt in attempts
    ]
    write_rows(connection, INSERT, rows)
