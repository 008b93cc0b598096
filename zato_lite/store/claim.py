"""What is due is claimed: jobs planned, their timers moved on, and their runs written."""

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from zato_lite.store import jobs, ledger, pauses
from zato_lite.store.ports import Connection, Row
from zato_lite.store.runs import INSERT, ClaimedAttempt
from zato_lite.store.statements import (
    fetch_ids,
    fetch_row,
    fetch_value,
    json_list,
    next_numbers,
    write_rows,
)
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.job_plan import Downtime, JobPlan, JobState
from zato_lite.timetable.plan import plan

FIRST_POSITION: tuple[Instant, int] = (-(2**62), 0)
"""Before every due instant and every job."""


class ClaimResult(NamedTuple):
    """What a claim found.

    Attributes:
        attempts: this node's alone. cancel: jobs whose runs in flight are to be cancelled.
        position: from here on, when there is ``more``.
        exact: the first instant up to the horizon at which to claim again: something is to be
            decided then, or can be that could not now.
        following: the first due instant beyond the horizon.
        is_shared: other processes are on the same database, or were when they died.
    """

    attempts: Sequence[ClaimedAttempt]
    jobs_to_cancel: Sequence[int]
    position: tuple[Instant, int]
    has_more: bool
    claim_again_at: Instant | None = None
    next_due: Instant | None = None
    is_shared: bool = False


_Due = tuple[int, Instant, Instant, int, int, int, Job]

_STATE = """SELECT EXISTS (SELECT 1 FROM setting WHERE name = ?),
    (SELECT count(*) FROM node)"""

_DUE = """SELECT '[' || group_concat('[' || t.job_id || ',' || t.next_at || ',' || t.cursor || ','
        || t.started || ',' || t.number || ','
        || (SELECT count(*) FROM run r WHERE r.job_id = t.job_id AND r.outcome IS NULL)
        || ',' || j.definition || ']') || ']',
        (SELECT min(next_at) FROM timer WHERE next_at > ?1)
    FROM (SELECT * FROM timer WHERE next_at <= ?1 AND next_at >= ?2
          AND (next_at > ?2 OR job_id > ?3)
          ORDER BY next_at, job_id LIMIT ?4) t JOIN job j ON j.id = t.job_id"""

_decode_due = msgspec.json.Decoder(list[_Due]).decode


def claim(
    connection: Connection,
    now: Instant,
    horizon: Instant,
    node: int,
    *,
    limit: int,
    position: tuple[Instant, int] = FIRST_POSITION,
    margin: Instant = 0,
    downtime: Downtime | None = None,
) -> ClaimResult:
    """Decide what is due, and what will be by ``horizon`` if nothing can come between.

    A run that is claimed before its instant is one that is sure to be: its job has nothing in
    flight, and one slot alone. All others are decided at their own instant, or, when the run
    before may have ended by then, up to ``margin`` before it.
    """
    is_paused, processes = fetch_row(connection, _STATE, (pauses.NAME,))
    if is_paused:
        return ClaimResult((), (), position, has_more=False)
    shared = processes > 1
    if shared:
        horizon = now  # nobody can hold what another process has claimed
    text, following = fetch_row(connection, _DUE, (horizon, *position, limit))
    due = _decode_due(text) if text else []
    batch = _Batch(connection, now, node, (horizon, margin), downtime)
    for line in due:
        batch.take(line)
    batch.write()
    exact = min(batch.later, default=None)
    if len(due) == limit:
        position = max((line[1], line[0]) for line in due)
        return ClaimResult(
            batch.attempts,
            batch.cancel,
            position,
            has_more=True,
            claim_again_at=exact,
            is_shared=shared,
        )
    return ClaimResult(
        batch.attempts,
        batch.cancel,
        position,
        has_more=False,
        claim_again_at=exact,
        next_due=min((*batch.beyond, *(() if following is None else (following,))), default=None),
        is_shared=shared,
    )


