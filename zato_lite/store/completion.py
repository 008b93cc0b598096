"""How attempts ended is written down, with all that follows from it."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store import enqueue, jobs
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.ports import Connection
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.store.statements import execute, fetch_value, next_numbers, write_rows
from zato_lite.timetable.job import Instant, Job, OneTime
from zato_lite.timetable.outcome import Callback, NextStep, next_step


class CompletionResult(NamedTuple):
    """What was made of a batch: results refused, next attempts, new runs, runs not to start."""

    refused: Sequence[AttemptResult]
    next_attempts: Sequence[ClaimedAttempt]
    callbacks: Sequence[ClaimedAttempt]
    revoked: Sequence[int]


def complete_attempts(
    connection: Connection,
    batch: Sequence[AttemptResult],
    now: Instant,
    node: int,
    begun: StartedRuns = jobs.NO_STARTED_RUNS,
) -> CompletionResult:
    """Write down how attempts ended, and all that follows from it; stale results are refused."""
    batch = [_for_good(connection, ended) for ended in batch]
    finals = [ended for ended in batch if ended.next_step.outcome is not None]
    kept = _finish(connection, finals)
    _keep_crashes(connection, finals)
    again: list[ClaimedAttempt] = []
    attempts: list[ClaimedAttempt] = []
    revoked: list[int] = []
    refused = [] if kept == len(finals) else _refused(connection, finals)
    gone = {ended.attempt.token for ended in refused}
    lines = [
        (ended.attempt.run_id, ended.lines)
        for ended in finals
        if ended.lines is not None and ended.attempt.token not in gone
    ]
    write_rows(connection, "INSERT OR REPLACE INTO run_log VALUES {rows}", lines)
    for ended in batch:
        if ended.next_step.outcome is None:
            following = _again(connection, ended, now)
            if following is None:
                refused.append(ended)
            else:
                again.append(following)
        elif ended.attempt.token not in gone:
            if ended.next_step.callbacks:
                attempts.extend(_called_back(connection, ended, now, node))
            if ended.attempt.job.pause_after_failures is not None:
                revoked.extend(_count_failures(connection, ended, now, begun))
    return CompletionResult(refused, again, attempts, revoked)


def _for_good(connection: Connection, ended: AttemptResult) -> AttemptResult:
    """There is no next attempt for a job that was deleted."""
    if ended.next_step.outcome is not None or not ended.attempt.job_id:
        return ended
    alive = "SELECT 1 FROM timer WHERE job_id = ?"
    if fetch_value(connection, alive, (ended.attempt.job_id,)) is not None:
        return ended
    return msgspec.structs.replace(ended, next_step=NextStep(ended.outcome))


def _finish(connection: Connection, finals: Sequence[AttemptResult]) -> int:
    rows = [
        (
            ended.attempt.run_id,
            ended.attempt.token,
            ended.next_step.outcome,
            ended.attempt.started_at or None,
            ended.finished_at,
            ended.error,
            ended.result,
        )
        for ended in finals
    ]
    return write_rows(
        connection,
        "WITH v (id, token, outcome, started_at, finished_at, error, result) AS (VALUES {rows})"
        " UPDATE run SET outcome = v.outcome, started_at = v.started_at, state = 'done',"
        " finished_at = v.finished_at, error = v.error, result = v.result"
        " FROM v WHERE run.id = v.id AND run.token = v.token AND run.outcome IS NULL",
        rows,
    )


def _keep_crashes(connection: Connection, finals: Sequence[AttemptResult]) -> None:
    for ended in finals:
        if ended.outcome == "lost":
            execute(
                connection,
                "UPDATE run SET crashes = ? WHERE id = ? AND token = ?",
                (ended.attempt.crashes, ended.attempt.run_id, ended.attempt.token),
            )


def _refused(connection: Connection, finals: Sequence[AttemptResult]) -> list[AttemptResult]:
    """Those whose run has another token or another end by now."""
    refused = []
    for ended in finals:
        found = fetch_value(
            connection,
            "SELECT 1 FROM run WHERE id = ? AND token = ? AND outcome = ? AND finished_at = ?",
            (
                ended.attempt.run_id,
                ended.attempt.token,
                ended.next_step.outcome,
                ended.finished_at,
            ),
        )
        if found is None:
            refused.append(ended)
    return refused


def _again(connection: Connection, ended: AttemptResult, now: Instant) -> ClaimedAttempt | None:
    """The next attempt, or None when this one is not the latest any more."""
    attempt = ended.attempt
    token = next_numbers(connection, "token", 1)[0]
    changed = execute(
        connection,
        "UPDATE run SET state = 'waiting', retry_at = ?, token = ?, attempt = ?, crashes = ?,"
        " started_at = ?, error = ? WHERE id = ? AND token = ? AND outcome IS NULL",
        (
            ended.next_step.retry_at,
            token,
            attempt.attempt_number + 1,
            attempt.crashes,
            attempt.started_at or None,
            ended.error,
            attempt.run_id,
            attempt.token,
        ),
    )
    if not changed:
        return None
    save_attempt(connection, ended)
    return msgspec.structs.replace(
        attempt,
        token=token,
        attempt_number=attempt.attempt_number + 1,
        start_at=ended.next_step.retry_at or now,
        started_at=0,
        queued=False,
        needs_start_record=True,
    )


def save_attempt(connection: Connection, ended: AttemptResult) -> None:
    attempt = ended.attempt
    execute(
        connection,
        "INSERT OR REPLACE INTO attempt (run_id, attempt, token, started_at, finished_at, outcome,"
        " error, lines) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        (
            attempt.run_id,
            attempt.attempt_number,
            attempt.token,
            attempt.started_at or None,
            ended.finished_at,
            ended.outcome,
            ended.error,
            ended.lines,
        ),
    )


def _called_back(
    connection: Connection, ended: AttemptResult, now: Instant, node: int
) -> list[ClaimedAttempt]:
    told = _told(ended)
    found: list[ClaimedAttempt] = []
    for callback in ended.next_step.callbacks:
        found.extend(_call_back(connection, callback, told, now, node))
    return found


def _call_back(
    connection: Connection, callback: Callback, told: str, now: Instant, node: int
) -> list[ClaimedAttempt]:
    if callback.kind == "service":
        job = Job(name="", service=callback.name, trigger=OneTime(start=now), extra=told)
        return [enqueue.enqueue_call(connection, job, now, node, kind="callback")]
    found = fetch_value(
        connection,
        "SELECT id FROM job WHERE name = ? AND deleted_at IS NULL AND is_active",
        (callback.name,),
    )
    if found is None:
        return []
    job = jobs.get(connection, found).job
    return enqueue.enqueue_runs(connection, found, job, now, node, kind="callback")


def _told(ended: AttemptResult) -> str:
    """What a callback service receives, in Zato's words."""
    attempt = ended.attempt
    started = attempt.started_at or ended.finished_at
    told = {
        "job_id": attempt.job_id,
        "job_name": attempt.job.name,
        "outcome": ended.next_step.outcome,
        "duration_ms": (ended.finished_at - started) // 1000,
        "error_traceback": ended.error,
        "current_run": attempt.run_number,
        "audit_event_id": attempt.run_id,
    }
    return msgspec.json.encode(told).decode()


