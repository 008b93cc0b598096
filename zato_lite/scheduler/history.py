"""Run history: past and current runs, their attempts and log lines, and slots without a run."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import history
from zato_lite.store.confined import confined_summary
from zato_lite.store.history import HistoryQuery, Relations, SummaryQuery
from zato_lite.store.ports import Database
from zato_lite.store.rows import AttemptRow, EarlierLines, LedgerRow, LogLine, RunRow, Summary
from zato_lite.store.visibility import Permits
from zato_lite.timetable.describe import duration
from zato_lite.timetable.job import Instant, Job


class Neighbours(NamedTuple):
    """Numbers of the runs of the same job before and after a run."""

    previous: int | None
    following: int | None


class RunHistory:
    """Queries about runs; none changes anything."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock

    async def history(
        self,
        job_id: int | None = None,
        *,
        limit: int = 50,
        offset: int = 0,
        since: Instant | None = None,
        outcomes: Collection[str] = (),
        numbers: Collection[int] = (),
    ) -> tuple[Sequence[RunRow], int]:
        """Return runs, newest first, and the total number of finished ones.

        Args:
            job_id: only runs of this job.
            limit: maximum number of runs to return.
            offset: number of runs to leave out at the beginning.
            since: only runs claimed or finished at or after this instant.
            outcomes: only runs with one of these outcomes; runs in flight always match.
            numbers: runs of the job to include even if they are older than ``since``.
        """
        query = HistoryQuery(job_id, limit, offset, since, outcomes, numbers)
        rows, total = await self._database.read(lambda c: history.history(c, query))
        return [self._with_start(row) for row in rows], total

    async def run(self, job_id: int, number: int) -> RunRow | None:
        """Return a run of a job by its number, or None."""
        row = await self._database.read(lambda c: history.run(c, job_id, number))
        return None if row is None else self._with_start(row)

    async def run_by_id(self, run_id: int) -> RunRow | None:
        """Return the run with this id, even if it belongs to no job, or None."""
        row = await self._database.read(lambda c: history.run_by_id(c, run_id))
        return None if row is None else self._with_start(row)

    async def definition_of(self, run_id: int) -> Job | None:
        """Return the present definition of a run's job, also of a deleted one, or None."""
        return await self._database.read(lambda c: history.definition_of(c, run_id))

    async def neighbours(self, job_id: int, number: int) -> Neighbours:
        """Return the numbers of the job's runs before and after a run."""
        return Neighbours(
            *await self._database.read(lambda c: history.neighbours(c, job_id, number))
        )

    async def relations(self, run_id: int) -> Relations:
        """Return a run's correlation ids, and the runs that callbacks relate it to."""
        return await self._database.read(lambda c: history.relations(c, run_id))

    async def attempts(self, job_id: int, number: int) -> Sequence[AttemptRow]:
        """Return all attempts of a run except the latest, oldest first."""
        return await self._database.read(lambda c: history.attempts(c, job_id, number))

    async def log_entries(self, job_id: int, number: int, since: int = 0) -> Sequence[LogLine]:
        """Return the log lines of a run, from the line with index ``since`` on.

        The lines of all attempts are included. Lines of level ``system`` are the scheduler's;
        they say where an attempt starts and ends.
        """
        row = await self.run(job_id, number)
        return [] if row is None else (await self.logs_of([row]))[0][since:]

    async def logs_of(self, runs: Sequence[RunRow]) -> Sequence[Sequence[LogLine]]:
        """Return the log lines of each of these runs, in the same order."""
        finished = [row.id for row in runs if row.outcome != "running"]
        retried = [row.id for row in runs if row.attempt > 1]
        saved, earlier = await self._database.read(
            lambda c: (
                history.lines(c, finished),
                history.earlier_lines(c, retried) if retried else {},
            )
        )
        return [
            [
                *_attempt_lines(row, earlier.get(row.id, ())),
                *(saved.get(row.id) or self._scheduler.log_lines(row.id)),
                *_run_end_line(row),
            ]
            for row in runs
        ]

    async def last_runs(self, job_ids: Collection[int]) -> Mapping[int, RunRow]:
        """Return the latest started run of each of these jobs that has a run."""
        return await self._database.read(lambda c: history.last_runs(c, job_ids))

    async def recent_outcomes(
        self, job_ids: Collection[int], count: int = 10
    ) -> Mapping[int, Sequence[str]]:
        """Return the outcomes of the latest runs of each of these jobs, oldest first."""
        return await self._database.read(lambda c: history.recent_outcomes(c, job_ids, count))

    async def slot(self, job_id: int, instant: Instant) -> RunRow | LedgerRow | None:
        """Return the run or the ledger row of a slot; None if neither is stored."""
        found = await self._database.read(lambda c: history.slot(c, job_id, instant))
        return self._with_start(found) if isinstance(found, RunRow) else found

    async def in_flight_at(self, job_id: int, instant: Instant) -> RunRow | None:
        """Return the latest run of a job that was in flight at an instant, or None."""
        row = await self._database.read(lambda c: history.in_flight_at(c, job_id, instant))
        return None if row is None else self._with_start(row)

    async def ledger(
        self,
        job_id: int | None = None,
        *,
        limit: int = 50,
        offset: int = 0,
        since: Instant | None = None,
        permits: Permits | None = None,
    ) -> tuple[Sequence[LedgerRow], int]:
        """Return the ledger's rows, newest first, and their total number.

        With ``permits``, only those of jobs whose services it returns True for.
        """
        return await self._database.read(
            lambda c: history.ledger(c, job_id, limit, offset, since, permits)
        )

    async def summary(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        buckets: int = 120,
        recent_since: Instant | None = None,
        recent_limit: int = 100,
        permits: Permits | None = None,
    ) -> Summary:
        """Return counts of jobs and runs, outcomes by time over [since, until), latest runs.

        Without ``since`` the time begins with the oldest run in history. With ``permits``, only
        jobs count whose services it returns True for.
        """
        now = self._clock.now()
        query = SummaryQuery(since, until or now, buckets, recent_since, recent_limit)
        if permits is not None:
            return await self._database.read(lambda c: confined_summary(c, query, now, permits))
        return await self._database.read(lambda c: history.summary(c, query, now))

    def _with_start(self, row: RunRow) -> RunRow:
        """Add the start of a run in flight here; its row has none before the run has ended."""
        if row.outcome != "running" or (at := self._scheduler.started_at(row.id)) is None:
            return row
        return msgspec.structs.replace(row, started_at=at)