class _Batch:
    """The plans of many jobs in the making, written together.

    Attributes:
        attempts, cancel: see ``ClaimResult``.
        later: when to claim again for jobs that are due by the horizon.
        beyond: when jobs that were moved on are due, beyond the horizon.
    """

    def __init__(
        self,
        connection: Connection,
        now: Instant,
        node: int,
        ahead: tuple[Instant, Instant],
        downtime: Downtime | None,
    ) -> None:
        self._connection, self._now, self._node = connection, now, node
        (self._horizon, self._margin), self._downtime = ahead, downtime
        self._calendars: dict[str, Calendar] | None = None
        self._timers: list[Row] = []
        self._entries: list[ledger.Line] = []
        self._starts: list[tuple[int, Job, int, Instant, Instant, bool]] = []
        self.attempts: list[ClaimedAttempt] = []
        self.cancel: list[int] = []
        self.later: list[Instant] = []
        self.beyond: list[Instant] = []

    def take(self, due: _Due) -> None:
        """Plan one job, at its own instant if that is still to come."""
        job_id, next_at, cursor, started, number, in_flight, job = due
        at = next_at
        if next_at <= self._now:
            at = self._now
        elif job.on_crash != "rerun" or not job.is_active:
            self.later.append(next_at)
            return
        elif in_flight:
            self._look_again(next_at, cursor)
            return
        state = JobState(job_id, job, cursor, started)
        if in_flight:
            state = _with_runs(self._connection, state)
        down = self._downtime
        if down is not None and next_at > down.last:
            down = None
        planned = plan(state, at, self._known(job), down)
        if next_at > self._now and not _is_sure(planned):
            self.later.append(next_at)
            return
        self._keep(planned, job_id, job, number, at)

    def _known(self, job: Job) -> dict[str, Calendar]:
        if job.calendar is None:
            return {}
        if self._calendars is None:
            self._calendars = jobs.get_calendars(self._connection)
        return self._calendars

    def _keep(self, planned: JobPlan, job_id: int, job: Job, number: int, at: Instant) -> None:
        if planned.entries:
            # The number of the run before it: entries with a run between them are two rows.
            slots = [start.slot for start in planned.starts]
            self._entries.extend(
                (job_id, number + sum(slot < entry.first for slot in slots), entry)
                for entry in planned.entries
            )
        if planned.cancel_running:
            self.cancel.append(job_id)
        if planned.job is not None:
            if planned.job.is_active and not job.is_active:
                jobs.unpause(self._connection, job_id)
            job = planned.job
            jobs.write_definition(self._connection, job_id, job)
        for start in planned.starts:
            number += 1
            behind = start.queued or planned.cancel_running
            self._starts.append((job_id, job, number, start.slot, at, behind))
        next_at = planned.next_at
        self._timers.append((job_id, next_at, planned.cursor, planned.started, number))
        if next_at is None:
            return
        if next_at > self._horizon:
            self.beyond.append(next_at)
        else:
            self._look_again(next_at, planned.cursor)

    def _look_again(self, next_at: Instant, cursor: Instant) -> None:
        """In time to claim a slot ahead: the run of the one before may have ended by then."""
        moment = next_at - min(self._margin, (next_at - cursor) // 4)
        self.later.append(moment if moment > self._now else next_at)

    def write(self) -> None:
        """Move the jobs on, and write down what runs and what does not."""
        if self._timers:
            write_rows(
                self._connection,
                # Half the price of UPDATE … FROM; the rows are there.
                "INSERT INTO timer (job_id, next_at, cursor, started, number) VALUES {rows}"
                " ON CONFLICT (job_id) DO UPDATE SET next_at = excluded.next_at,"
                " cursor = excluded.cursor, started = excluded.started,"
                " number = excluded.number",
                self._timers,
            )
        if self._entries:
            ledger.write(self._connection, self._entries)
        if not self._starts:
            return
        now, node = self._now, self._node
        tokens = next_numbers(self._connection, "token", len(self._starts))
        rows: list[Row] = []
        attempts = self.attempts
        for token, (job_id, job, number, slot, at, queued) in zip(
            tokens, self._starts, strict=True
        ):
            state = "queued" if queued else "claimed"
            rows.append((token, job_id, number, slot, "scheduled", state, node, token, 1, 0, now))
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
        written = write_rows(self._connection, f"{INSERT} ON CONFLICT DO NOTHING", rows)
        if written < len(rows):  # these slots have had their run
            ids = json_list(tokens)
            kept = fetch_ids(
                self._connection,
                "SELECT id FROM run WHERE id IN (SELECT value FROM json_each(?))",
                (ids,),
            )
            there = set(kept)
            attempts[:] = [attempt for attempt in attempts if attempt.run_id in there]


def _is_sure(planned: JobPlan) -> bool:
    return (
        len(planned.starts) == 1
        and not planned.entries
        and not planned.starts[0].queued
        and planned.job is None
    )


def _with_runs(connection: Connection, state: JobState) -> JobState:
    counts = next(
        connection.execute(
            "SELECT count(*) FILTER (WHERE state <> 'queued'),"
            " count(*) FILTER (WHERE state = 'queued'),"
            " coalesce(max(number) FILTER (WHERE state <> 'queued'), 0)"
            " FROM run WHERE job_id = ? AND outcome IS NULL",
            (state.id,),
        )
    )
    in_flight, queued, number = counts
    return msgspec.structs.replace(state, in_flight=in_flight, queued=queued, run_number=number)


def next_due(connection: Connection, after: Instant) -> Instant | None:
    """The first instant after a moment at which a job is to be looked at."""
    found: Instant | None = fetch_value(
        connection, "SELECT min(next_at) FROM timer WHERE next_at > ?", (after,)
    )
    return found
