"""Completion: saves attempt results with everything that follows from them."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store import enqueue, jobs, wishes
from zato_lite.store.attempts import NO_STARTED_RUNS, AttemptResult, ClaimedAttempt, StartedRuns
from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.holds import hold_if_paused, is_paused
from zato_lite.store.ports import Connection
from zato_lite.store.sql import (
    advance,
    execute,
    fetch_ids,
    fetch_value,
    lock_jobs,
    write_and_tell,
    write_rows,
)
from zato_lite.timetable.job import NOTICE, Instant, Job, OneTime
from zato_lite.timetable.outcome import Callback, NextStep, next_step


class CompletionResult(NamedTuple):
    """The consequences of a batch of results.

    Attributes:
        refused: stale results; nothing of them was saved.
        next_attempts: of runs that are not done.
        callbacks: attempts of new runs that the results cause.
        paused: jobs that these have paused, with the ids of runs whose claims were revoked.
        held: attempts of runs whose next attempt waits for the end of a pause.
        to_ring: other nodes that have queued runs behind these, or runs of a job paused by them.
    """

    refused: Sequence[AttemptResult]
    next_attempts: Sequence[ClaimedAttempt]
    callbacks: Sequence[ClaimedAttempt]
    paused: Sequence[jobs.EditResult] = ()
    held: Sequence[ClaimedAttempt] = ()
    to_ring: frozenset[int] = frozenset()

    @property
    def revoked(self) -> Sequence[int]:
        """The ids of runs whose claims were revoked, because their job was paused."""
        return [run_id for edit in self.paused for run_id in edit.revoked]


SYSTEM = "system"
"""Author of a pause that the server makes, and of its end at an instant."""

_UNQUEUED = frozenset({"skip", "allow"})
"""Values of ``on_overlap`` with which no run of the job waits for another one."""

_PAUSED_JOBS = f"SELECT id FROM job WHERE NOT is_active AND id {AMONG_NUMBERS}"

# Close runs, unless their token is stale or they are closed already.
_CLOSE_RUNS = """WITH v ({columns}) AS ({rows})
    UPDATE run SET outcome = v.outcome, started_at = v.started_at, state = 'done',
    finished_at = v.finished_at, error = v.error, result = v.result
    FROM v WHERE run.id = v.id AND run.token = v.token AND run.outcome IS NULL"""

_CLOSED_COLUMNS = """token bigint, id bigint, outcome text, started_at bigint, finished_at bigint,
    error text, result text"""

_SAVE_LOGS = """INSERT INTO run_log ({columns}) {rows}
    ON CONFLICT (run_id) DO UPDATE SET lines = excluded.lines"""

_SAVE_ATTEMPT = """INSERT INTO attempt (run_id, attempt, token, started_at, finished_at, outcome,
    error, lines) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
    ON CONFLICT (run_id, attempt) DO UPDATE SET token = excluded.token,
    started_at = excluded.started_at, finished_at = excluded.finished_at,
    outcome = excluded.outcome, error = excluded.error, lines = excluded.lines"""

_ACTIVE_JOB = "SELECT id FROM job WHERE name = ? AND deleted_at IS NULL AND is_active"

# Prepare a run for its next attempt, unless the token is stale or the run is closed.
_AWAIT_NEXT_ATTEMPT = """UPDATE run SET state = 'waiting', retry_at = ?, token = ?, attempt = ?,
    crashes = ?, alone = ?, started_at = ?, error = ?
    WHERE id = ? AND token = ? AND outcome IS NULL"""

_HAS_FAILING = "SELECT EXISTS (SELECT 1 FROM timer WHERE failures > 0)"
_END_FAILURES = "UPDATE timer SET failures = 0 WHERE job_id = ? AND failures > 0"
_END_MANY_FAILURES = f"UPDATE timer SET failures = 0 WHERE failures > 0 AND job_id {AMONG_NUMBERS}"
_ADD_FAILURES = "UPDATE timer SET failures = failures + ? WHERE job_id = ?"


def complete_attempts(  # noqa: PLR0917 - the results, then who and when
    connection: Connection,
    results: Sequence[AttemptResult],
    now: Instant,
    node: int,
    started: StartedRuns = NO_STARTED_RUNS,
    is_shared: bool = False,
) -> CompletionResult:
    """Save results with everything that follows from them; refuse stale results.

    If the store ``is_shared``, other nodes may have runs that wait for these.
    """
    results = [_without_deleted_job(connection, result) for result in results]
    final = [result for result in results if result.next_step.outcome is not None]
    tokens = _close_runs(connection, final)
    closed = _closed_by(final, tokens)
    refused = [] if closed is final else _find_stale(connection, final, tokens)
    _save_logs(connection, closed)
    _note_failures(connection, closed)
    next_attempts: list[ClaimedAttempt] = []
    callbacks: list[ClaimedAttempt] = []
    paused: list[jobs.EditResult] = []
    held: list[ClaimedAttempt] = []
    for result in results:
        if result.next_step.outcome is None:
            attempt = _prepare_next_attempt(connection, result, now)
            if attempt is None:
                refused.append(result)
            elif hold_if_paused(connection, attempt):
                held.append(attempt)
            else:
                next_attempts.append(attempt)
        elif result.attempt.token in tokens:
            if result.next_step.callbacks:
                callbacks.extend(_enqueue_callbacks(connection, result, now, node))
            if result.outcome == "lost":
                result = _with_pause(connection, result)  # noqa: PLW2901 - its consequences
            if result.next_step.pause_note is not None and result.attempt.job_id:
                paused += _pause(connection, result, now, started)
            elif result.attempt.job.pause_after_failures is not None:
                paused += _count_failures(connection, result, now, started)
    to_ring = _nodes_behind(connection, final, now, node) if is_shared else frozenset()
    return CompletionResult(refused, next_attempts, callbacks, paused, held, to_ring)


def _nodes_behind(
    connection: Connection, final: Sequence[AttemptResult], now: Instant, node: int
) -> frozenset[int]:
    """Return the nodes whose runs wait for these; ask for runs of jobs that these have paused."""
    queues = {
        result.attempt.job_id
        for result in final
        if result.attempt.job_id
        and (result.attempt.kind == "backfill" or result.attempt.job.on_overlap not in _UNQUEUED)
    }
    failed = {
        result.attempt.job_id
        for result in final
        if result.outcome != "ok"
        and (result.next_step.pause_note or result.attempt.job.pause_after_failures is not None)
    }
    found = set(wishes.waiting_nodes(connection, queues, node)) if queues else set()
    if failed:
        paused = fetch_ids(connection, _PAUSED_JOBS, (connection.many(failed),))
        asked = wishes.ask_owners(connection, paused, node, now)
        found |= asked.nodes if asked is not None else set()
    return frozenset(found)


def _without_deleted_job(connection: Connection, result: AttemptResult) -> AttemptResult:
    """Make the result of a deleted job's run final: it gets no further attempt."""
    if result.next_step.outcome is not None or not result.attempt.job_id:
        return result
    exists = "SELECT 1 FROM timer WHERE job_id = ?"
    if fetch_value(connection, exists, (result.attempt.job_id,)) is not None:
        return result
    return msgspec.structs.replace(result, next_step=NextStep(result.outcome))


