"""Job commands: creation and changes of jobs, runs on demand, and queries about jobs."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import NamedTuple

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, FieldError, ZatoLiteError
from zato_lite.scheduler.observer import tell_adopted, tell_created, tell_edited
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import claim, enqueue, history, job_insert, jobs, nodes, pauses, wishes
from zato_lite.store import clock as store_clock
from zato_lite.store.attempts import NO_STARTED_RUNS, ClaimedAttempt, StartedRuns
from zato_lite.store.companion import Companion, accompanied, take_companion
from zato_lite.store.job_insert import InsertResult, JobGroup
from zato_lite.store.ports import Connection, Database
from zato_lite.store.rows import JobRow, NodeRow, Pause, RunRow, SilenceMark, WatchedRow
from zato_lite.store.sql import batches, rehearse
from zato_lite.store.visibility import Permits, require_permitted
from zato_lite.timetable.backfill import without_bounds
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.trigger import slots_between
from zato_lite.timetable.zone import to_text

Change = Callable[[Job], Job]
"""Returns the new definition of a job, given the stored one."""

MAX_BACKFILL_SLOTS = 10_000
BULK_SIZE = 100
"""From this number of new jobs on, they are prepared in the loop, in parts, before the write."""

ADOPTION_SIZE = 500
"""Jobs that change their principal in one write: others wait for it."""

PART_SIZE = 250
"""Jobs that ``parts`` reads together."""

_Attempts = list[ClaimedAttempt]
_Creation = tuple[JobGroup, "asyncio.Future[Sequence[int]]", Companion | None]


class Applied(NamedTuple):
    """Ids of the jobs that ``apply`` created, and of the jobs that it edited."""

    created: Sequence[int]
    edited: Sequence[int]


class JobCommands:
    """Changes of jobs and queries about them; a command returns once its change is durable."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock
        self._creations: list[_Creation] = []

    # Changes

    async def create(self, new: Sequence[Job]) -> Sequence[int]:
        """Create jobs, all or none, and return their ids in the same order.

        Raises:
            BadInputError: a text in a definition cannot be stored.
            JobExistsError: a name is already used, or occurs twice.
        """
        group = JobGroup(new) if len(new) < BULK_SIZE else await _prepare(new)
        future: asyncio.Future[Sequence[int]] = asyncio.get_running_loop().create_future()
        if not self._creations:
            # All creations of one turn of the loop share one write.
            asyncio.get_running_loop().call_soon(self._create_group)
        self._creations.append((group, future, take_companion()))
        ids = await future
        if self._scheduler.observer.is_wanted:
            tell_created(self._scheduler.observer, ids, new)
        return ids

    async def edit(
        self,
        job_id: int,
        change: Change,
        by: str = "",
        version: int | None = None,
        permits: Permits | None = None,
    ) -> JobRow:
        """Apply ``change`` to a job's definition in one transaction, and return the new row.

        ``by`` is the principal that makes the change: of a pause, it is recorded. ``permits`` says
        at the moment of the write, as in all changes here, if the job's service is permitted.

        The cursor stays unless the trigger changes; if the change ends a pause, the slots of the
        pause are recorded in the ledger.

        Raises:
            JobNotFoundError: the job does not exist.
            JobExistsError: another job has the new name.
            ConflictError: the job does not have the given version any more.
            ForbiddenError: its present service is not permitted.
        """
        now = self._clock.now()
        edited = await self._scheduler.change_jobs(
            [job_id],
            lambda c, started: jobs.edit(
                c, job_id, change, now, started, by=by, version=version, permits=permits
            ),
            lambda edited: edited.revoked,
            lambda edited: [edited],
        )
        if edited.row.next_at is not None:
            self._scheduler.reschedule_claim(edited.row.next_at)
        if self._scheduler.observer.is_wanted:
            tell_edited(self._scheduler.observer, [edited], by)
        return edited.row

    async def delete(self, job_id: int, by: str = "", permits: Permits | None = None) -> None:
        """Delete a job on behalf of a principal; its history stays until retention ends."""
        now, observer = self._clock.now(), self._scheduler.observer
        row = await self.get(job_id) if observer.is_wanted else None
        await self._scheduler.change_jobs(
            [job_id],
            lambda c, started: jobs.delete(c, job_id, now, started, permits=permits),
            set,
        )
        if row is not None:
            observer.job_changed("deleted", row.id, row.job, version=row.version, who=by)

    async def apply(
        self,
        creates: Sequence[Job],
        edits: Mapping[int, Job],
        *,
        dry_run: bool = False,
        by: str = "",
        permits: Permits | None = None,
    ) -> Applied:
        """Create and edit jobs, all or none; with ``dry_run``, undo that in the same transaction.

        Raises:
            JobExistsError: a name is already used, or occurs twice.
        """
        group = await _prepare(creates)
        now = self._clock.now()

        def work(
            connection: Connection, started: StartedRuns
        ) -> tuple[Sequence[int], Sequence[jobs.EditResult]]:
            edited = [
                jobs.edit(
                    connection, job_id, _replace_by(job), now, started, by=by, permits=permits
                )
                for job_id, job in edits.items()
            ]
            result = job_insert.insert_jobs(connection, [group], now).results[0]
            if isinstance(result, ZatoLiteError):
                raise result
            return result, edited

        if dry_run:
            await self._database.write(lambda c: rehearse(c, lambda: work(c, NO_STARTED_RUNS)))
            return Applied((), ())
        created, edited = await self._scheduler.change_jobs(
            list(edits),
            work,
            lambda result: {run for edit in result[1] for run in edit.revoked},
            lambda result: result[1],
        )
        self._scheduler.reschedule_claim()
        observer = self._scheduler.observer
        if observer.is_wanted:
            tell_created(observer, created, creates)
            tell_edited(observer, edited, by)
        return Applied(created, list(edits))

    async def adopt(self, job_ids: Sequence[int], principal: str) -> int:
        """Have jobs run on behalf of a principal; return their number. Deleted ones are left out.

        Claims of these jobs whose attempts have not started are revoked; retries and requested
        runs that wait here are made on its behalf, too.
        """
        adopted = 0

        def written(part: Collection[int], result: tuple[int, Collection[int]]) -> Collection[int]:
            self._scheduler.replace_principal(part, principal)
            return result[1]

        for part in batches(job_ids, ADOPTION_SIZE):
            count, _ = await self._scheduler.change_jobs(
                part,
                partial(jobs.adopt, job_ids=part, principal=principal),
                partial(written, part),
            )
            adopted += count
            if (observer := self._scheduler.observer).is_wanted:
                rows = await self._database.read(partial(jobs.get_by_ids, ids=part))
                tell_adopted(observer, rows, principal)
        self._scheduler.reschedule_claim()
        return adopted

    async def pause(
        self,
        job_id: int,
        note: str = "",
        until: Instant | None = None,
        *,
        by: str = "",
        permits: Permits | None = None,
    ) -> JobRow:
        """Pause a job: its slots get no run until it is resumed or until the given instant.

        Raises:
            BadInputError: the instant has passed.
        """
        require_future(until, self._clock.now())

        def change(job: Job) -> Job:
            return msgspec.structs.replace(
                job, is_active=False, pause_note=note or None, pause_until=until
            )

        return await self.edit(job_id, change, by, permits=permits)

    async def resume(self, job_id: int, by: str = "", permits: Permits | None = None) -> JobRow:
        """End a job's pause; the ledger records its past slots as paused."""

        def change(job: Job) -> Job:
            return msgspec.structs.replace(job, is_active=True, pause_note=None, pause_until=None)

        return await self.edit(job_id, change, by, permits=permits)

    async def skip_next(
        self, job_id: int, count: int = 1, by: str = "", permits: Permits | None = None
    ) -> JobRow:
        """Skip the next ``count`` slots of a job; 0 cancels an earlier skip."""
        change: Change = lambda job: msgspec.structs.replace(job, skip_next=count)  # noqa: E731
        return await self.edit(job_id, change, by, permits=permits)

    # Runs on demand

    async def execute(
        self, job_id: int, requested_by: str = "", permits: Permits | None = None
    ) -> int:
        """Run a job once, now, even if it is inactive, and return the run's number."""
        now, node = self._clock.now(), self._scheduler.node_id

        def work(connection: Connection) -> _Attempts:
            job = jobs.get_permitted(connection, job_id, permits)
            return enqueue.enqueue_runs(
                connection, job_id, job, now, node, requested_by=requested_by
            )

        return (await self._scheduler.start_runs(work, [job_id]))[0].run_number

    async def cancel_run(self, job_id: int, number: int, permits: Permits | None = None) -> bool:
        """Cancel a run that is in flight or waits; return False if it has already ended."""

        def find(connection: Connection) -> RunRow | None:
            if permits is not None:
                service = jobs.get(connection, job_id).job.service
                require_permitted(job_id, service, permits)
            return history.run(connection, job_id, number)

        row = await self._database.read(find)
        if row is None or row.outcome != "running":
            return False
        if self._scheduler.cancel_run(row.id):
            return True
        now, node = self._clock.now(), self._scheduler.node_id

        def cancel(connection: Connection) -> tuple[Sequence[int], Sequence[int]]:
            if permits is not None:  # the job's service may have changed since the read
                jobs.get_permitted(connection, job_id, permits)
            closed = enqueue.cancel_unstarted(connection, job_id, number, now)
            return closed, wishes.ask_to_cancel_run(connection, job_id, number, node)

        closed, asked = await self._database.write(accompanied(cancel))
        self._scheduler.ring(asked)
        return bool(closed or asked)

    async def retry_run(
        self, job_id: int, number: int, requested_by: str = "", permits: Permits | None = None
    ) -> int:
        """Run a finished run's slot again, as a new run, and return its number.

        Raises:
            JobNotFoundError: the run does not exist.
            ConflictError: the run is in flight.
        """
        now, node = self._clock.now(), self._scheduler.node_id
        attempts = await self._scheduler.start_runs(
            lambda c: enqueue.enqueue_retry(c, job_id, number, now, node, requested_by, permits),
            [job_id],
        )
        return attempts[0].run_number

    async def backfill(
        self,
        job_id: int,
        first: Instant,
        last: Instant,
        requested_by: str = "",
        *,
        is_forced: bool = False,
        permits: Permits | None = None,
    ) -> Sequence[int]:
        """Run each slot of [first, last] once, one after another; return the runs' numbers.

        Slots before the job's start or after its end are among them only if ``is_forced``.

        Raises:
            BadInputError: the time has more than ``MAX_BACKFILL_SLOTS`` slots.
        """
        now, node = self._clock.now(), self._scheduler.node_id

        def work(connection: Connection) -> _Attempts:
            job = jobs.get_permitted(connection, job_id, permits)
            trigger = without_bounds(job.trigger, first) if is_forced else job.trigger
            found = slots_between(trigger, first - 1, last)
            slots = list(islice(found, MAX_BACKFILL_SLOTS + 1))
            require_backfill_size(len(slots))
            if not slots:
                return []
            return enqueue.enqueue_runs(
                connection,
                job_id,
                job,
                now,
                node,
                kind="backfill",
                slots=slots,
                one_by_one=True,
                requested_by=requested_by,
            )

        return [attempt.run_number for attempt in await self._scheduler.start_runs(work)]

    async def invoke_async(self, job: Job, cid: str = "") -> int:
        """Run a service once, durably, by a definition without a job; return the run id."""
        now, node = self._clock.now(), self._scheduler.node_id
        attempts = await self._scheduler.start_runs(
            lambda c: [enqueue.enqueue_call(c, job, now, node, cid=cid)]
        )
        return attempts[0].run_id

    # Jobs

    async def get(self, job_id: int) -> JobRow:
        """Return the job with this id.

        Raises:
            JobNotFoundError: the job does not exist.
        """
        return await self._database.read(lambda c: jobs.get(c, job_id))

    async def get_by_name(self, name: str) -> JobRow:
        """Return the job with this name.

        Raises:
            JobNotFoundError: the job does not exist.
        """
        return await self._database.read(lambda c: jobs.get_by_name(c, name))

    async def list(
        self,
        query: str = "",
        service: str = "",
        limit: int | None = None,
        offset: int = 0,
        *,
        permits: Permits | None = None,
    ) -> tuple[Sequence[JobRow], int]:
        """Return jobs in order of their names, and the total number of matches.

        Args:
            query: words that the name must contain, in upper or lower case.
            service: only jobs of exactly this service.
            limit: maximum number of jobs to return.
            offset: number of jobs to leave out at the beginning.
            permits: only jobs for whose services it returns True.
        """
        return await self._database.read(
            lambda c: jobs.find(c, query, service, limit, offset, permits=permits)
        )

    async def service_of(self, job_id: int) -> str | None:
        """Return the service of a job, even of a deleted one; None if it never existed."""
        return await self._database.read(lambda c: jobs.service_of(c, job_id))

    async def visible(self, job_ids: Collection[int], permits: Permits) -> Collection[int]:
        """Return those of the jobs, also deleted ones, whose services are permitted."""
        return await self._database.read(lambda c: jobs.visible(c, job_ids, permits))

    async def parts(
        self,
        query: str = "",
        service: str = "",
        limit: int = sys.maxsize,
        *,
        permits: Permits | None = None,
    ) -> AsyncIterator[Sequence[JobRow]]:
        """Yield the same jobs in parts of at most ``PART_SIZE``, each as it is when it is read.

        A part takes a few milliseconds of the interpreter's lock; other tasks run in between.
        """
        after = ""
        while limit > 0:
            size = min(limit, PART_SIZE)
            rows = await self._database.read(
                partial(
                    jobs.find_part,
                    query=query,
                    service=service,
                    after=after,
                    limit=size,
                    permits=permits,
                )
            )
            if rows:
                yield rows
            if len(rows) < size:
                return
            after, limit = rows[-1].job.name, limit - size

    async def counts(self) -> jobs.JobCounts:
        """Return the number of all jobs, and of those that are active."""
        return await self._database.read(jobs.count)

    async def next_due(self, after: Instant) -> Instant | None:
        """Return the first instant after ``after`` at which a job is due."""
        return await self._database.read(lambda c: claim.next_due(c, after))

    async def named(self, names: Collection[str]) -> Sequence[JobRow]:
        """Return the jobs that have one of these names."""
        rows: list[JobRow] = []
        for part in batches([*names], PART_SIZE):
            rows += await self._database.read(partial(jobs.get_by_names, names=part))
        return rows

    async def unowned(self) -> Sequence[int]:
        """Return the ids of the jobs whose principal is unknown or does not exist."""
        return await self._database.read(jobs.list_unowned)

    async def declared(self) -> Sequence[JobRow]:
        """Return the jobs that come from declared schedules, past or present."""
        return await self._database.read(jobs.list_declared)

    async def watched(self) -> Sequence[WatchedRow]:
        """Return the jobs that raise an alert when they are silent."""
        return await self._database.read(jobs.list_watched)

    async def keep_marks(self, marks: Mapping[int, SilenceMark]) -> None:
        """Save up to which instant the silence of each job has been checked."""
        await self._database.write(lambda c: jobs.save_silence_marks(c, marks))

    # The scheduler as a whole

    async def pause_all(self, note: str = "", by: str = "") -> Pause:
        """Pause all jobs: no slot gets a run until resumed; runs on demand are still possible."""
        wanted = Pause(self._clock.now(), note, by)
        paused = await self._scheduler.change_jobs(
            None,
            lambda c, started: pauses.pause_all(c, wanted, started),
            lambda paused: paused.revoked,
        )
        return paused.pause

    async def resume_all(self) -> None:
        """End the pause of all jobs; the ledger records their past slots as paused."""
        now = self._clock.now()
        await self._database.write(accompanied(lambda c: pauses.resume_all(c, now)))
        self._scheduler.release_held()
        self._scheduler.reschedule_claim()

    async def continue_jobs(self) -> int:
        """Plan jobs that a clock set back holds up from now on; return their number."""
        now = self._clock.now()
        continued = await self._scheduler.change_jobs(
            None,
            lambda c, started: store_clock.continue_jobs(c, now, started),
            lambda continued: continued.revoked,
        )
        self._scheduler.reschedule_claim()
        await self._scheduler.check_clock()
        return len(continued.jobs)

    @property
    def clock_warning(self) -> str:
        """The jobs that a clock set back holds up, in a sentence, or an empty text."""
        return self._scheduler.clock_warning

    async def paused(self) -> Pause | None:
        """Return the pause of all jobs, or None."""
        return await self._database.read(pauses.get_pause)

    async def nodes(self) -> Sequence[NodeRow]:
        """Return the processes that run jobs on this store."""
        return await self._database.read(nodes.list_nodes)

    # Creation

    def _create_group(self) -> None:
        creations, self._creations = self._creations, []
        now = self._clock.now()

        def created(inserted: InsertResult | None, error: BaseException | None) -> None:
            for place, (_, future, _) in enumerate(creations):
                _resolve(future, error if inserted is None else inserted.results[place])
            if inserted is not None and inserted.next_due is not None:
                self._scheduler.reschedule_claim(inserted.next_due)

        def work(connection: Connection) -> InsertResult:
            inserted = job_insert.insert_jobs(connection, [it[0] for it in creations], now)
            for (_, _, found), result in zip(creations, inserted.results, strict=True):
                if found is not None and not isinstance(result, BaseException):
                    found.write(connection, result)
            return inserted

        self._database.submit(work, created)


