"""Runs that change hands: taken over from the dead, handed back, begun when others let them."""

from collections.abc import Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.completion import complete_attempts, save_attempt
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind, RunState
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.store.statements import (
    execute,
    fetch_all,
    fetch_ids,
    fetch_value,
    json_list,
    next_numbers,
)
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.outcome import NextStep, next_step

SUSPECT = 2
"""A run during which so many processes died may be what kills them."""

APART = SECOND
"""Suspects begin so long after one another: who kills the process then is alone with it."""


class RecoveryResult(NamedTuple):
    """What was taken over: attempts to make, and how many runs were closed for good."""

    attempts: Sequence[ClaimedAttempt]
    closed: int
    has_more: bool


def recover_runs(
    connection: Connection, alive: Sequence[int], node: int, now: Instant, limit: int = 1000
) -> RecoveryResult:
    """Take over runs of nodes that are not alive, as their jobs say for a crash."""
    found = fetch_all(connection, _OPEN, (json_list(alive), limit), _Open)
    attempts: list[ClaimedAttempt] = []
    closed: list[AttemptResult] = []
    suspects = 0
    for open_run in found:
        attempt = _fire_of(open_run, now)
        if open_run.is_deleted:
            words = "the job was deleted"
            closed.append(AttemptResult(attempt, NextStep("cancelled"), "cancelled", now, words))
            continue
        if open_run.node == 0 or open_run.state != "claimed" or open_run.slot > now:
            attempts.append(_moved_to(connection, attempt, node))
            continue
        attempt.crashes += 1
        settled = next_step(
            attempt.job,
            "lost",
            attempt.attempt_number,
            attempt.crashes,
            0,
            now,
            job_id=attempt.job_id,
        )
        words = "the process died during the run"
        if settled.is_quarantined:
            words = f"quarantined: {attempt.crashes} processes died during this run"
        ended = AttemptResult(attempt, settled, "lost", now, words)
        if settled.outcome is None:
            suspects += attempt.crashes >= SUSPECT
            attempts.append(_after_crash(connection, ended, node, now + suspects * APART))
        else:
            closed.append(ended)
    attempts.extend(complete_attempts(connection, closed, now, node).callbacks)
    return RecoveryResult(attempts, len(closed), len(found) == limit)


def record_start(
    connection: Connection, attempt: ClaimedAttempt, *, alone: bool
) -> Literal["start", "wait", "gone"]:
    """An attempt that was waited for begins: if the process dies now, it is a crash.

    It is gone when somebody has closed the run, and has to wait as long as another process is at
    the run that it is queued behind.
    """
    if attempt.queued and not alone:
        busy = fetch_value(
            connection,
            "SELECT 1 FROM run WHERE job_id = ? AND outcome IS NULL AND state = 'claimed'",
            (attempt.job_id,),
        )
        if busy is not None:
            return "wait"
    changed = execute(
        connection,
        "UPDATE run SET state = 'claimed' WHERE id = ? AND token = ? AND outcome IS NULL",
        (attempt.run_id, attempt.token),
    )
    return "start" if changed else "gone"


def release_claims(
    connection: Connection, attempts: Sequence[ClaimedAttempt], begun: StartedRuns
) -> None:
    """What was not begun is as if it had never been claimed, or else anybody's again."""
    slots = {
        attempt.job_id
        for attempt in attempts
        if attempt.kind == "scheduled" and attempt.attempt_number == 1
    }
    revoked: set[int] = set()
    alive = fetch_ids(
        connection,
        "SELECT job_id AS id FROM timer WHERE job_id IN (SELECT value FROM json_each(?))",
        (json_list(slots),),
    )
    for job_id in alive:
        revoked.update(jobs.revoke_claims(connection, job_id, begun))
    for attempt in attempts:
        if attempt.run_id not in revoked:
            execute(
                connection,
                "UPDATE run SET node = 0 WHERE id = ? AND token = ? AND outcome IS NULL",
                (attempt.run_id, attempt.token),
            )


class _Open(msgspec.Struct, frozen=True, kw_only=True):
    """A run without an outcome, as far as taking over needs it."""

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


_OPEN = """SELECT json_object('id', r.id, 'job_id', r.job_id, 'number', r.number, 'slot', r.slot,
        'kind', r.kind, 'state', r.state, 'node', r.node, 'token', r.token, 'attempt', r.attempt,
        'crashes', r.crashes, 'shutdowns', (SELECT count(*) FROM attempt a
            WHERE a.run_id = r.id AND a.outcome = 'cancelled'),
        'retry_at', r.retry_at, 'cid', coalesce(c.cid, ''), 'is_deleted', j.deleted_at IS NOT NULL,
        'job', json(coalesce(c.definition, j.definition))) AS line
    FROM (SELECT * FROM run INDEXED BY run_open
          WHERE outcome IS NULL AND job_id >= 0
          AND node NOT IN (SELECT value FROM json_each(?)) ORDER BY id LIMIT ?) r
    LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id"""


def _fire_of(run: _Open, now: Instant) -> ClaimedAttempt:
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


def _moved_to(connection: Connection, attempt: ClaimedAttempt, node: int) -> ClaimedAttempt:
    """The same attempt on another node, with a token of its own: it was never begun."""
    token = next_numbers(connection, "token", 1)[0]
    execute(
        connection,
        "UPDATE run SET node = ?, token = ? WHERE id = ?",
        (node, token, attempt.run_id),
    )
    attempt.token = token
    return attempt


def _after_crash(
    connection: Connection, ended: AttemptResult, node: int, now: Instant
) -> ClaimedAttempt:
    """The next attempt; that of a suspect has its own moment, so that it takes no other along."""
    attempt = ended.attempt
    is_suspect = attempt.crashes >= SUSPECT
    token = next_numbers(connection, "token", 1)[0]
    save_attempt(connection, ended)
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
            now if is_suspect else None,
            attempt.run_id,
        ),
    )
    return msgspec.structs.replace(
        attempt,
        token=token,
        attempt_number=attempt.attempt_number + 1,
        start_at=now,
        needs_start_record=is_suspect,
    )
