"""Recovery: hands the runs of dead nodes on, releases claims, and records deferred starts."""

from collections.abc import Callable, Collection, Sequence
from typing import Literal, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt, StartedRuns
from zato_lite.store.completion import complete_attempts, save_attempt
from zato_lite.store.dialect import AMONG_NUMBERS, SKIPPING_LOCKED
from zato_lite.store.holds import IS_HELD, hold_these
from zato_lite.store.jobs import EditResult
from zato_lite.store.journal import Journal
from zato_lite.store.ports import Connection, Row
from zato_lite.store.rows import RunKind, RunState
from zato_lite.store.sql import (
    advance,
    execute,
    fetch_ids,
    fetch_value,
    read_rows,
    write_and_tell,
)
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.outcome import NextStep, next_step

SUSPECT = 2
"""Processes that must have died during a run to make it a suspect: it may be the cause."""

TOGETHER = SECOND
"""Of the runs that a death hit, those that began this long before the last one come first."""

JournalOf = Callable[[int], Journal | None]
"""Returns what a dead node's journal says."""


# Runs that node ? has claimed for an instant up to ?.
_CLAIMED = """SELECT id, token, crashes FROM run
    WHERE outcome IS NULL AND node = ? AND state = 'claimed' AND slot <= ?"""


# An open run of job ?1 that run ?2, of slot ?3, has to wait for.
_PREDECESSOR = """SELECT 1 FROM run WHERE job_id = ?1 AND outcome IS NULL AND id <> ?2
    AND (state <> 'queued' OR (slot, id) < (?3, ?2))"""


_DEFINITION_IF_SHARED = """SELECT definition FROM job WHERE id = ?
    AND EXISTS (SELECT 1 FROM node WHERE id <> ?)"""


def _no_journal(_: int) -> Journal | None:
    return None


class RecoveryResult(NamedTuple):
    """The result of a recovery.

    Attributes:
        attempts: claimed for this node, callbacks included.
        closed: the number of runs that get no further attempt.
        has_more: the limit was reached.
        paused: jobs that were paused, because their runs were lost.
    """

    attempts: Sequence[ClaimedAttempt]
    closed: int
    has_more: bool
    paused: Sequence[EditResult] = ()


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
    alone: int
    shutdowns: int
    retry_at: Instant | None
    started_at: Instant | None
    path: tuple[str, ...] | None
    job: Job
    cid: str
    is_deleted: bool
    requested_by: str
    is_held: bool
    wish: str | None


def recover_runs(
    connection: Connection,
    node: int,
    now: Instant,
    *,
    limit: int = 1000,
    deaths: "Deaths | None" = None,
    elsewhere: Collection[str] = (),
) -> RecoveryResult:
    """Claim the next attempts of runs whose node has no record any more, as ``on_crash`` says.

    Runs that their node had not started are claimed as they are, according to its journal; without
    one, all claimed runs count as started. ``deaths`` is the same for all parts of a recovery.
    Runs of services ``elsewhere`` are for nodes that have them.
    """
    open_runs = read_rows(connection, _OPEN_RUNS, (limit,), _OpenRun)
    deaths = deaths or Deaths()
    unstarted: list[ClaimedAttempt] = []
    crashed: list[AttemptResult] = []
    closed: list[AttemptResult] = []
    here = [run for run in open_runs if run.job.service not in elsewhere]
    for run in here:
        attempt = _attempt_of(run, now)
        if run.is_deleted or run.wish == "cancel":
            reason = "the job was deleted" if run.is_deleted else None
            closed.append(AttemptResult(attempt, NextStep("cancelled"), "cancelled", now, reason))
            continue
        result = deaths.result(connection, run, attempt, now)
        if result is None:
            unstarted.append(attempt)
        elif result.next_step.outcome is None:
            crashed.append(result)
        else:
            closed.append(result)
    attempts = _move_to_node(connection, unstarted, node)
    attempts += _rerun(connection, crashed, node, now)
    attempts.sort(key=lambda attempt: attempt.run_id)
    taken = {attempt.run_id for attempt in attempts}
    held = [run.id for run in here if run.is_held and run.id in taken]
    hold_these(connection, held)
    completed = complete_attempts(connection, closed, now, node)
    left_out = {*held, *completed.revoked}
    attempts = [attempt for attempt in attempts if attempt.run_id not in left_out]
    attempts.extend(completed.callbacks)
    has_more = bool(here) and len(open_runs) == limit
    return RecoveryResult(attempts, len(closed), has_more, completed.paused)


