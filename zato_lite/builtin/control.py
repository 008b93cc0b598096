"""Services that pause, skip, cancel, retry and backfill, for a job or the whole scheduler."""

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, TypedDict

from msgspec import Meta

from zato_lite.builtin.audit_subject import changes_of_edit, subject_of_edit
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import (
    Input,
    JobRef,
    LocalMoment,
    Moment,
    Note,
    RunRef,
    read_local,
)
from zato_lite.builtin.jobs import JobItem, job_item
from zato_lite.builtin.output import Empty, build, iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, require_run_rights
from zato_lite.errors import BadInputError, FieldError, NotFoundError
from zato_lite.scheduler.commands import JobCommands, require_backfill_size
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.job_answers import NewRuns
from zato_lite.service.needs import needs
from zato_lite.service.request import In, Out
from zato_lite.store.pauses import Paused
from zato_lite.store.rows import JobRow
from zato_lite.store.rows import Pause as SchedulerPause
from zato_lite.timetable.backfill import backfilled, left_out_words, without_bounds


class PauseInput(JobRef, forbid_unknown_fields=True):
    """A job, the reason for its pause, and the instant at which the pause ends."""

    note: Note = ""
    until: Moment | None = None


class SkipInput(JobRef):
    """A job, and how many of its next slots to skip."""

    count: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class BackfillInput(JobRef):
    """A job and a span of time; dates without an offset are in the job's time zone.

    Both ends are included. ``force`` also runs slots before the job's start and after its end.
    ``dry_run`` only counts the slots.
    """

    first: LocalMoment
    last: LocalMoment
    force: bool = False
    dry_run: bool = False


class NoteInput(Input):
    """The reason for a pause."""

    note: Note = ""


class Cancelled(TypedDict):
    """False if the run had ended already."""

    is_cancelled: bool


class NewRun(TypedDict):
    """The number of the new run."""

    current_run: int


class PauseItem(TypedDict):
    """The start, the reason and the author of a pause of the scheduler."""

    since: str
    note: str
    by: str


class JobService(AuditedService[In, Out]):
    """Base of the services that operate a job."""

    role = "operator"
    jobs = needs(JobCommands)
    history = needs(RunHistory)

    async def item_of(self, row: JobRow) -> JobItem:
        """Return a job as get-list shows it."""
        last = await self.history.last_runs([row.id])
        return job_item(row, last.get(row.id))


class Pause(JobService[PauseInput, JobItem]):
    """Pause a job: start none of its slots until it is resumed, or until ``until``."""

    name = "zato.scheduler.job.pause"

    async def change(self, params: PauseInput) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(subject_of_edit, changes_of_edit)
        row = await self.jobs.pause(
            params.id, params.note, params.until, by=self.caller.principal, permits=permits
        )
        self.response.payload = await self.item_of(row)
        return str(params.id)


class Resume(JobService[JobRef, JobItem]):
    """Resume a job; slots that passed during the pause are in its ledger."""

    name = "zato.scheduler.job.resume"

    async def change(self, params: JobRef) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(subject_of_edit, changes_of_edit)
        row = await self.jobs.resume(params.id, self.caller.principal, permits)
        self.response.payload = await self.item_of(row)
        return f"{row.id} {row.job.name}"


class SkipNext(JobService[SkipInput, JobItem]):
    """Skip the next ``count`` slots of a job (1 by default); 0 skips none."""

    name = "zato.scheduler.job.skip-next"

    async def change(self, params: SkipInput) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(subject_of_edit, changes_of_edit)
        row = await self.jobs.skip_next(params.id, params.count, self.caller.principal, permits)
        self.response.payload = await self.item_of(row)
        return str(params.id)


class CancelRun(JobService[RunRef, Cancelled]):
    """Cancel a run that has not ended."""

    name = "zato.scheduler.job.cancel-run"

    async def change(self, params: RunRef) -> str:
        job_id, number = params.id, params.current_run
        permits = await require_run_rights(job_id, self.jobs, authority_of(self))
        if await self.history.run(job_id, number) is None:
            raise NotFoundError(f"Run {number} of job {job_id} not found")
        self.record_with_change(f"{job_id}, run {number}")
        is_cancelled = await self.jobs.cancel_run(job_id, number, permits)
        self.response.payload = {"is_cancelled": is_cancelled}
        return f"{job_id}, run {number}"