def _close_runs(connection: Connection, final: Sequence[AttemptResult]) -> set[int]:
    """Save outcomes and return the tokens of the attempts whose runs are closed by them."""
    rows = [
        (
            result.attempt.token,
            result.attempt.run_id,
            result.next_step.outcome,
            result.attempt.started_at or None,
            result.finished_at,
            result.error,
            result.result,
        )
        for result in final
    ]
    closed = write_and_tell(connection, _CLOSE_RUNS, "run.token", _CLOSED_COLUMNS, rows)
    for result in final:
        if result.outcome == "lost" and result.attempt.token in closed:
            execute(
                connection,
                "UPDATE run SET crashes = ?, alone = ? WHERE id = ? AND token = ?",
                (
                    result.attempt.crashes,
                    result.attempt.alone,
                    result.attempt.run_id,
                    result.attempt.token,
                ),
            )
    return closed


def _closed_by(final: Sequence[AttemptResult], tokens: set[int]) -> Sequence[AttemptResult]:
    """Return the results of the attempts with these tokens; usually all."""
    if len(tokens) == len(final):
        return final
    return [result for result in final if result.attempt.token in tokens]


def is_saved(connection: Connection, run_id: int, token: int, finished_at: Instant) -> bool:
    """Return True if a successful result is saved; waits for a transaction that may save it."""
    lock = "" if connection.dialect == "sqlite" else " FOR UPDATE"
    row = f"SELECT outcome, finished_at FROM run WHERE id = ? AND token = ?{lock}"
    return list(connection.execute(row, (run_id, token))) == [("ok", finished_at)]


