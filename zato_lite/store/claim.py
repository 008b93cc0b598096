"""Claiming: plans the jobs that are due, advances their timers and inserts their runs."""

from collections.abc import Collection, Sequence
from typing import Any, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.accounts import CREDENTIALS_VERSION
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.dialect import AMONG_NUMBERS, AMONG_TEXTS, texts
from zato_lite.store.enqueue import INSERT_RUNS, RUN_COLUMNS
from zato_lite.store.holds import IS_PAUSED, PAUSE_SETTING
from zato_lite.store.ledger import LedgerEntry, record_entries
from zato_lite.store.ports import Connection, Row
from zato_lite.store.rights import AllRights, all_rights
from zato_lite.store.sql import (
    NO_LIMIT,
    advance,
    fetch_ids,
    fetch_row,
    fetch_value,
    read_rows,
    write_rows,
)
from zato_lite.store.wishes import ask_to_cancel_jobs
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.job_plan import Downtime, Entry, JobPlan, JobState
from zato_lite.timetable.plan import plan

Position = tuple[Instant, int]
"""A place in the order of due jobs: the due instant and the job's id."""

FIRST_POSITION: Position = (-(2**62), 0)
"""Before every due instant and every job."""


class ClaimResult(NamedTuple):
    """The result of a claim.

    Attributes:
        attempts: claimed for this node alone.
        jobs_to_cancel: jobs whose runs in flight must be cancelled.
        position: where the next claim continues if ``has_more``.
        claim_again_at: the first instant up to the horizon at which another claim is needed, for
            jobs that could not be decided yet.
        next_due: the first due instant beyond the horizon.
        resumed: jobs whose pause has ended, so that their held runs may start.
        asked: other nodes, whose runs of ``jobs_to_cancel`` must be cancelled there.
        is_shared: the store has rows of other nodes, alive or not yet known to be dead.
        rights: of all users and keys, if they differ from those that the node knows.
        decided: slots that get no run, each with its job.
        timers: the rows of the planned jobs: the id, the next due instant and more.
    """

    attempts: Sequence[ClaimedAttempt]
    jobs_to_cancel: Sequence[int]
    position: Position
    has_more: bool
    claim_again_at: Instant | None = None
    next_due: Instant | None = None
    is_shared: bool = False
    rights: AllRights | None = None
    resumed: Sequence["ResumedJob"] = ()
    asked: Sequence[int] = ()
    decided: Sequence[tuple[int, Job, Entry]] = ()
    timers: Sequence[Row] = ()


class ResumedJob(NamedTuple):
    """A job whose pause has ended at its ``pause_until``, with its new version."""

    id: int
    job: Job
    version: int


class Share(NamedTuple):
    """A node's part of the jobs that are claimed ahead: whose id has this remainder.

    Attributes:
        rank: the node's place among the living ones. nodes: their number.
    """

    rank: int = 0
    nodes: int = 1


ALL = Share()
"""The share of a node that is alone."""

_DueJob = tuple[int, Instant, Instant, int, int, Instant, int, Job]
"""Job id, next_at, cursor, started, number, calm_until, runs without an outcome, definition."""


class _LockedTimer(NamedTuple):
    """The timer of a job that is due, locked for this transaction."""

    job_id: int
    next_at: Instant
    cursor: Instant
    started: int
    number: int
    calm_until: Instant


class _LockedJob(NamedTuple):
    """A job whose timer is locked, and the number of its runs without an outcome."""

    id: int
    definition: Job
    open_runs: int


# Is the scheduler paused? How many nodes are there? Which version of the rights is it?
_STATE = f"""SELECT EXISTS (SELECT 1 FROM setting WHERE name = ?),
    (SELECT count(*) FROM node), ({CREDENTIALS_VERSION})"""

# Up to ?4 jobs due by ?1, from position (?2, ?3) on; after ?5, only every ?6th, from ?7.
_DUE_JOBS = texts("due")
_AWAY = f"""AND NOT EXISTS (SELECT 1 FROM job away WHERE away.id = timer.job_id
    AND away.service {AMONG_TEXTS})"""
_ORDER = "ORDER BY next_at, job_id LIMIT"
_DUE_JOBS_HERE = {
    dialect: text.replace(_ORDER, f"{_AWAY} {_ORDER}") for dialect, text in _DUE_JOBS.items()
}

