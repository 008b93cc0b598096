"""Bulk commands: one change of many jobs, selected by id, by name or as a list shows them.

The selection is checked as a whole; then the change is made in slices, each in a transaction, so
that claims, results and requests have their turns in between. A job whose service has changed
since the selection is left out: the caller was permitted to change it with the service before.
"""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import (
    BadInputError,
    ConflictError,
    ForbiddenError,
    JobNotFoundError,
    NotFoundError,
)
from zato_lite.scheduler.commands import Change, require_future
from zato_lite.scheduler.observer import tell_edited
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.store import enqueue, jobs, references
from zato_lite.store.attempts import ClaimedAttempt, StartedRuns
from zato_lite.store.ports import Connection, Database
from zato_lite.store.selection import (
    RunSelection,
    Selected,
    SelectedRun,
    Selection,
    select,
    select_runs,
)
from zato_lite.store.sql import batches
from zato_lite.store.visibility import Permits
from zato_lite.timetable.job import Instant, Job

SLICE = 50
"""Jobs that are changed in one transaction."""

_MAX_NAMED = 10
_CHANGED = (JobNotFoundError, ForbiddenError)
_Part = Sequence[Selected]


class BulkCommands:
    """Changes of many jobs; each returns once all of them are durable."""

    def __init__(self, database: Database, scheduler: Scheduler, clock: Clock) -> None:
        self._database, self._scheduler, self._clock = database, scheduler, clock

    async def select(
        self, selection: Selection, permits: Permits | None = None
    ) -> Sequence[Selected]:
        """Return the selected jobs in order of their names.

        A filter selects only jobs for whose services ``permits`` returns True.

        Raises:
            BadInputError: there are too many of them.
            NotFoundError: names the ids and names that no job has.
            ConflictError: the filter matches another number of jobs than expected.
        """
        now, limit = self._clock.now(), selection.limit
        wanted = selection._replace(limit=limit + 1)
        found = await self._database.read(lambda c: select(c, wanted, now, permits))
        if len(found) > limit:
            raise BadInputError(f"the selection has more than {limit} jobs; select fewer")
        if selection.expected is not None and len(found) != selection.expected:
            raise ConflictError(
                f"the selection has {len(found)} jobs, and `expected` is {selection.expected}"
            )
        ids = sorted(set(selection.ids) - {each.id for each in found})
        names = sorted(set(selection.names) - {each.name for each in found})
        _require_all("Jobs", [*map(str, ids), *(f"`{name}`" for name in names)])
        return found

    async def select_runs(
        self, selection: RunSelection, permits: Permits | None = None
    ) -> Sequence[SelectedRun]:
        """Return the selected runs in order of their ids.

        Raises:
            BadInputError: there are too many of them.
            NotFoundError: names the ids that no run of an existing job has.
            ConflictError: there is another number of runs than expected.
        """
        if not selection.run_ids and selection.jobs.filter is None:
            await self.select(selection.jobs._replace(expected=None))  # finds missing jobs
        now, limit = self._clock.now(), selection.limit
        wanted = selection._replace(limit=limit + 1)
        found = await self._database.read(lambda c: select_runs(c, wanted, now, permits))
        if len(found) > limit:
            raise BadInputError(f"the selection has more than {limit} runs; select fewer")
        expected = selection.jobs.expected
        if expected is not None and len(found) != expected:
            raise ConflictError(
                f"the selection has {len(found)} runs, and `expected` is {expected}"
            )
        _require_all(
            "Runs", [*map(str, sorted(set(selection.run_ids) - {each.id for each in found}))]
        )
        return found

    async def retry(
        self, selected: Sequence[SelectedRun], requested_by: str = ""
    ) -> Sequence[tuple[SelectedRun, int]]:
        """Run the slots of ended runs again; return these runs and the numbers of the new ones."""
        now, node = self._clock.now(), self._scheduler.node_id
        retried: list[tuple[SelectedRun, int]] = []

        def work(connection: Connection, part: Sequence[SelectedRun]) -> list[ClaimedAttempt]:
            started = []
            for run in part:
                # deleted, in flight, or a job of another service?
                with contextlib.suppress(NotFoundError, ConflictError, ForbiddenError):
                    new = enqueue.enqueue_retry(
                        connection,
                        run.job_id,
                        run.number,
                        now,
                        node,
                        requested_by,
                        run.is_of,
                    )
                    started += new
                    numbers[run] = new[0].run_number
            return started

        for part in batches(selected, SLICE):
            numbers: dict[SelectedRun, int] = {}
            await self._scheduler.start_runs(partial(work, part=part))
            retried += numbers.items()
            await asyncio.sleep(0)
        return retried

    async def check_deletion(
        self, selected: Sequence[Selected], permits: Permits | None = None
    ) -> None:
        """Refuse to delete jobs that others call back, unless these are deleted with them.

        Raises:
            ConflictError: names the jobs that call back, those that ``permits`` lets the caller
                see, and the one that they call.
        """
        ids, names = {each.id for each in selected}, {each.name for each in selected}
        await self._database.read(
            lambda c: references.require_unreferenced(c, ids, names, permits)
        )

    async def delete(self, selected: Sequence[Selected], by: str = "") -> Sequence[int]:
        """Delete jobs; return the ids of those that still existed."""
        now = self._clock.now()

        def work(connection: Connection, started: StartedRuns, part: _Part) -> list[int]:
            return [
                run_id
                for each in part
                for run_id in jobs.delete(
                    connection, each.id, now, started, is_checked=True, permits=each.is_of
                )
            ]

        async def delete(part: _Part) -> None:
            await self._scheduler.change_jobs(_ids(part), lambda c, s: work(c, s, part), set)

        deleted = await _in_slices(selected, delete)
        if deleted and self._scheduler.observer.is_wanted:
            self._scheduler.observer.jobs_changed("deleted", len(deleted), by)
        return deleted

    async def edit(
        self, selected: Sequence[Selected], change: Change, by: str = ""
    ) -> Sequence[int]:
        """Apply a change to the definitions; return the ids of the jobs that still existed."""
        now = self._clock.now()

        observer = self._scheduler.observer

        async def edit(part: _Part) -> None:
            edits = await self._scheduler.change_jobs(
                _ids(part),
                lambda c, s: [
                    jobs.edit(c, each.id, change, now, s, by=by, permits=each.is_of)
                    for each in part
                ],
                lambda edits: {run for each in edits for run in each.revoked},
                list,
            )
            if observer.is_wanted:
                tell_edited(observer, edits, by)

        changed = await _in_slices(selected, edit)
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
        """Pause jobs; return the ids of those that still existed.

        Raises:
            BadInputError: ``until`` has passed.
        """
        require_future(until, self._clock.now())
        return await self.edit(selected, paused(note, until), by)

    async def resume(self, selected: Sequence[Selected], by: str = "") -> Sequence[int]:
        """End the pauses of jobs; return the ids of those that still existed."""
        return await self.edit(selected, resumed, by)

    async def execute(self, selected: Sequence[Selected], requested_by: str = "") -> Sequence[int]:
        """Run each job once, now; return the ids of those that still existed."""
        now, node = self._clock.now(), self._scheduler.node_id

        def work(connection: Connection, part: _Part) -> list[ClaimedAttempt]:
            return [
                attempt
                for each in part
                for attempt in enqueue.enqueue_runs(
                    connection,
                    each.id,
                    jobs.get_permitted(connection, each.id, each.is_of),
                    now,
                    node,
                    requested_by=requested_by,
                )
            ]

        async def execute(part: _Part) -> None:
            await self._scheduler.start_runs(lambda c: work(c, part), _ids(part))

        return await _in_slices(selected, execute)