def require_future(until: Instant | None, now: Instant) -> None:
    """Refuse the end of a pause that would end before it begins.

    Raises:
        BadInputError: the instant has passed.
    """
    if until is not None and until <= now:
        raise BadInputError.of([FieldError("until", None, f"until: {to_text(until)} has passed")])


def require_backfill_size(count: int) -> None:
    """Refuse a backfill of too many slots.

    Raises:
        BadInputError: there are more than ``MAX_BACKFILL_SLOTS``.
    """
    if count > MAX_BACKFILL_SLOTS:
        raise BadInputError(f"there are more than {MAX_BACKFILL_SLOTS} slots in this time")


async def _prepare(new: Sequence[Job]) -> JobGroup:
    """Prepare the rows of many jobs; other tasks may run between the parts."""
    parts = []
    for part in batches(new, job_insert.BATCH_SIZE):
        parts.append(job_insert.prepare(part))
        await asyncio.sleep(0)
    return JobGroup(new, parts)


def _resolve(
    future: "asyncio.Future[Sequence[int]]", result: Sequence[int] | BaseException | None
) -> None:
    if future.done():
        return
    if isinstance(result, BaseException):
        future.set_exception(result)
    else:
        future.set_result(list(result or ()))


def _replace_by(job: Job) -> Change:
    return lambda _: job