# What there is to know of jobs whose timers are locked; and the first due instant after ?1.
_LOCKED_JOBS = f"""SELECT j.id, j.definition,
        (SELECT count(*) FROM run r WHERE r.job_id = j.id AND r.outcome IS NULL)
    FROM job j WHERE j.id {AMONG_NUMBERS}"""
_NEXT_DUE = "SELECT min(next_at) FROM timer WHERE next_at > ?"
# Timers from position (?1, ?2) to (?3, ?4), of which this node's share after ?5 is every ?6th.
_COUNT_DUE = """SELECT count(*) FROM timer WHERE next_at BETWEEN ?1 AND ?3
    AND (next_at, job_id) > (?1, ?2) AND (next_at, job_id) <= (?3, ?4)
    AND (next_at <= ?5 OR job_id % ?6 = ?7)"""
_AFTER_LOCKS = f"SELECT {IS_PAUSED}, ({_COUNT_DUE}), ({_NEXT_DUE})"
_AFTER_LOCKS_HERE = f"SELECT {IS_PAUSED}, ({_COUNT_DUE} {_AWAY}), ({_NEXT_DUE})"

LOCKED_AGAIN = SECOND // 10
"""Microseconds after which a claim returns to timers that others had locked."""

# The first due instants after ?1 of this node's share, and after ?2 of the others.
_NEXT_SHARED = """SELECT (SELECT next_at FROM timer WHERE next_at > ?1 AND job_id % ?3 = ?4
        ORDER BY next_at LIMIT 1),
    (SELECT next_at FROM timer WHERE next_at > ?2 AND job_id % ?3 <> ?4
        ORDER BY next_at LIMIT 1)"""

# Advance the timers of planned jobs, and insert their runs unless their slots have one.
_INSERT_NEW_RUNS = f"{INSERT_RUNS} ON CONFLICT DO NOTHING"
_ADVANCE_TIMERS = texts("timers_advanced")
_TIMER_COLUMNS = "job_id bigint, next_at bigint, cursor bigint, started bigint, number bigint"

# Open runs of a job by state, and the number of the latest that is not queued.
_OPEN_RUNS = """SELECT count(*) FILTER (WHERE state <> 'queued'),
    count(*) FILTER (WHERE state = 'queued'),
    coalesce(max(number) FILTER (WHERE state <> 'queued'), 0)
    FROM run WHERE job_id = ? AND outcome IS NULL"""

_decode_due_jobs = msgspec.json.Decoder(list[_DueJob]).decode