def paused(note: str = "", until: Instant | None = None) -> Change:
    """Return the change that pauses a job."""

    def change(job: Job) -> Job:
        return msgspec.structs.replace(
            job, is_active=False, pause_note=note or None, pause_until=until
        )

    return change


def skipping(count: int) -> Change:
    """Return the change that skips the next slots of a job; with 0, none."""
    return lambda job: msgspec.structs.replace(job, skip_next=count)


def resumed(job: Job) -> Job:
    """Return the definition of a job without its pause."""
    return msgspec.structs.replace(job, is_active=True, pause_note=None, pause_until=None)


def _require_all(what: str, missing: Sequence[str]) -> None:
    """Refuse a selection that names jobs or runs that do not exist.

    Raises:
        NotFoundError: names the first of them.
    """
    if missing:
        more = f" and {len(missing) - _MAX_NAMED} more" if len(missing) > _MAX_NAMED else ""
        raise NotFoundError(f"{what} not found: {', '.join(missing[:_MAX_NAMED])}{more}")


def _ids(part: _Part) -> list[int]:
    return [each.id for each in part]


async def _in_slices(selected: _Part, change: Callable[[_Part], Awaitable[None]]) -> Sequence[int]:
    """Make a change slice by slice; return the ids of the jobs that were still as selected."""
    changed: list[int] = []
    for part in batches(selected, SLICE):
        try:
            await change(part)
            changed += _ids(part)
        except _CHANGED:  # one has changed since the selection: the slice one by one
            changed += [each.id for each in part if await _is_changed(each, change)]
        await asyncio.sleep(0)
    return changed


async def _is_changed(each: Selected, change: Callable[[_Part], Awaitable[None]]) -> bool:
    try:
        await change([each])
    except _CHANGED:
        return False
    return True