class RetryRun(JobService[RunRef, NewRun]):
    """Run the slot of a finished run again, as a new run."""

    name = "zato.scheduler.job.retry-run"

    async def change(self, params: RunRef) -> str:
        job_id, number = params.id, params.current_run
        permits = await require_run_rights(job_id, self.jobs, authority_of(self))
        self.record_with_change(f"{job_id}, run {number}")
        run = await self.jobs.retry_run(job_id, number, self.caller.principal, permits)
        self.response.payload = {"current_run": run}
        return f"{job_id}, run {number}"


class Backfill(JobService[BackfillInput, NewRuns]):
    """Run each slot of a job from ``first`` to ``last``, both included, one after another."""

    name = "zato.scheduler.job.backfill"

    async def change(self, params: BackfillInput) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        trigger = (await self.jobs.get(params.id)).job.trigger
        first, last = read_local(trigger.timezone, first=params.first, last=params.last)
        if last < first:
            error = FieldError("last", params.last, "last: it is before first")
            raise BadInputError.of([error])
        forced = params.force
        wanted = without_bounds(trigger, first) if forced else trigger
        found = backfilled(wanted, first, last)
        require_backfill_size(found.number)
        runs: Sequence[int] = ()
        if not params.dry_run:
            self.record_with_change(str(params.id))
            runs = await self.jobs.backfill(
                params.id, first, last, self.caller.principal, is_forced=forced, permits=permits
            )
        answer: NewRuns = {"runs": list(runs), "reason": left_out_words(wanted, first, last)}
        if params.dry_run:
            answer["count"] = found.number
            answer["first_iso"] = iso_or_none(found.first)
            answer["last_iso"] = iso_or_none(found.last)
        self.response.payload = answer
        return f"{params.id}{' (dry run)' * params.dry_run}"


class PauseScheduler(AuditedService[NoteInput, PauseItem]):
    """Start no slot of any job until resumed; manual runs are still possible."""

    name = "zato.scheduler.pause"
    role = "editor"
    scope = "all"
    jobs = needs(JobCommands)

    async def change(self, params: NoteInput) -> str:
        self.record_with_change("scheduler", _changes_of_pause)
        pause = await self.jobs.pause_all(params.note, self.caller.shown)
        self.response.payload = build(PauseItem, pause, since=iso(pause.since))
        return "scheduler"


def _changes_of_pause(paused: Paused) -> Mapping[str, Any]:
    if paused.was_paused:
        return {}
    return {"is_paused": [False, True], "note": [None, paused.pause.note or None]}


def _changes_of_resumption(ended: SchedulerPause | None) -> Mapping[str, Any]:
    return (
        {} if ended is None else {"is_paused": [True, False], "note": [ended.note or None, None]}
    )


class ResumeScheduler(AuditedService[Any, Empty]):
    """Resume all jobs; slots that passed during the pause are in the ledger."""

    name = "zato.scheduler.resume"
    role = "editor"
    scope = "all"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        self.record_with_change("scheduler", _changes_of_resumption)
        await self.jobs.resume_all()
        self.response.payload = {}
        return "scheduler"


class ContinueItem(TypedDict):
    """The number of jobs that start again."""

    jobs: int


class Continue(AuditedService[Any, ContinueItem]):
    """Plan the slots of jobs that a clock set back holds up from now on.

    Their slots between now and the time that the clock showed before run again, as if they had
    not run; the earlier runs stay in history, as runs of the kind ``backfill``.
    """

    name = "zato.scheduler.continue"
    role = "editor"
    scope = "all"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        self.record_with_change("scheduler")
        self.response.payload = {"jobs": await self.jobs.continue_jobs()}
        return "scheduler"