def claim(
    connection: Connection,
    now: Instant,
    horizon: Instant,
    node: int,
    *,
    limit: int,
    position: Position = FIRST_POSITION,
    margin: Instant = 0,
    downtime: Downtime | None = None,
    rights_version: int | None = None,
    share: Share = ALL,
    elsewhere: Collection[str] = (),
) -> ClaimResult:
    """Claim the runs that are due, and those that will certainly be due by ``horizon``.

    A run is certain before its slot if its job has no run in flight and only one slot is due. All
    others are decided at their slot, or up to ``margin`` before it, if the run before them may
    have ended by then. Of several nodes, each claims its share ahead, and ``margin / 2`` before
    their slots those that are left; jobs of services ``elsewhere`` are for other nodes. Rights
    are returned if their version is not ``rights_version``.
    """
    is_paused, nodes, version = fetch_row(connection, _STATE, (PAUSE_SETTING,))
    rights = all_rights(connection) if rights_version not in (None, version) else None
    if is_paused:
        return ClaimResult((), (), position, has_more=False, rights=rights)
    is_shared = nodes > 1
    until = horizon if share is ALL else min(horizon, now + margin // 2)
    due_jobs, next_due_at, are_locked = _due_jobs(
        connection, (horizon, *position, limit, until, share.nodes, share.rank), elsewhere
    )
    batch = _Batch(connection, now, node, (horizon, margin), downtime)
    if are_locked:
        batch.later.append(now + LOCKED_AGAIN)
    for due in due_jobs:
        batch.plan(due)
    batch.write()
    asked: Sequence[int] = ()
    if is_shared and batch.jobs_to_cancel:
        asked = ask_to_cancel_jobs(connection, batch.jobs_to_cancel, node)
    has_more = len(due_jobs) == limit
    if has_more:
        position = max((due[1], due[0]) for due in due_jobs)
    else:
        if share is not ALL:
            next_due_at, others_at = fetch_row(
                connection, _NEXT_SHARED, (horizon, until, share.nodes, share.rank)
            )
            if others_at is not None:  # not one after another
                batch.later.append(max(others_at - margin // 2, now + margin // 4))
        if next_due_at is not None:
            batch.beyond.append(next_due_at)
    return ClaimResult(
        batch.attempts,
        batch.jobs_to_cancel,
        position,
        has_more,
        claim_again_at=min(batch.later, default=None),
        next_due=None if has_more else min(batch.beyond, default=None),
        is_shared=is_shared,
        rights=rights,
        resumed=batch.resumed,
        asked=asked,
        decided=batch.decided,
        timers=batch.timers,
    )


def _due_jobs(
    connection: Connection, values: Sequence[Any], elsewhere: Collection[str]
) -> tuple[list[_DueJob], Instant | None, bool]:
    """Return jobs due by the horizon, the first of the values, and the first due instant after it.

    PostgreSQL locks their timers first, and all else is read after that: a statement sees what
    was committed before it began, but a locked row as it is now. Timers that others have locked
    are left out: the last value is True if there may be some.
    """
    due_jobs = _DUE_JOBS
    if elsewhere:
        due_jobs, values = _DUE_JOBS_HERE, (*values, connection.many(sorted(elsewhere)))
    if connection.dialect == "sqlite":
        text, next_due_at = fetch_row(connection, due_jobs["sqlite"], values)
        return _decode_due_jobs(text) if text else [], next_due_at, False
    timers = read_rows(connection, due_jobs["postgres"], values, _LockedTimer)
    ids = connection.many([timer.job_id for timer in timers])
    jobs_by_id = {job.id: job for job in read_rows(connection, _LOCKED_JOBS, (ids,), _LockedJob)}
    due: list[_DueJob] = [
        (job_id, next_at, cursor, started, number, calm_until, job.open_runs, job.definition)
        for job_id, next_at, cursor, started, number, calm_until in timers
        if (job := jobs_by_id.get(job_id)) is not None
    ]
    horizon, after, after_id, limit, *rest = values
    last = (timers[-1].next_at, timers[-1].job_id) if len(timers) == limit else (horizon, NO_LIMIT)
    state = _AFTER_LOCKS_HERE if elsewhere else _AFTER_LOCKS
    is_paused, found, next_at = fetch_row(
        connection, state, (after, after_id, *last, *rest, horizon)
    )
    return ([], None, False) if is_paused else (due, next_at, found > len(timers))


class _Batch:
    """Collects the plans of many jobs and writes them together.

    Attributes:
        attempts, jobs_to_cancel: see ``ClaimResult``.
        resumed: see ``ClaimResult``.
        later: instants up to the horizon at which jobs need another claim.
        beyond: due instants of planned jobs beyond the horizon.
    """

    def __init__(
        self,
        connection: Connection,
        now: Instant,
        node: int,
        horizon_and_margin: tuple[Instant, Instant],
        downtime: Downtime | None,
    ) -> None:
        self._connection, self._now, self._node = connection, now, node
        (self._horizon, self._margin), self._downtime = horizon_and_margin, downtime
        self._calendars: dict[str, Calendar] | None = None
        self.timers: list[Row] = []
        self.decided: list[tuple[int, Job, Entry]] = []
        self._entries: list[LedgerEntry] = []
        self._starts: list[tuple[int, Job, int, Instant, Instant, bool]] = []
        self.attempts: list[ClaimedAttempt] = []
        self.jobs_to_cancel: list[int] = []
        self.resumed: list[ResumedJob] = []
        self.later: list[Instant] = []
        self.beyond: list[Instant] = []

    def plan(self, due: _DueJob) -> None:
        """Plan a job at its due instant, if that is still to come, or now."""
        job_id, next_at, cursor, started, number, calm_until, open_runs, job = due
        plan_at = next_at
        if next_at <= self._now:
            plan_at = self._now
        elif job.on_crash != "rerun" or not job.is_active or calm_until > self._now:
            # ``on_crash: fail`` would lose the run if the process died between claim and slot.
            # A calm job is being changed by another node.
            self.later.append(next_at)
            return
        elif open_runs:
            self._claim_again_before(next_at, cursor)
            return
        state = JobState(job_id, job, cursor, started)
        if open_runs:
            in_flight, queued, run_number = fetch_row(self._connection, _OPEN_RUNS, (job_id,))
            state = JobState(job_id, job, cursor, started, in_flight, queued, run_number)
        downtime = self._downtime
        if downtime is not None and next_at > downtime.last:
            downtime = None
        planned = plan(state, plan_at, self._calendars_for(job), downtime)
        if next_at > self._now and not _is_certain(planned):
            self.later.append(next_at)
            return
        self._add(planned, job_id, job, number, plan_at)

    def _calendars_for(self, job: Job) -> dict[str, Calendar]:
        if job.calendar is None:
            return {}
        if self._calendars is None:
            self._calendars = jobs.get_calendars(self._connection)
        return self._calendars

    def _add(self, planned: JobPlan, job_id: int, job: Job, number: int, at: Instant) -> None:
        if planned.entries:
            # Entries with a run between them get different run numbers, so they stay two rows.
            slots = [start.slot for start in planned.starts]
            self._entries.extend(
                (job_id, number + sum(slot < entry.first for slot in slots), entry)
                for entry in planned.entries
            )
            self.decided += [(job_id, job, entry) for entry in planned.entries]
        if planned.cancel_running:
            self.jobs_to_cancel.append(job_id)
        if planned.job is not None:
            has_resumed = planned.job.is_active and not job.is_active
            job = planned.job
            jobs.write_definition(self._connection, job_id, job)
            if has_resumed:
                version = jobs.clear_pause(self._connection, job_id)
                self.resumed.append(ResumedJob(job_id, job, version))
        for start in planned.starts:
            number += 1
            is_queued = start.queued or planned.cancel_running
            self._starts.append((job_id, job, number, start.slot, at, is_queued))
        next_at = planned.next_at
        self.timers.append((job_id, next_at, planned.cursor, planned.started, number))
        if next_at is None:
            return
        if next_at > self._horizon:
            self.beyond.append(next_at)
        else:
            self._claim_again_before(next_at, planned.cursor)

    def _claim_again_before(self, next_at: Instant, cursor: Instant) -> None:
        """Claim again before the slot: by then, the run in flight may have ended."""
        moment = next_at - min(self._margin, (next_at - cursor) // 4)
        self.later.append(moment if moment > self._now else next_at)

    def write(self) -> None:
        """Write timers, ledger entries and runs."""
        if self.timers:
            advance_timers = _ADVANCE_TIMERS[self._connection.dialect]
            write_rows(self._connection, advance_timers, _TIMER_COLUMNS, self.timers)
        if self._entries:
            record_entries(self._connection, self._entries)
        if self._starts:
            self._write_runs()

    def _write_runs(self) -> None:
        now, node = self._now, self._node
        tokens = advance(self._connection, "token", len(self._starts))
        rows: list[Row] = []
        attempts = self.attempts
        for token, (job_id, job, number, slot, at, queued) in zip(
            tokens, self._starts, strict=True
        ):
            state = "queued" if queued else "claimed"
            run = (token, job_id, number, slot, "scheduled", state, node, token, 1, 0, now)
            rows.append((*run, job.principal))
            attempts.append(
                ClaimedAttempt(
                    run_id=token,
                    job_id=job_id,
                    run_number=number,
                    slot=slot,
                    start_at=at,
                    token=token,
                    job=job,
                    queued=queued,
                    needs_start_record=queued,
                )
            )
        inserted = write_rows(self._connection, _INSERT_NEW_RUNS, RUN_COLUMNS, rows)
        if inserted < len(rows):  # the other slots already have a run
            ids = fetch_ids(
                self._connection,
                f"SELECT id FROM run WHERE id {AMONG_NUMBERS}",
                (self._connection.many(tokens),),
            )
            new_ids = set(ids)
            attempts[:] = [attempt for attempt in attempts if attempt.run_id in new_ids]


def _is_certain(planned: JobPlan) -> bool:
    return (
        len(planned.starts) == 1
        and not planned.entries
        and not planned.starts[0].queued
        and planned.job is None
    )


def next_due(connection: Connection, after: Instant) -> Instant | None:
    """Return the first instant after ``after`` at which a job must be planned."""
    instant: Instant | None = fetch_value(connection, _NEXT_DUE, (after,))
    return instant