class _Death(NamedTuple):
    """The death of a process.

    Attributes:
        hit: ids of the runs that were running. suspects: those that were suspects already.
        latest: the start of the one that began last; 0 if not known.
    """

    journal: Journal | None
    hit: frozenset[int]
    suspects: frozenset[int]
    latest: Instant


class Deaths:
    """The deaths of processes, and what each says about the runs that were open.

    Args:
        journal_of: returns what a dead node's journal says.
    """

    def __init__(self, journal_of: JournalOf = _no_journal) -> None:
        self._journal_of = journal_of
        self._deaths: dict[int, _Death] = {}

    def result(
        self, connection: Connection, run: _OpenRun, attempt: ClaimedAttempt, now: Instant
    ) -> AttemptResult | None:
        """Return how a run's attempt ended; None if it had not started."""
        if run.node == 0:
            return None
        death = self._deaths.get(run.node) or self._find(connection, run.node, now)
        began = None if death.journal is None else death.journal.get(run.token)
        is_unstarted = run.state != "claimed" or run.slot > now
        if is_unstarted if death.journal is None else began is None:
            if not death.suspects:
                attempt.alone = 0  # a process died while no suspect ran: something else does it
            return None
        if began is not None:
            attempt.started_at = began.at
            if not began.is_running:
                return _unsaved_result(attempt, now)
        attempt.crashes += 1
        attempt.is_suspect = attempt.crashes >= SUSPECT
        attempt.was_hit = began is None or began.at >= death.latest - TOGETHER
        rivals = death.suspects if run.id in death.suspects else death.hit
        began_last = began is not None and began.at >= death.latest
        attempt.alone += rivals <= {run.id} or (attempt.job.on_crash == "fail" and began_last)
        return _crash_result(attempt, now)

    def _find(self, connection: Connection, node: int, now: Instant) -> _Death:
        rows = connection.execute(_CLAIMED, (node, now))
        journal, claimed = self._journal_of(node), list(rows)
        hit = [
            (run_id, crashes)
            for run_id, token, crashes in claimed
            if journal is None or ((began := journal.get(token)) is not None and began.is_running)
        ]
        suspects = frozenset(run_id for run_id, crashes in hit if crashes >= SUSPECT)
        starts = [began.at for began in (journal or {}).values() if began.is_running]
        ids = frozenset(run_id for run_id, _ in hit)
        death = _Death(journal, ids, suspects, max(starts, default=0))
        self._deaths[node] = death
        return death


def _unsaved_result(attempt: ClaimedAttempt, now: Instant) -> AttemptResult:
    """Return the result of an attempt that ended before its process died."""
    attempt.shutdowns += 1
    job = attempt.job
    step = next_step(job, "lost", attempt.attempt_number, -1, 0, now, job_id=attempt.job_id)
    reason = "the process died before the result was saved"
    return AttemptResult(attempt, step, "lost", now, reason)


def _crash_result(attempt: ClaimedAttempt, now: Instant) -> AttemptResult:
    job, alone = attempt.job, attempt.alone
    step = next_step(job, "lost", attempt.attempt_number, alone, 0, now, job_id=attempt.job_id)
    reason = "the process died during the run"
    if step.is_quarantined:
        reason = f"quarantined: {attempt.crashes} processes died during this run"
        if attempt.crashes > alone:
            reason += f", {alone} of them while no other suspect ran"
    return AttemptResult(attempt, step, "lost", now, reason)


def record_start(
    connection: Connection, attempt: ClaimedAttempt, node: int
) -> Literal["start", "wait", "gone"]:
    """Record the start of an attempt that the store has as waiting: a crash counts from now on.

    Return ``wait`` if a run of the same job is in flight or queued before it, on any node; return
    ``gone`` if another node has it, or it was closed or is held. The attempt gets the job's
    present definition, which another node than this one may have changed.
    """
    if attempt.queued:
        values = (attempt.job_id, attempt.run_id, attempt.slot)
        if fetch_value(connection, _PREDECESSOR, values) is not None:
            return "wait"
    if attempt.job_id:
        definition = fetch_value(connection, _DEFINITION_IF_SHARED, (attempt.job_id, node))
        if definition is not None:
            attempt.job = msgspec.json.decode(definition, type=Job)
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
        f"SELECT job_id FROM timer WHERE job_id {AMONG_NUMBERS}",
        (connection.many(scheduled),),
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