def _find_stale(
    connection: Connection, final: Sequence[AttemptResult], closed: set[int]
) -> list[AttemptResult]:
    """Return the results whose run has a newer token or another outcome.

    Results that were saved before, by a commit whose answer was lost, are not among them.
    """
    saved = "SELECT 1 FROM run WHERE id = ? AND token = ? AND outcome = ? AND finished_at = ?"
    return [
        result
        for result in final
        if result.attempt.token not in closed
        and fetch_value(
            connection,
            saved,
            (
                result.attempt.run_id,
                result.attempt.token,
                result.next_step.outcome,
                result.finished_at,
            ),
        )
        is None
    ]


def _save_logs(connection: Connection, closed: Sequence[AttemptResult]) -> None:
    rows = [(result.attempt.run_id, result.lines) for result in closed if result.lines is not None]
    write_rows(connection, _SAVE_LOGS, "run_id bigint, lines json", rows)


def _prepare_next_attempt(
    connection: Connection, result: AttemptResult, now: Instant
) -> ClaimedAttempt | None:
    """Save a result and claim the next attempt of its run; None if the result is stale."""
    attempt = result.attempt
    token = advance(connection, "token", 1)[0]
    changed = execute(
        connection,
        _AWAIT_NEXT_ATTEMPT,
        (
            result.next_step.retry_at,
            token,
            attempt.attempt_number + 1,
            attempt.crashes,
            attempt.alone if result.outcome == "lost" else 0,
            attempt.started_at or None,
            result.error,
            attempt.run_id,
            attempt.token,
        ),
    )
    if not changed:
        return None
    save_attempt(connection, result)
    return msgspec.structs.replace(
        attempt,
        token=token,
        attempt_number=attempt.attempt_number + 1,
        start_at=result.next_step.retry_at or now,
        started_at=0,
        place=0,
        is_suspect=False,
        was_hit=False,
        alone=attempt.alone if result.outcome == "lost" else 0,
        queued=False,
        needs_start_record=True,
    )


def save_attempt(connection: Connection, result: AttemptResult) -> None:
    """Save the result of an attempt that another attempt follows."""
    attempt = result.attempt
    execute(
        connection,
        _SAVE_ATTEMPT,
        (
            attempt.run_id,
            attempt.attempt_number,
            attempt.token,
            attempt.started_at or None,
            result.finished_at,
            result.outcome,
            result.error,
            result.lines,
        ),
    )


def _enqueue_callbacks(
    connection: Connection, result: AttemptResult, now: Instant, node: int
) -> list[ClaimedAttempt]:
    """Insert the runs of a result's callbacks; while the scheduler is paused, for no node."""
    payload = _callback_payload(result)
    principal = result.attempt.job.principal
    if result.outcome == "denied":
        principal = NOTICE + principal.removeprefix(NOTICE)
    is_held = is_paused(connection)
    owner = 0 if is_held else node
    attempts = [
        attempt
        for callback in result.next_step.callbacks
        for attempt in _enqueue_callback(
            connection, result, callback, payload, now, principal=principal, node=owner
        )
    ]
    path = (*result.attempt.path, result.attempt.job.name)
    cause = result.attempt.run_id
    started = [each for each in attempts if enqueue.set_cause(connection, each, cause, path, now)]
    return [] if is_held else started


def _enqueue_callback(
    connection: Connection,
    result: AttemptResult,
    callback: Callback,
    payload: str,
    now: Instant,
    *,
    principal: str,
    node: int,
) -> list[ClaimedAttempt]:
    """Insert the run of a callback: a service for the principal, a job for the job's own."""
    if callback.kind == "service":
        job = Job(
            name="",
            service=callback.name,
            trigger=OneTime(start=now),
            extra=payload,
            principal=principal,
        )
        return [enqueue.enqueue_call(connection, job, now, node, kind="callback")]
    job_id = fetch_value(connection, _ACTIVE_JOB, (callback.name,))
    if job_id is None:  # renamed since the attempt was claimed?
        name = _present_name(connection, result)
        job_id = None if name is None else fetch_value(connection, _ACTIVE_JOB, (name,))
    if job_id is None:
        return []
    job = jobs.get(connection, job_id).job
    return enqueue.enqueue_runs(
        connection, job_id, job, now, node, kind="callback", requested_by=principal
    )


def _present_name(connection: Connection, result: AttemptResult) -> str | None:
    """Return the job that a result's job calls back according to its present definition."""
    if not result.attempt.job_id:
        return None
    job = jobs.get_if_exists(connection, result.attempt.job_id)
    if job is None:
        return None
    return job.on_success_job if result.next_step.outcome == "ok" else job.on_error_job


