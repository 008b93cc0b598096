"""Enqueueing: inserts runs on request (manual, retry, backfill, callback, async)."""

from collections.abc import Sequence
from operator import attrgetter

import msgspec

from zato_lite.errors import ConflictError, NotFoundError
from zato_lite.store import jobs
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.jobs import encode_job
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind
from zato_lite.store.sql import (
    advance,
    execute,
    fetch_ids,
    fetch_value,
    write_rows,
)
from zato_lite.store.visibility import Permits
from zato_lite.timetable.job import Instant, Job, plain_principal

INSERT_RUNS = "INSERT INTO run ({columns}) {rows}"
RUN_COLUMNS = """id bigint, job_id bigint, number bigint, slot bigint, kind text, state text,
    node bigint, token bigint, attempt bigint, crashes bigint, claimed_at bigint, principal text"""
_REQUESTED_RUN_COLUMNS = f"{RUN_COLUMNS}, requested_by text"
MAX_DEPTH = 64
"""Callbacks that may lead to a run, one after another; as many as nested invocations."""

_MAX_ERROR_LENGTH = 20_000
_until_kind = attrgetter("run_id", "job_id", "run_number", "slot", "kind")


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
    requested_by: str = "",
) -> list[ClaimedAttempt]:
    """Insert runs of a job for this node, for now or for the given slots; the cursor stays."""
    slots = slots or (now,)
    last_number = fetch_value(
        connection,
        "UPDATE timer SET number = number + ? WHERE job_id = ? RETURNING number",
        (len(slots), job_id),
    )
    tokens = advance(connection, "token", len(slots))
    numbers = range(last_number - len(slots) + 1, last_number + 1)
    attempts = [
        ClaimedAttempt(
            run_id=token,
            job_id=job_id,
            run_number=number,
            slot=slot,
            start_at=now,
            token=token,
            job=job,
            kind=kind,
            queued=one_by_one,
            needs_start_record=one_by_one,
            requested_by=requested_by,
        )
        for token, number, slot in zip(tokens, numbers, slots, strict=True)
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
    """Insert a run without a job: ``job`` is the definition of this run alone."""
    token = advance(connection, "token", 1)[0]
    start_at = max(now, job.trigger.start)
    attempt = ClaimedAttempt(
        run_id=token,
        job_id=0,
        run_number=token,
        slot=start_at,
        start_at=start_at,
        token=token,
        job=job,
        kind=kind,
        cid=cid,
    )
    _insert(connection, [attempt], now, node)
    insert = "INSERT INTO call (run_id, definition, cid) VALUES (?, ?, ?)"
    execute(connection, insert, (token, encode_job(job), cid))
    return attempt


def enqueue_retry(  # noqa: PLR0917 - the run, then who and when
    connection: Connection,
    job_id: int,
    number: int,
    now: Instant,
    node: int,
    requested_by: str = "",
    permits: Permits | None = None,
) -> list[ClaimedAttempt]:
    """Insert a new run for the slot of a finished run."""
    job = jobs.get_permitted(connection, job_id, permits)
    runs = list(
        connection.execute(
            "SELECT slot, outcome FROM run WHERE job_id = ? AND number = ? ORDER BY id DESC",
            (job_id, number),
        )
    )
    if not runs:
        raise NotFoundError(f"Run {number} not found")
    slot, outcome = runs[0]
    if outcome is None:
        raise ConflictError(f"Run {number} is in flight")
    return enqueue_runs(
        connection,
        job_id,
        job,
        now,
        node,
        kind="retry",
        slots=(slot,),
        requested_by=requested_by,
    )


def cancel_unstarted(connection: Connection, job_id: int, number: int, now: Instant) -> list[int]:
    """Close a run of which no node executes an attempt; return its id."""
    run_ids = fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND number = ? AND outcome IS NULL"
        " AND (state IN ('queued', 'waiting') OR node = 0)",
        (job_id, number),
    )
    execute(
        connection,
        "UPDATE run SET outcome = 'cancelled', state = 'done', finished_at = ?"
        f" WHERE id {AMONG_NUMBERS}",
        (now, connection.many(run_ids)),
    )
    return run_ids


def set_cause(
    connection: Connection,
    attempt: ClaimedAttempt,
    cause: int,
    path: tuple[str, ...],
    now: Instant,
) -> bool:
    """Record the run, and the path of jobs, whose callbacks led to a new run.

    If they are too many, the new run is closed, and the answer is False.

    Jobs may call each other back, so that a circle would have no end.
    """
    attempt.path = path
    if len(path) <= MAX_DEPTH or not attempt.job_id:
        saved = msgspec.json.encode(path).decode()
        statement = "UPDATE run SET path = ?, caused_by = ? WHERE id = ?"
        execute(connection, statement, (saved, cause, attempt.run_id))
        return True
    names = " → ".join([*path, attempt.job.name])
    error = f"not started: more than {MAX_DEPTH} callbacks led to this run: {names}"
    execute(
        connection,
        "UPDATE run SET outcome = 'error', state = 'done', finished_at = ?, error = ?,"
        " caused_by = ? WHERE id = ?",
        (now, error[:_MAX_ERROR_LENGTH], cause, attempt.run_id),
    )
    return False


def _insert(
    connection: Connection, attempts: Sequence[ClaimedAttempt], now: Instant, node: int
) -> None:
    rows = [
        (
            *_until_kind(attempt),
            "queued" if attempt.queued else "claimed",
            *(node, attempt.token, attempt.attempt_number, attempt.crashes, now),
            *(plain_principal(attempt.job.principal), plain_principal(attempt.requested_by)),
        )
        for attempt in attempts
    ]
    write_rows(connection, INSERT_RUNS, _REQUESTED_RUN_COLUMNS, rows)