def _count_failures(
    connection: Connection, ended: AttemptResult, now: Instant, begun: StartedRuns
) -> Sequence[int]:
    """How many runs failed in a row; the job is paused when that is too many."""
    attempt = ended.attempt
    if ended.next_step.outcome == "ok":
        execute(
            connection,
            "UPDATE timer SET failures = 0 WHERE job_id = ? AND failures > 0",
            (attempt.job_id,),
        )
        return ()
    failures = fetch_value(
        connection, "SELECT failures FROM timer WHERE job_id = ?", (attempt.job_id,)
    )
    if failures is None:
        return ()
    settled = _as_known(ended, failures, now)
    execute(
        connection,
        "UPDATE timer SET failures = ? WHERE job_id = ?",
        (settled.failures, attempt.job_id),
    )
    if settled.pause_note is None:
        return ()
    note = settled.pause_note
    return jobs.edit(
        connection,
        attempt.job_id,
        lambda job: msgspec.structs.replace(job, is_active=False, pause_note=note),
        now,
        begun,
    ).revoked


def _as_known(ended: AttemptResult, failures: int, now: Instant) -> NextStep:
    attempt = ended.attempt
    return next_step(
        attempt.job,
        ended.next_step.outcome or "error",
        attempt.counted_attempts,
        attempt.crashes,
        failures,
        now,
        job_id=attempt.job_id,
        slot=attempt.slot,
    )
