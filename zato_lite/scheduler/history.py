"""What became of slots: runs, their attempts and logs, and the ledger of those without one."""

from collections.abc import Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock
from zato_lite.scheduler.run_log import lines_of
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import history
from zato_lite.store.history import HistoryQuery, SummaryQuery
from zato_lite.store.ports import Database
from zato_lite.store.rows import AttemptRow, LedgerRow, LogLine, RunRow, Summary
from zato_lite.timetable.job import Instant


class Neighbours(NamedTuple):
    """Numbers of the runs of the same job before and after a run."""

    previous: int | None
    following: int | None


class RunHistory:
    """Questions about what happened, and what is happening; none leaves a trace."""

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
        """Runs, newest first, and how many finished ones there are in all.

        Args:
            job_id: of this job only.
            limit: at most so many of them.
            offset: leave out so many at the beginning.
            since: claimed or finished at or after this instant only.
            outcomes: only these; runs in flight always pass.
            numbers: these runs of the job too, whatever ``since`` says.
        """
        wanted = HistoryQuery(job_id, limit, offset, since, outcomes, numbers)
        rows, total = await self._database.read(lambda c: history.history(c, wanted))
        return [self._with_start(row) for row in rows], total

    async def run(self, job_id: int, number: int) -> RunRow | None:
        """One run of a job."""
        row = await self._database.read(lambda c: history.run(c, job_id, number))
        return None if row is None else self._with_start(row)

    async def run_by_id(self, run_id: int) -> RunRow | None:
        """The run with this id, of a job or of none."""
        row = await self._database.read(lambda c: history.run_by_id(c, run_id))
        return None if row is None else self._with_start(row)

    async def neighbours(self, job_id: int, number: int) -> Neighbours:
        """The runs before and after a run."""
        return Neighbours(
            *await self._database.read(lambda c: history.neighbours(c, job_id, number))
        )

    async def attempts(self, job_id: int, number: int) -> Sequence[AttemptRow]:
        """The attempts of a run that were followed by others, oldest first."""
        return await self._database.read(lambda c: history.attempts(c, job_id, number))

    async def log_entries(self, job_id: int, number: int, since: int = 0) -> Sequence[LogLine]:
        """What was logged during a run, from the line with index ``since`` on.

        All attempts' lines are there; the scheduler's own (level ``system``) say where one ends
        and the next begins.
        """
        row = await self.run(job_id, number)
        return [] if row is None else (await self.logs_of([row]))[0][since:]

    async def logs_of(self, runs_asked: Sequence[RunRow]) -> Sequence[Sequence[LogLine]]:
        """What was logged during each of these runs, in their order."""
        ended = [row.id for row in runs_asked if row.outcome != "running"]
        again = [row.id for row in runs_asked if row.attempt > 1]
        kept, earlier = await self._database.read(
            lambda c: (history.lines(c, ended), history.earlier_lines(c, again) if again else {})
        )
        return [
            lines_of(
                row, earlier.get(row.id, ()), kept.get(row.id) or self._scheduler.lines(row.id)
            )
            for row in runs_asked
        ]

    async def last_runs(self, job_ids: Collection[int]) -> Mapping[int, RunRow]:
        """The latest started run of each of these jobs that has one."""
        return await self._database.read(lambda c: history.last_runs(c, job_ids))

    async def recent_outcomes(
        self, job_ids: Collection[int], count: int = 10
    ) -> Mapping[int, Sequence[str]]:
        """Outcomes of the latest runs of each of these jobs, oldest first."""
        return await self._database.read(lambda c: history.recent_outcomes(c, job_ids, count))

    async def slot(self, job_id: int, instant: Instant) -> RunRow | LedgerRow | None:
        """What became of a slot; None when nothing is known of it."""
        found = await self._database.read(lambda c: history.slot(c, job_id, instant))
        return self._with_start(found) if isinstance(found, RunRow) else found

    async def ledger(
        self,
        job_id: int | None = None,
        *,
        limit: int = 50,
        offset: int = 0,
        since: Instant | None = None,
    ) -> tuple[Sequence[LedgerRow], int]:
        """Slots without a run, newest first, and how many such rows there are in all."""
        return await self._database.read(lambda c: history.ledger(c, job_id, limit, offset, since))

    async def summary(
        self,
        *,
        since: Instant | None = None,
        until: Instant | None = None,
        buckets: int = 120,
        recent_since: Instant | None = None,
        recent_limit: int = 100,
    ) -> Summary:
        """How things stand: counts, outcomes by time over [since, until), latest runs.

        Without ``since`` the time begins with the oldest run that is kept.
        """
        now = self._clock.now()
        span = SummaryQuery(since, until or now, buckets, recent_since, recent_limit)
        return await self._database.read(lambda c: history.summary(c, span, now))

    def _with_start(self, row: RunRow) -> RunRow:
        """The row of a run in flight says when it started only when it has ended."""
        if row.outcome != "running" or (at := self._scheduler.started(row.id)) is None:
            return row
        return msgspec.structs.replace(row, started_at=at)
