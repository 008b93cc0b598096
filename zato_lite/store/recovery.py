"""Recovery: hands the runs of dead nodes on, releases claims, and records deferred starts."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt
from zato_lite.store.completion import complete_attempts, save_attempt
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind, RunState
from zato_lite.store.sql import execute, fetch_all, fetch_ids, fetch_value, json_list, next_numbers
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.outcome import NextStep, next_step

SUSPECT = 2
"""Processes that must have died during a run to make it a suspect: it may be the cause."""

APART = SECOND
"""Microseconds between the starts of two suspects, so that a crash has one possible cause."""


class RecoveryResult(NamedTuple):
    """The result of a recovery.

    Attributes:
        attempts: claimed for this node, callbacks included.
        closed: the number of runs that get no further attempt.
        has_more: the limit was reached.
    """

    attempts: Sequence[ClaimedAttempt]
    closed: int
    has_more: bool


def recover_runs(
    connection: Connection, alive: Sequence[int], node: int, now: Instant, limit: int = 1000
) -> RecoveryResult:
    """Claim the next attempts of runs whose node is not alive, as ``on_crash`` says.

    Runs that their node had not started are claimed as they are.
    """
    open_runs = fetch_all(connection, _OPEN_RUNS, (json_list(alive), limit), _OpenRun)
    attempts: list[ClaimedAttempt] = []
    closed: list[AttemptResult] = []
    suspects = 0
    for run in open_runs:
        attempt = _attempt_of(run, now)
        if run.is_deleted:
            reason = "the job was deleted"
            closed.append(AttemptResult(attempt, NextStep("cancelled"), "cancelled", now, reason))
            continue
        if run.node == 0 or run.state != "claimed" or run.slot > now:
            attempts.append(_move_to_node(connection, attempt, node))
            continue
        result = _crash_result(attempt, now)
        if result.next_step.outcome is None:
            suspects += attempt.crashes >= SUSPECT
            attempts.append(_rerun(connection, result, node, now + suspects * APART))
        else:
            closed.append(result)
    attempts.extend(complete_attempts(connection, closed, now, node).callbacks)
    return RecoveryResult(attempts, len(closed), len(open_runs) == limit)


def _crash_result(attempt: ClaimedAttempt, now: Instant) -> AttemptResult:
    attempt.crashes += 1
    step = next_step(
        attempt.job, "lost", attempt.attempt_number, attempt.crashes, 0, now, job_id=attempt.job_id
    )
    reason = "the process died during the run"
    if step.is_quarantined:
        reason = f"quarantined: {attempt.crashes} processes died during this run"
    return AttemptResult(attempt, step, "lost", now, reason)


def record_start(
    connection: Connection, attempt: ClaimedAttempt, *, is_exclusive: bool
) -> Literal["start", "wait", "gone"]:
    """Record the start of an attempt that the store has as waiting: a crash counts from now on.

    Return ``wait`` if another node still executes the run before it, which cannot be if this node
    ``is_exclusive`` (the only one alive); return ``gone`` if another node has it or closed it.
    """
    if attempt.queued and not is_exclusive:
        predecessor = fetch_value(
            connection,
            "SELECT 1 FROM run WHERE job_id = ? AND outcome IS NULL AND state = 'claimed'",
            (attempt.job_id,),
        )
        if predecessor is not None:
            return "wait"
    changed = execute(
        connection,
        "UPDATE run SET state = 'claimed' WHERE id = ? AND token = ? AND outcome IS NULL",
        (attempt.run_id, attempt.token),
    )
    return "start" if changed else "gone"


def release_claims(
    connection: Connection, attempts: Sequence[ClaimedAttempt], started: StartedRuns
) -> None:
    """Release attempts that were not started: revoke their claims, or leave them to any node."""
    scheduled = {
        attempt.job_id
        for attempt in attempts
        if attempt.kind == "scheduled" and attempt.attempt_number == 1
    }
    job_ids = fetch_ids(
        connection,
        "SELECT job_id AS id FROM timer WHERE job_id IN (SELECT value FROM json_each(?))",
        (json_list(scheduled),),
    )
    revoked: set[int] = set()
    for job_id in job_ids:
        revoked.update(jobs.revoke_claims(connection, job_id, started))
    for attempt in attempts:
        if attempt.run_id not in revoked:
            execute(
                connection,
                "UPDATE run SET node = 0 WHERE id = ? AND token = ? AND outcome IS NULL",
                (attempt.run_id, attempt.token),
            )


class _OpenRun(msgspec.Struct, frozen=True, kw_only=True):
    """A run without an outcome, with the columns that recovery needs."""

    id: int
    job_id: int
    number: int
    slot: Instant
    kind: RunKind
    state: RunState
    node: int
    token: int
    attempt: int
    crashes: int
    shutdowns: int
    retry_at: Instant | None
    job: Job
    cid: str
    is_deleted: int


# Up to ? runs without an outcome, with a job or on request, that no live node holds.
_OPEN_RUNS = """SELECT json_object('id', r.id, 'job_id', r.job_id, 'number', r.number,
        'slot', r.slot, 'kind', r.kind, 'state', r.state, 'node', r.node, 'token', r.token,
        'attempt', r.attempt,
        'crashes', r.crashes, 'shutdowns', (SELECT count(*) FROM attempt a
            WHERE a.run_id = r.id AND a.outcome = 'cancelled'),
        'retry_at', r.retry_at, 'cid', coalesce(c.cid, ''), 'is_deleted', j.deleted_at IS NOT NULL,
        'job', json(coalesce(c.definition, j.definition))) AS line
    FROM (SELECT * FROM run INDEXED BY run_open
          WHERE outcome IS NULL AND job_id >= 0
          AND node NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?) r
    LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id"""


def _attempt_of(run: _OpenRun, now: Instant) -> ClaimedAttempt:
    return ClaimedAttempt(
        run_id=run.id,
        job_id=run.job_id,
        run_number=run.number,
        slot=run.slot,
        start_at=max(now, run.slot) if run.state == "claimed" else run.retry_at or now,
        token=run.token,
        job=run.job,
        attempt_number=run.attempt,
        crashes=run.crashes,
        shutdowns=run.shutdowns,
        kind=run.kind,
        queued=run.state == "queued",
        needs_start_record=run.state != "claimed",
        cid=run.cid,
    )


def _move_to_node(connection: Connection, attempt: ClaimedAttempt, node: int) -> ClaimedAttempt:
    """Claim an attempt that was not started for this node, with a new token."""
    token = next_numbers(connection, "token", 1)[0]
    execute(
        connection,
        "UPDATE run SET node = ?, token = ? WHERE id = ?",
        (node, token, attempt.run_id),
    )
    attempt.token = token
    return attempt


def _rerun(
    connection: Connection, result: AttemptResult, node: int, start_at: Instant
) -> ClaimedAttempt:
    """Save a crashed attempt and claim the next one.

    A suspect's start is recorded only when it comes: if it kills this process too, only the
    suspects that have started by then count one more crash.
    """
    attempt = result.attempt
    is_suspect = attempt.crashes >= SUSPECT
    token = next_numbers(connection, "token", 1)[0]
    save_attempt(connection, result)
    execute(
        connection,
        "UPDATE run SET node = ?, token = ?, attempt = ?, crashes = ?, state = ?, retry_at = ?"
        " WHERE id = ?",
        (
            node,
            token,
            attempt.attempt_number + 1,
            attempt.crashes,
            "waiting" if is_suspect else "claimed",
            start_at if is_suspect else None,
            attempt.run_id,
        ),
    )
    return msgspec.structs.replace(
        attempt,
        token=token,
        attempt_number=attempt.attempt_number + 1,
        start_at=start_at,
        needs_start_record=is_suspect,
    )