def _callback_payload(result: AttemptResult) -> str:
    """Return the input of a callback service, with the field names that Zato uses."""
    attempt = result.attempt
    started_at = attempt.started_at or result.finished_at
    payload = {
        "job_id": attempt.job_id,
        "job_name": attempt.job.name,
        "outcome": result.next_step.outcome,
        "duration_ms": (result.finished_at - started_at) // 1000,
        "error_traceback": result.error,
        "current_run": attempt.run_number,
        "audit_event_id": attempt.run_id,
    }
    return msgspec.json.encode(payload).decode()


def _with_pause(connection: Connection, result: AttemptResult) -> AttemptResult:
    """Have a job paused whose runs are not repeated and whose latest ones all were lost.

    They count only if they were alone, or the last to begin: other runs are lost with a process
    that something else ends.
    """
    job, attempt = result.attempt.job, result.attempt
    if job.on_crash != "fail" or not attempt.job_id or not attempt.alone:
        return result
    latest = (
        "SELECT count(*) FILTER (WHERE outcome = 'lost' AND alone > 0) FROM"
        " (SELECT * FROM run WHERE job_id = ? AND outcome IS NOT NULL"
        " ORDER BY id DESC LIMIT ?) latest"
    )
    lost = fetch_value(connection, latest, (attempt.job_id, job.max_crashes))
    if lost < job.max_crashes:
        return result
    note = f"paused automatically: {lost} runs in a row were lost with their process"
    step = msgspec.structs.replace(result.next_step, pause_note=note)
    return msgspec.structs.replace(result, next_step=step)


def _note_failures(connection: Connection, closed: Sequence[AttemptResult]) -> None:
    """Update the number of failed runs in a row of jobs that these do not pause."""
    if not closed:
        return
    outcomes = {result.next_step.outcome for result in closed}
    if outcomes == {"ok"} and not fetch_value(connection, _HAS_FAILING):
        return  # the usual case: there is no count to end
    ended: set[int] = set()
    failures: dict[int, int] = {}
    for result in closed:
        job_id, outcome = result.attempt.job_id, result.next_step.outcome
        is_limited = result.attempt.job.pause_after_failures is not None
        if not job_id or outcome == "cancelled" or is_limited:
            continue
        if outcome == "ok":
            ended.add(job_id)
            failures.pop(job_id, None)
        else:
            failures[job_id] = failures.get(job_id, 0) + 1
    if len(ended) == 1:
        execute(connection, _END_FAILURES, (*ended,))
    elif ended:
        execute(connection, _END_MANY_FAILURES, (connection.many(ended),))
    for job_id, count in sorted(failures.items()):
        execute(connection, _ADD_FAILURES, (count, job_id))


def _count_failures(
    connection: Connection, result: AttemptResult, now: Instant, started: StartedRuns
) -> Sequence[jobs.EditResult]:
    """Update the job's failures in a row; pause it at its limit and return it then."""
    attempt = result.attempt
    job_id = attempt.job_id
    if result.next_step.outcome == "ok":
        execute(
            connection,
            "UPDATE timer SET failures = 0 WHERE job_id = ? AND failures > 0",
            (job_id,),
        )
        return ()
    lock_jobs(connection, [job_id])
    failures = fetch_value(connection, "SELECT failures FROM timer WHERE job_id = ?", (job_id,))
    if failures is None:  # the job was deleted
        return ()
    # Decided again, because only the store knows the number of failures in a row.
    decided = next_step(
        attempt.job,
        result.next_step.outcome or "error",
        attempt.counted_attempts,
        attempt.crashes,
        failures,
        now,
        job_id=job_id,
        slot=attempt.slot,
    )
    execute(
        connection, "UPDATE timer SET failures = ? WHERE job_id = ?", (decided.failures, job_id)
    )
    if decided.pause_note is None:
        return ()
    return _pause(connection, msgspec.structs.replace(result, next_step=decided), now, started)


def _pause(
    connection: Connection, result: AttemptResult, now: Instant, started: StartedRuns
) -> Sequence[jobs.EditResult]:
    """Pause the job of a result with its note, and return it unless it was deleted."""
    job_id = result.attempt.job_id
    exists = "SELECT 1 FROM timer WHERE job_id = ?"
    if fetch_value(connection, exists, (job_id,)) is None:  # the job was deleted
        return ()

    def pause(job: Job) -> Job:
        return msgspec.structs.replace(
            job, is_active=False, pause_note=result.next_step.pause_note
        )

    return [jobs.edit(connection, job_id, pause, now, started, by=SYSTEM)]