def _attempt_lines(row: RunRow, earlier: Sequence[EarlierLines]) -> Iterator[LogLine]:
    """Yield the lines of the earlier attempts, and that the latest has started if it has."""
    for attempt in earlier:
        yield from _start_line(attempt.attempt, attempt.started_at, row.slot)
        yield from attempt.lines
        yield from _end_line(attempt)
    if _has_latest_started(row, earlier):
        yield from _start_line(row.attempt, row.started_at, row.slot)


def _has_latest_started(row: RunRow, earlier: Sequence[EarlierLines]) -> bool:
    """Return True if the row's start is the latest attempt's, not that of the one before it."""
    if row.started_at is None or row.state == "waiting":
        return False
    return not earlier or row.started_at >= (earlier[-1].finished_at or 0)


def _start_line(attempt: int, at: Instant | None, slot: Instant) -> Iterator[LogLine]:
    if at is not None:
        text = f"Attempt {attempt} started"
        if attempt == 1:
            text = f"Job started, delay: {duration((at - slot) // 1000)}"
        yield (at, "system", text)


def _end_line(attempt: EarlierLines) -> Iterator[LogLine]:
    if attempt.finished_at is not None:
        text = f"Attempt {attempt.attempt} ended, outcome: {attempt.outcome}"
        if attempt.started_at is not None:
            milliseconds = (attempt.finished_at - attempt.started_at) // 1000
            text += f", duration: {duration(milliseconds)}"
        yield (attempt.finished_at, "system", text)


def _run_end_line(row: RunRow) -> Iterator[LogLine]:
    if row.finished_at is not None:
        took = duration((row.duration_us or 0) // 1000)
        text = f"Job completed, outcome: {row.outcome}, duration: {took}"
        if row.outcome == "timeout":
            text = f"Job timed out after {took}"
        yield (row.finished_at, "system", text)