# In the order of ids, but not by their index, which has all runs; the ones without an outcome are
# few. Up to ? runs without an outcome, with a job or on request, that no live node holds, nor is
# about to take.
_OPEN_RUNS = f"""SELECT r.id, r.job_id, r.number, r.slot, r.kind, r.state, r.node, r.token,
        r.attempt, r.crashes, r.alone,
        (SELECT count(*) FROM attempt a
            WHERE a.run_id = r.id AND a.outcome IN ('cancelled', 'lost')) - r.crashes AS shutdowns,
        r.retry_at, r.started_at, r.path, coalesce(c.definition, j.definition) AS job,
        coalesce(c.cid, '') AS cid, j.deleted_at IS NOT NULL AS is_deleted, r.requested_by,
        {IS_HELD} AS is_held, r.wish
    FROM (SELECT * FROM run r
          WHERE outcome IS NULL AND job_id >= 0
          AND NOT EXISTS (SELECT 1 FROM node n WHERE n.id = r.node)
          AND NOT (node = 0 AND wish IS NULL AND {IS_HELD}) ORDER BY +id LIMIT ?
          {SKIPPING_LOCKED}) r
    LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id ORDER BY r.id"""


def _attempt_of(run: _OpenRun, now: Instant) -> ClaimedAttempt:
    is_suspect = run.state == "waiting" and run.crashes >= SUSPECT and (run.retry_at or 0) <= now
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
        alone=run.alone,
        shutdowns=run.shutdowns,
        kind=run.kind,
        queued=run.state == "queued",
        needs_start_record=run.state != "claimed",
        cid=run.cid,
        is_suspect=is_suspect,
        path=run.path or (),
        started_at=run.started_at or 0,
        requested_by=run.requested_by,
    )


_MOVE = """WITH v ({columns}) AS ({rows})
    UPDATE run SET node = v.node, token = v.token, alone = v.alone, wish = NULL
    FROM v WHERE run.id = v.id AND run.token = v.old_token AND run.outcome IS NULL"""
_MOVE_COLUMNS = "id bigint, old_token bigint, token bigint, node bigint, alone bigint"

_RERUN = """WITH v ({columns}) AS ({rows})
    UPDATE run SET node = v.node, token = v.token, alone = v.alone, wish = NULL,
        attempt = v.attempt, crashes = v.crashes, state = v.state, retry_at = v.retry_at,
        started_at = v.started_at
    FROM v WHERE run.id = v.id AND run.token = v.old_token AND run.outcome IS NULL"""
_RERUN_COLUMNS = f"""{_MOVE_COLUMNS}, attempt bigint, crashes bigint, state text, retry_at bigint,
    started_at bigint"""


def _move_to_node(
    connection: Connection, attempts: Sequence[ClaimedAttempt], node: int
) -> list[ClaimedAttempt]:
    """Claim attempts that were not started for this node, unless another one was first."""
    tokens = _new_tokens(connection, len(attempts))
    rows = [
        (attempt.run_id, attempt.token, token, node, attempt.alone)
        for attempt, token in zip(attempts, tokens, strict=True)
    ]
    moved = write_and_tell(connection, _MOVE, "run.id", _MOVE_COLUMNS, rows)
    for attempt, token in zip(attempts, tokens, strict=True):
        attempt.token = token
    return [attempt for attempt in attempts if attempt.run_id in moved]


def _rerun(
    connection: Connection, results: Sequence[AttemptResult], node: int, now: Instant
) -> list[ClaimedAttempt]:
    """Save crashed attempts and claim the next ones, unless another node was first.

    A suspect's start is recorded only when it comes: if it kills this process too, only the
    suspects that have started by then count one more crash, even without a journal.
    """
    tokens = _new_tokens(connection, len(results))
    rows: list[Row] = []
    for result, token in zip(results, tokens, strict=True):
        attempt = result.attempt
        ids = (attempt.run_id, attempt.token, token, node, attempt.alone)
        state = ("waiting", now) if attempt.is_suspect else ("claimed", None)
        counts = (attempt.attempt_number + 1, attempt.crashes)
        rows.append((*ids, *counts, *state, attempt.started_at or None))
    changed = write_and_tell(connection, _RERUN, "run.id", _RERUN_COLUMNS, rows)
    taken: list[ClaimedAttempt] = []
    for result, token in zip(results, tokens, strict=True):
        if result.attempt.run_id in changed:
            save_attempt(connection, result)
            taken.append(
                msgspec.structs.replace(
                    result.attempt,
                    token=token,
                    attempt_number=result.attempt.attempt_number + 1,
                    start_at=now,
                    needs_start_record=result.attempt.is_suspect,
                    place=0,
                )
            )
    return taken


def _new_tokens(connection: Connection, count: int) -> list[int]:
    return advance(connection, "token", count) if count else []
