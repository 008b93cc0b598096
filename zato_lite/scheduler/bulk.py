"""Bulk commands: one change of many jobs, selected by id, by name or as a list shows them.

The selection is checked as a whole; then the change is made in slices, each in a transaction, so
that claims, results and requests have their turns in between.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import ConflictError, JobNotFoundError, NotFoundError
from zato_lite.scheduler.commands import Change
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import enqueue, jobs, references
from zato_lite.store.attempts import ClaimedAttempt, StartedRuns
from zato_lite.store.ports import Connection, Database
from zato_lite.store.selection import Selected, Selection, select
from zato_lite.store.sql import batches
from zato_lite.store.visibility import Permits
from zato_lite.timetable.job import Instant, Job

SLICE = 50
"""Jobs that are changed in one transaction."""

_MAX_NAMED = 10


class BulkCommands:
    """Changes of many jobs; each returns once all of them are durable."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock

    async def select(
        self, selection: Selection, permits: Permits | None = None
    ) -> Sequence[Selected]:
        """Return the selected jobs in order of their names.

        A query selects only jobs for whose services ``permits`` returns True.

        Raises:
            NotFoundError: names the ids and names that no job has.
            ConflictError: the query matches another number of jobs than expected.
        """
        found = await self._database.read(lambda c: select(c, selection))
        if selection.query is not None and permits is not None:
            found = [each for each in found if permits(each.service)]
        if selection.expected is not None and len(found) != selection.expected:
            raise ConflictError(
                f"the selection has {len(found)} jobs, and `expected` is {selection.expected}"
            )
        missing = [
            *(str(job_id) for job_id in sorted(set(selection.ids) - {each.id for each in found})),
            *(
                f"`{name}`"
                for name in sorted(set(selection.names) - {each.name for each in found})
            ),
        ]
        if missing:
            more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
            raise NotFoundError(f"Jobs not found: {', '.join(missing[:_MAX_NAMED])}{more}")
        return found

    async def check_deletion(self, selected: Sequence[Selected]) -> None:
        """Refuse to delete jobs that others call back, unless these are deleted with them.

        Raises:
            ConflictError: names the jobs that call back, and the one that they call.
        """
        ids, names = {each.id for each in selected}, {each.name for each in selected}
        await self._database.read(lambda c: references.require_unreferenced(c, ids, names))

    async def delete(self, selected: Sequence[Selected]) -> Sequence[int]:
        """Delete jobs; return the ids of those that still existed."""
        await self.check_deletion(selected)
        now, ids = self._clock.now(), [each.id for each in selected]

        def work(connection: Connection, started: StartedRuns, part: Sequence[int]) -> list[int]:
            return [
                run_id
                for job_id in part
                for run_id in jobs.delete(connection, job_id, now, started, is_checked=True)
            ]

        async def delete(part: Sequence[int]) -> None:
            await self._scheduler.change_jobs(part, lambda c, s: work(c, s, part), set)

        return await _in_slices(ids, delete)

    async def edit(
        self, selected: Sequence[Selected], change: Change, by: str = ""
    ) -> Sequence[int]:
        """Apply a change to the definitions; return the ids of the jobs that still existed."""
        now = self._clock.now()

        async def edit(part: Sequence[int]) -> None:
            await self._scheduler.change_jobs(
                part,
                lambda c, s: [jobs.edit(c, job_id, change, now, s, by=by) for job_id in part],
                lambda edits: {run for each in edits for run in each.revoked},
                list,
            )

        changed = await _in_slices([each.id for each in selected], edit)
        self._scheduler.reschedule_claim()
        return changed

    async def pause(
        self,
        selected: Sequence[Selected],
        note: str = "",
        until: Instant | None = None,
        *,
        by: str = "",
    ) -> Sequence[int]:
        """Pause jobs; return the ids of those that still existed."""
        return await self.edit(selected, paused(note, until), by)

    async def resume(self, selected: Sequence[Selected]) -> Sequence[int]:
        """End the pauses of jobs; return the ids of those that still existed."""
        return await self.edit(selected, resumed)

    async def execute(self, selected: Sequence[Selected], requested_by: str = "") -> Sequence[int]:
        """Run each job once, now; return the ids of those that still existed."""
        now, node = self._clock.now(), self._scheduler.node_id

        def work(connection: Connection, part: Sequence[int]) -> list[ClaimedAttempt]:
            return [
                attempt
                for job_id in part
                for attempt in enqueue.enqueue_runs(
                    connection,
                    job_id,
                    jobs.get(connection, job_id).job,
                    now,
                    node,
                    requested_by=requested_by,
                )
            ]

        async def execute(part: Sequence[int]) -> None:
            await self._scheduler.start_runs(lambda c: work(c, part))

        return await _in_slices([each.id for each in selected], execute)


def paused(note: str = "", until: Instant | None = None) -> Change:
    """Return the change that pauses a job."""

    def change(job: Job) -> Job:
        return msgspec.structs.replace(
            job, is_active=False, pause_note=note or None, pause_until=until
        )

    return change


def resumed(job: Job) -> Job:
    """Return the definition of a job without its pause."""
    return msgspec.structs.replace(job, is_active=True, pause_note=None, pause_until=None)


async def _in_slices(
    ids: Sequence[int], change: Callable[[Sequence[int]], Awaitable[None]]
) -> Sequence[int]:
    """Make a change slice by slice; return the ids of the jobs that still existed."""
    changed: list[int] = []
    for part in batches(ids, SLICE):
        try:
            await change(part)
            changed += part
        except JobNotFoundError:  # deleted since the selection: the others of the slice one by one
            changed += [job_id for job_id in part if await _exists(job_id, change)]
        await asyncio.sleep(0)
    return changed


async def _exists(job_id: int, change: Callable[[Sequence[int]], Awaitable[None]]) -> bool:
    try:
        await change([job_id])
    except JobNotFoundError:
        return False
    return True
