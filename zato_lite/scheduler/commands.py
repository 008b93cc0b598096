"""The one door for every change of a job, and for every question about jobs and runs.

What is asked about the past is in ``past``.
"""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from itertools import islice
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, ZatoLiteError
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import claim, enqueue, job_insert, jobs, nodes, pauses
from zato_lite.store.job_insert import InsertResult, JobGroup
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.ports import Connection, Database
from zato_lite.store.rows import (
    JobRow,
    NodeRow,
    Pause,
    SilenceMark,
    WatchedRow,
)
from zato_lite.store.runs import ClaimedAttempt
from zato_lite.store.statements import batches
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.trigger import slots_between

Change = Callable[[Job], Job]
"""From the definition that is kept to the one that is wanted."""

MOST_BACKFILLED = 10_000
MANY = 100
"""So many jobs at once are made ready apart from the writer, and written as one."""

_Fires = list[ClaimedAttempt]
_Rows = list[JobRow]
_Creation = tuple[JobGroup, "asyncio.Future[Sequence[int]]"]


class Applied(NamedTuple):
    """What ``apply`` did: ids of the jobs created, and of those edited."""

    created: Sequence[int]
    edited: Sequence[int]


class JobCommands(RunHistory):
    """All jobs, their runs and their ledger. An answer means that it is kept for good."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        super().__init__(database, scheduler, clock)
        self._creations: list[_Creation] = []

    # Changes

    async def create(self, new: Sequence[Job]) -> Sequence[int]:
        """Keep new jobs, all or none; their ids in the same order.

        Raises:
            BadInputError: a text of a definition is none that can be kept.
            JobExistsError: a name is taken, or given twice.
        """
        group = JobGroup(new) if len(new) < MANY else await _ready(new)
        future: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        if not self._creations:
            asyncio.get_running_loop().call_soon(self._create_together)
        self._creations.append((group, future))
        return await future

    async def edit(self, job_id: int, change: Change) -> JobRow:
        """Replace a job's definition by what ``change`` makes of it, in one transaction.

        The cursor stays unless the trigger is another one; slots of a pause that ends by it are
        accounted for.

        Raises:
            JobNotFoundError: there is no such job.
            JobExistsError: another job has the new name.
        """
        edited = await self._edit({job_id: change})
        return edited[0]

    async def delete(self, job_id: int) -> None:
        """Forget a job; its history stays for as long as histories are kept."""
        now = self._clock.now()
        await self._scheduler.change(
            [job_id], lambda c, begun: jobs.delete(c, job_id, now, begun), set
        )

    async def apply(self, creates: Sequence[Job], edits: Mapping[int, Job]) -> Applied:
        """Create and edit jobs, all or nothing."""
        group = await _ready(creates)
        now = self._clock.now()

        def work(
            connection: Connection, begun: StartedRuns
        ) -> tuple[Sequence[int], Sequence[jobs.EditResult]]:
            edited = [
                jobs.edit(connection, job_id, _always(job), now, begun)
                for job_id, job in edits.items()
            ]
            return _or_raise(job_insert.insert_jobs(connection, [group], now).results[0]), edited

        created, _ = await self._scheduler.change(
            list(edits), work, lambda result: _revoked(result[1])
        )
        self._scheduler.changed()
        return Applied(created, list(edits))

    async def pause(self, job_id: int, note: str = "", until: Instant | None = None) -> JobRow:
        """Start no more of a job's slots, until resumed or until the instant given."""

        def change(job: Job) -> Job:
            return msgspec.structs.replace(
                job, is_active=False, pause_note=note or None, pause_until=until
            )

        return await self.edit(job_id, change)

    async def resume(self, job_id: int) -> JobRow:
        """End a job's pause; the slots that passed meanwhile are in the ledger as paused."""

        def change(job: Job) -> Job:
            return msgspec.structs.replace(job, is_active=True, pause_note=None, pause_until=None)

        return await self.edit(job_id, change)

    async def skip_next(self, job_id: int, count: int = 1) -> JobRow:
        """Leave out the next ``count`` slots of a job; 0 takes that back."""
        return await self.edit(job_id, lambda job: msgspec.structs.replace(job, skip_next=count))

    # Runs on demand

    async def execute(self, job_id: int) -> int:
        """Run a job once, now, also an inactive one; the run's number. Its slots stay."""
        now, node = self._clock.now(), self._scheduler.node

        def work(connection: Connection) -> _Fires:
            job = jobs.get(connection, job_id).job
            return enqueue.enqueue_runs(connection, job_id, job, now, node)

        return (await self._start(work))[0].run_number

    async def cancel_run(self, job_id: int, number: int) -> bool:
        """Cancel a run in flight or in waiting; whether there was one."""
        row = await self.run(job_id, number)
        if row is None or row.outcome != "running":
            return False
        if self._scheduler.cancel(row.id):
            return True
        now = self._clock.now()
        closed = await self._database.write(
            lambda c: enqueue.cancel_unstarted(c, job_id, number, now)
        )
        return bool(closed)

    async def retry_run(self, job_id: int, number: int) -> int:
        """Run a finished run's slot again, as a new run; its number.

        Raises:
            JobNotFoundError: there is no such run.
            ConflictError: it is in flight.
        """
        now, node = self._clock.now(), self._scheduler.node
        attempts = await self._start(lambda c: enqueue.enqueue_retry(c, job_id, number, now, node))
        return attempts[0].run_number

    async def backfill(self, job_id: int, first: Instant, last: Instant) -> Sequence[int]:
        """Run each slot of [first, last] once, one after another; the numbers of these runs.

        Raises:
            BadInputError: there are more slots than may be asked for at once.
        """
        now, node = self._clock.now(), self._scheduler.node

        def work(connection: Connection) -> _Fires:
            job = jobs.get(connection, job_id).job
            slots = list(islice(slots_between(job.trigger, first - 1, last), MOST_BACKFILLED + 1))
            if len(slots) > MOST_BACKFILLED:
                raise BadInputError(f"there are more than {MOST_BACKFILLED} slots in this time")
            if not slots:
                return []
            return enqueue.enqueue_runs(
                connection, job_id, job, now, node, kind="backfill", slots=slots, one_by_one=True
            )

        return [attempt.run_number for attempt in await self._start(work)]

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        """Run a service once, durably, by a definition that is no job; the run's id."""
        now, node = self._clock.now(), self._scheduler.node
        attempts = await self._start(lambda c: [enqueue.enqueue_call(c, job, now, node, cid=cid)])
        return attempts[0].run_id

    # Jobs

    async def get(self, job_id: int) -> JobRow:
        """The job with this id.

        Raises:
            JobNotFoundError: there is none.
        """
        return await self._database.read(lambda c: jobs.get(c, job_id))

    async def get_by_name(self, name: str) -> JobRow:
        """The job with this name.

        Raises:
            JobNotFoundError: there is none.
        """
        return await self._database.read(lambda c: jobs.get_by_name(c, name))

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
        return await self._database.read(lambda c: jobs.find(c, query, service, limit, offset))

    async def next_due(self, after: Instant) -> Instant | None:
        """The first instant after a moment at which a job is to be looked at."""
        return await self._database.read(lambda c: claim.next_due(c, after))

    async def named(self, names: Collection[str]) -> Sequence[JobRow]:
        """The jobs there are of these names."""
        return await self._database.read(lambda c: jobs.get_by_names(c, names))

    async def declared(self) -> Sequence[JobRow]:
        """The jobs that services' classes declare, or did."""
        return await self._database.read(jobs.list_declared)

    async def watched(self) -> Sequence[WatchedRow]:
        """The jobs that raise an alert when they are silent."""
        return await self._database.read(jobs.list_watched)

    async def keep_marks(self, marks: Mapping[int, SilenceMark]) -> None:
        """Remember how far jobs' silences have been looked at."""
        await self._database.write(lambda c: jobs.save_silence_marks(c, marks))

    # Calendars

    async def save_calendar(self, name: str, calendar: bytes) -> None:
        """Keep a calendar as JSON, in place of the one of the same name if there is one."""
        decoded = msgspec.json.decode(calendar, type=Calendar)
        named = msgspec.structs.replace(decoded, name=name)
        await self._database.write(lambda c: jobs.save_calendar(c, named))
        self._scheduler.changed()

    async def delete_calendar(self, name: str) -> None:
        """Forget a calendar.

        Raises:
            NotFoundError: there is none of this name.
            ConflictError: jobs use it; they are named.
        """
        await self._database.write(lambda c: jobs.delete_calendar(c, name))

    async def calendars(self) -> Mapping[str, bytes]:
        """All calendars by name."""
        found = await self._database.read(jobs.get_calendars)
        return {name: msgspec.json.encode(calendar) for name, calendar in found.items()}

    # The scheduler as a whole

    async def pause_all(self, note: str = "", by: str = "") -> Pause:
        """Start no slot of any job until resumed; runs on demand go on."""
        wanted = Pause(self._clock.now(), note, by)
        pause, _ = await self._scheduler.change(
            None, lambda c, begun: pauses.pause_all(c, wanted, begun), lambda result: result[1]
        )
        return pause

    async def resume_all(self) -> None:
        """Go on; the slots that passed meanwhile are in the ledger as paused."""
        now = self._clock.now()
        await self._database.write(lambda c: pauses.resume_all(c, now))
        self._scheduler.changed()

    async def paused(self) -> Pause | None:
        """The pause of the whole scheduler, if there is one."""
        return await self._database.read(pauses.get_pause)

    async def nodes(self) -> Sequence[NodeRow]:
        """The processes that run jobs."""
        return await self._database.read(nodes.list_nodes)

    # Helpers

    def _create_together(self) -> None:
        """Everything that was asked for in one turn of the loop is one operation."""
        creations, self._creations = self._creations, []
        now = self._clock.now()

        def created(done: InsertResult | None, error: BaseException | None) -> None:
            for place, (_, future) in enumerate(creations):
                _answer(future, error if done is None else done.results[place])
            if done is not None and done.next_due is not None:
                self._scheduler.changed(done.next_due)

        self._database.submit(
            lambda c: job_insert.insert_jobs(c, [group for group, _ in creations], now), created
        )

    async def _edit(self, changes: Mapping[int, Change]) -> _Rows:
        now = self._clock.now()

        def work(connection: Connection, begun: StartedRuns) -> Sequence[jobs.EditResult]:
            return [
                jobs.edit(connection, job, change, now, begun) for job, change in changes.items()
            ]

        edited = await self._scheduler.change(list(changes), work, _revoked)
        due = [each.row.next_at for each in edited if each.row.next_at is not None]
        if due:
            self._scheduler.changed(min(due))
        return [each.row for each in edited]

    async def _start(self, work: Callable[[Connection], _Fires]) -> _Fires:
        return await self._scheduler.carry(work, self._scheduler.accept)


async def _ready(new: Sequence[Job]) -> JobGroup:
    """The jobs as they will be kept; between the parts of many, others have their turn."""
    parts = []
    for some in batches(new, job_insert.BATCH_SIZE):
        parts.append(job_insert.prepare(some))
        await asyncio.sleep(0)
    return JobGroup(new, parts)


def _answer(
    future: "asyncio.Future[Sequence[int]]", answer: Sequence[int] | BaseException | None
) -> None:
    if future.done():
        return
    if isinstance(answer, BaseException):
        future.set_exception(answer)
    else:
        future.set_result(list(answer or ()))


def _always(job: Job) -> Change:
    return lambda _: job


def _revoked(edited: Sequence[jobs.EditResult]) -> set[int]:
    return {run_id for each in edited for run_id in each.revoked}


def _or_raise(answer: Sequence[int] | ZatoLiteError) -> Sequence[int]:
    if isinstance(answer, ZatoLiteError):
        raise answer
    return answer
