"""The one door for every change of a job, and for every question about jobs and runs."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

from zato_lite.clock import Clock
from zato_lite.scheduler.loop import Scheduler
from zato_lite.store.ports import Database
from zato_lite.store.rows import (
    AttemptRow,
    JobRow,
    LedgerRow,
    LogLine,
    NodeRow,
    Pause,
    RunRow,
    Summary,
)
from zato_lite.timetable.job import Instant, Job

Change = Callable[[Job], Job]
"""From the definition that is kept to the one that is wanted."""


class Applied(NamedTuple):
    """What ``apply`` did: ids of the jobs created, and of those edited."""

    created: Sequence[int]
    edited: Sequence[int]


class Neighbours(NamedTuple):
    """Numbers of the runs of the same job before and after a run."""

    previous: int | None
    following: int | None


class Jobs:
    """All jobs, their runs and their ledger. An answer means that it is kept for good."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock

    # Changes

    async def create(self, jobs: Sequence[Job]) -> Sequence[int]:
        """Keep new jobs, all or none; their ids in the same order.

        Raises:
            JobExistsError: a name is taken, or given twice.
        """
        raise NotImplementedError

    async def edit(self, job_id: int, change: Change) -> JobRow:
        """Replace a job's definition by what ``change`` makes of it, in one transaction.

        The cursor stays unless the trigger is another one; slots of a pause that ends by it are
        accounted for.

        Raises:
            JobNotFoundError: there is no such job.
            JobExistsError: another job has the new name.
        """
        raise NotImplementedError

    async def delete(self, job_id: int) -> None:
        """Forget a job; its history stays for as long as histories are kept."""
        raise NotImplementedError

    async def apply(self, creates: Sequence[Job], edits: Mapping[int, Job]) -> Applied:
        """Create and edit jobs, all or nothing."""
        raise NotImplementedError

    async def pause(self, job_id: int, note: str = "", until: Instant | None = None) -> JobRow:
        """Start no more of a job's slots, until resumed or until the instant given."""
        raise NotImplementedError

    async def resume(self, job_id: int) -> JobRow:
        """End a job's pause; the slots that passed meanwhile are in the ledger as paused."""
        raise NotImplementedError

    async def skip_next(self, job_id: int, count: int = 1) -> JobRow:
        """Leave out the next ``count`` slots of a job; 0 takes that back."""
        raise NotImplementedError

    # Runs on demand

    async def execute(self, job_id: int) -> int:
        """Run a job once, now, also an inactive one; the run's number. Its slots stay."""
        raise NotImplementedError

    async def cancel_run(self, job_id: int, number: int) -> bool:
        """Cancel a run in flight or in waiting; whether there was one."""
        raise NotImplementedError

    async def retry_run(self, job_id: int, number: int) -> int:
        """Run a finished run's slot again, as a new run; its number.

        Raises:
            JobNotFoundError: there is no such run.
            ConflictError: it is in flight.
        """
        raise NotImplementedError

    async def backfill(self, job_id: int, first: Instant, last: Instant) -> Sequence[int]:
        """Run each slot of [first, last] once, one after another; the numbers of these runs.

        Raises:
            BadInputError: there are more slots than may be asked for at once.
        """
        raise NotImplementedError

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        """Run a service once, durably, by a definition that is no job; the run's id."""
        raise NotImplementedError

    # Jobs

    async def get(self, job_id: int) -> JobRow:
        """The job with this id.

        Raises:
            JobNotFoundError: there is none.
        """
        raise NotImplementedError

    async def get_by_name(self, name: str) -> JobRow:
        """The job with this name.

        Raises:
            JobNotFoundError: there is none.
        """
        raise NotImplementedError

    async def list(
        self, query: str = "", service: str = "", limit: int | None = None, offset: int = 0
    ) -> tuple[Sequence[JobRow], int]:
        """Jobs by name, and how many there are in all.

        Args:
            query: words that the name must contain, in any case.
            service: exactly this one.
            limit: at most so many of them.
            offset: leave out so many at the beginning.
        """
        raise NotImplementedError

    # Runs and ledger

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
        raise NotImplementedError

    async def run(self, job_id: int, number: int) -> RunRow | None:
        """One run of a job."""
        raise NotImplementedError

    async def run_by_id(self, run_id: int) -> RunRow | None:
        """The run with this id, of a job or of none."""
        raise NotImplementedError

    async def neighbours(self, job_id: int, number: int) -> Neighbours:
        """The runs before and after a run."""
        raise NotImplementedError

    async def attempts(self, job_id: int, number: int) -> Sequence[AttemptRow]:
        """The attempts of a run that were followed by others, oldest first."""
        raise NotImplementedError

    async def log_entries(self, job_id: int, number: int, since: int = 0) -> Sequence[LogLine]:
        """What was logged during a run, from the line with index ``since`` on.

        The scheduler's own lines (level ``system``) are among them.
        """
        raise NotImplementedError

    async def last_runs(self, job_ids: Collection[int]) -> Mapping[int, RunRow]:
        """The latest started run of each of these jobs that has one."""
        raise NotImplementedError

    async def recent_outcomes(
        self, job_ids: Collection[int], count: int = 10
    ) -> Mapping[int, Sequence[str]]:
        """Outcomes of the latest runs of each of these jobs, oldest first."""
        raise NotImplementedError

    async def slot(self, job_id: int, instant: Instant) -> RunRow | LedgerRow | None:
        """What became of a slot; None when nothing is known of it."""
        raise NotImplementedError

    async def ledger(
        self,
        job_id: int | None = None,
        *,
        limit: int = 50,
        offset: int = 0,
        since: Instant | None = None,
    ) -> tuple[Sequence[LedgerRow], int]:
        """Slots without a run, newest first, and how many such rows there are in all."""
        raise NotImplementedError

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
        raise NotImplementedError

    # Calendars

    async def save_calendar(self, name: str, calendar: bytes) -> None:
        """Keep a calendar, in place of the one of the same name if there is one."""
        raise NotImplementedError

    async def delete_calendar(self, name: str) -> None:
        """Forget a calendar.

        Raises:
            NotFoundError: there is none of this name.
            ConflictError: jobs use it; they are named.
        """
        raise NotImplementedError

    async def calendars(self) -> Mapping[str, bytes]:
        """All calendars by name."""
        raise NotImplementedError

    # The scheduler as a whole

    async def pause_all(self, note: str = "", by: str = "") -> Pause:
        """Start no slot of any job until resumed; runs on demand go on."""
        raise NotImplementedError

    async def resume_all(self) -> None:
        """Go on; the slots that passed meanwhile are in the ledger as paused."""
        raise NotImplementedError

    async def paused(self) -> Pause | None:
        """The pause of the whole scheduler, if there is one."""
        raise NotImplementedError

    async def nodes(self) -> Sequence[NodeRow]:
        """The processes that run jobs."""
        raise NotImplementedError
