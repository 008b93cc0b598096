"""Jobs as services: create, edit, delete, execute, list, get; names and fields are Zato's."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from operator import attrgetter
from typing import Annotated, Any, TypedDict, cast

from msgspec import Meta, field
from msgspec.structs import replace

from zato_lite.builtin.audit_subject import changes_of_edit, subject_of_edit
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deadman import watch_over
from zato_lite.builtin.definition import (
    Definition,
    JobChanges,
    NewJob,
    allows_missing,
    edited,
    fields,
    job_output,
    read,
    should_ignore_existing,
)
from zato_lite.builtin.definition_many import read_many
from zato_lite.builtin.input import Also, Input, JobRef, NameRef, object_list
from zato_lite.builtin.job_checks import require_extra, require_names
from zato_lite.builtin.job_state import (
    STATE_SCHEMA,
    TABLE_SCHEMA,
    Include,
    state_fields,
    table_fields,
)
from zato_lite.builtin.output import Empty, duration_ms, iso_or_none, naive_iso
from zato_lite.builtin.permissions import (
    authority_of,
    choose_principal,
    require_calendars,
    require_callbacks,
    require_matching,
    require_permitted,
    require_rights,
    require_run_rights,
    require_services,
    require_visible_job,
    services_of,
    warn_of_missing,
)
from zato_lite.errors import JobExistsError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.scheduler.job_lists import JobLists
from zato_lite.service.base import Service
from zato_lite.service.job_answers import CreatedJob, EditedJob
from zato_lite.service.message import SYSTEM
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.service.schedule import SystemJob
from zato_lite.store.accounts import Accounts
from zato_lite.store.job_figures import LatestRun
from zato_lite.store.jobs import stale_error
from zato_lite.store.rows import JobRow, RunRow
from zato_lite.timetable.job import Cron, Job

_MAX_BULK = 1_000_000
_permissions_key = attrgetter(
    "service",
    "on_success_service",
    "on_error_service",
    "on_success_job",
    "on_error_job",
    "calendar",
    "alert_after_intervals",
    "principal",
)
"""The attributes that permissions depend on: of jobs that agree in them one is checked."""


class NewJobs(Input):
    """Definitions of jobs to create together."""

    jobs: Annotated[list[dict[str, Any]], object_list(_MAX_BULK, Definition.json_schema())]


class CreatedJobs(TypedDict):
    """Ids of the created jobs, in the order of the definitions."""

    ids: list[int]


class ActiveStatus(JobRef):
    """A job, and whether it is to be active."""

    is_active: bool


class ExecutedJob(TypedDict):
    """Number of the run that starts."""

    current_run: int


_STATE: dict[str, Any] = {
    "id": {"type": "integer"},
    "service_id": {"type": "string"},
    "service_name": {"type": "string"},
    "next_run_utc": {"type": "string"},
    "last_run_utc": {"type": "string"},
    "last_duration_ms": {"type": ["number", "null"]},
    "version": {"type": "integer"},
    "paused_since": {"type": ["string", "null"]},
    "paused_by": {"type": "string"},
}
_DETAILS: dict[str, Any] = {
    **STATE_SCHEMA,
    "recent_outcomes": {"type": "array", "items": {"type": "string"}},
}
JobItem = Annotated[dict[str, Any], job_output([*_STATE], **_STATE)]
"""A job: its definition, its last run and its next slot; empty texts for none."""
ListedJob = Annotated[
    dict[str, Any],
    job_output([*_STATE, *STATE_SCHEMA], **_STATE, **STATE_SCHEMA, **TABLE_SCHEMA),
]
"""A job with its state and what ``include`` asks for."""
JobDetail = Annotated[
    dict[str, Any], job_output([*_STATE, *_DETAILS], **_STATE, **_DETAILS, **TABLE_SCHEMA)
]
"""A job with its runs in flight, its recent outcomes, oldest first, and what it is to include."""


class Create(AuditedService[NewJob, CreatedJob]):
    """Create a job; the answer is its id and name."""

    name = "zato.scheduler.job.create"
    role = "editor"
    jobs = needs(JobCommands)
    accounts = needs(Accounts)
    calendars = needs(Calendars)
    services = needs(Registry)

    async def change(self, params: NewJob) -> str:
        jobs, now = self.jobs, self.clock.now()
        caller = SYSTEM if type(params.fields) is SystemJob else self.caller
        job = read(params.fields, now, own := caller.principal)
        if job.principal != own:
            caller = (await choose_principal(job.principal, caller, self.accounts)).caller
        missing = await require_permitted(
            [job],
            jobs,
            self.calendars,
            self.services,
            caller=caller,
            allow_missing=allows_missing(params.fields),
        )
        require_extra([job], self.services)
        try:
            if caller is not SYSTEM:
                self.record_with_change(job.name)
            [job_id] = await jobs.create([job])
        except JobExistsError:
            if not should_ignore_existing(params.fields):
                raise
            self.response.payload = {}
            return job.name
        await watch_over([job], jobs, now)
        if missing:
            warn_of_missing(missing, self.logger)
        self.response.payload = _created(job_id, job)
        return job.name


class CreateMany(AuditedService[NewJobs, CreatedJobs]):
    """Create all the jobs of ``jobs``, or none; the answer is their ids, in order."""

    name = "zato.scheduler.job.create-many"
    role = "editor"
    jobs = needs(JobCommands)
    accounts = needs(Accounts)
    calendars = needs(Calendars)
    services = needs(Registry)

    async def change(self, params: NewJobs) -> str:
        now = self.clock.now()
        jobs: list[Job] = []
        kinds: dict[Any, Job] = {}
        for batch in read_many(params.jobs, now, self.caller.principal):
            jobs += batch.jobs
            kinds.update((_permissions_key(job), job) for job in batch.kinds)
            require_extra(batch.jobs, self.services)
            await asyncio.sleep(0)  # 100,000 definitions take a while, and others have jobs to run
        require_names(jobs)
        missing = await self._require_permitted(kinds.values(), jobs)
        self.record_with_change(f"{len(jobs)} jobs")
        self.response.payload = {"ids": list(await self.jobs.create(jobs))}
        await watch_over(kinds.values(), self.jobs, now)
        warn_of_missing(missing, self.logger)
        return f"{len(jobs)} jobs"

    async def _require_permitted(self, kinds: Collection[Job], jobs: list[Job]) -> Collection[str]:
        """Refuse jobs that their principals may not run; return the missing callback jobs."""
        missing: set[str] = set()
        for principal, of_principal in _by_principal(kinds).items():
            chosen = await choose_principal(principal, self.caller, self.accounts)
            missing |= set(
                await require_permitted(
                    of_principal,
                    self.jobs,
                    self.calendars,
                    self.services,
                    caller=chosen.caller,
                    together_with=jobs,
                )
            )
        return sorted(missing)


class Edit(AuditedService[JobChanges, EditedJob]):
    """Change the fields that are sent; null clears one; the others stay.

    The job runs on behalf of its editor from then on. With ``version``, a job that has changed
    since is left alone.
    """

    name = "zato.scheduler.job.edit"
    role = "editor"
    jobs = needs(JobCommands)
    accounts = needs(Accounts)
    calendars = needs(Calendars)
    services = needs(Registry)

    async def change(self, params: JobChanges) -> str:
        now = self.clock.now()
        authority = authority_of(self)
        stored = await self.jobs.get(params.id)
        before = stored.job
        require_matching(before, authority, params.id)
        if params.version not in {None, stored.version}:
            raise stale_error(stored, params.version)
        after = edited(before, params.fields, now)
        claim = after.principal if params.fields.get("principal") else ""
        principal, caller = await choose_principal(
            claim, self.caller, self.accounts, before=before.principal
        )
        require_rights([after], caller)
        missing = await require_callbacks([after], self.jobs, caller)
        await require_calendars([after], self.calendars)
        if (after.service, after.extra) != (before.service, before.extra):
            require_extra([after], self.services)
        allow_missing = allows_missing(params.fields)

        def change(before: Job) -> Job:  # within the transaction: the job may have changed since
            require_matching(before, authority, params.id)
            after = replace(edited(before, params.fields, now), principal=principal)
            if not allow_missing and services_of([after]) != services_of([before]):
                require_services([after], self.services, caller)
            return after

        self.record_with_change(subject_of_edit, changes_of_edit)
        row = await self.jobs.edit(params.id, change, self.caller.principal, params.version)
        await watch_over([row.job], self.jobs, now)
        warn_of_missing(missing, self.logger)
        answer = cast("EditedJob", _created(row.id, row.job))
        self.response.payload = answer
        if params.version is not None:
            answer["version"] = row.version
        return f"{row.id} {row.job.name}"


class SetActiveStatus(AuditedService[ActiveStatus, Empty]):
    """Resume or pause a job."""

    name = "zato.scheduler.job.set-active-status"
    role = "operator"
    jobs = needs(JobCommands)

    async def change(self, params: ActiveStatus) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(subject_of_edit, changes_of_edit)
        if params.is_active:
            await self.jobs.resume(params.id, self.caller.principal, permits)
        else:
            await self.jobs.pause(params.id, by=self.caller.principal, permits=permits)
        self.response.payload = {}
        return str(params.id)


class Delete(AuditedService[JobRef, Empty]):
    """Delete a job; its runs stay in the history."""

    name = "zato.scheduler.job.delete"
    role = "editor"
    jobs = needs(JobCommands)

    async def change(self, params: JobRef) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(str(params.id))
        await self.jobs.delete(params.id, self.caller.principal, permits)
        self.response.payload = {}
        return str(params.id)


class Execute(AuditedService[JobRef, ExecutedJob]):
    """Start a run of a job now, even of a paused one; its slots stay as they are."""

    name = "zato.scheduler.job.execute"
    role = "operator"
    jobs = needs(JobCommands)

    async def change(self, params: JobRef) -> str:
        permits = await require_run_rights(params.id, self.jobs, authority_of(self))
        self.record_with_change(lambda attempts: f"{params.id}, run {attempts[0].run_number}")
        run = await self.jobs.execute(params.id, self.caller.principal, permits)
        self.response.payload = {"current_run": run}
        return f"{params.id}, run {run}"


_Included = Annotated[list[Include], Meta(max_length=3), Also("with")]


class JobDetailRef(JobRef):
    """A job by its id, and figures to add, as in ``get-list``."""

    include: _Included = field(default_factory=list)


class JobDetailName(NameRef):
    """A job by its name, and figures to add, as in ``get-list``."""

    include: _Included = field(default_factory=list)


class GetByID(Service[JobDetailRef, JobDetail]):
    """Return a job by its id."""

    name = "zato.scheduler.job.get-by-id"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    history = needs(RunHistory)
    lists = needs(JobLists)

    async def handle(self) -> None:
        params = self.request.input
        row = await self.jobs.get(params.id)
        require_visible_job(row.job, authority_of(self), params.id)
        self.response.payload = await job_detail(self.history, self.lists, row, params.include)


class GetByName(Service[JobDetailName, JobDetail]):
    """Return a job by its name."""

    name = "zato.scheduler.job.get-by-name"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    history = needs(RunHistory)
    lists = needs(JobLists)

    async def handle(self) -> None:
        params = self.request.input
        row = await self.jobs.get_by_name(params.name)
        require_visible_job(row.job, authority_of(self), params.name)
        self.response.payload = await job_detail(self.history, self.lists, row, params.include)


def _by_principal(jobs: Iterable[Job]) -> dict[str, list[Job]]:
    found: dict[str, list[Job]] = {}
    for job in jobs:
        found.setdefault(job.principal, []).append(job)
    return found


def job_item(row: JobRow, last: RunRow | LatestRun | None) -> JobItem:
    """Return a job as get-list shows it: its definition, its last run and its next slot."""
    started_at = last.started_at if last is not None else None
    return {
        "id": row.id,
        **fields(row.job),
        "service_id": row.job.service,
        "service_name": row.job.service,
        "next_run_utc": naive_iso(row.next_at) if row.next_at is not None else "",
        "last_run_utc": naive_iso(started_at) if started_at is not None else "",
        "last_duration_ms": duration_ms(last),
        "version": row.version,
        "paused_since": iso_or_none(row.paused_since),
        "paused_by": row.paused_by,
    }


async def job_detail(
    history: RunHistory, lists: JobLists, row: JobRow, include: Sequence[Include] = ()
) -> JobDetail:
    """Return a job as get-by-id shows it: with its recent outcomes, oldest first."""
    latest = await lists.latest(row.id) if include else ()
    last = (await history.last_runs([row.id])).get(row.id)
    recent = (await history.recent_outcomes([row.id])).get(row.id, ())
    return {
        **job_item(row, last),
        **state_fields(row, last, await lists.facts([row.id])),
        **table_fields(row, latest, include),
        "recent_outcomes": list(recent),
    }


def _created(job_id: int, job: Job) -> CreatedJob:
    if isinstance(job.trigger, Cron):
        return {"id": job_id, "name": job.name, "cron_definition": job.trigger.expression}
    return {"id": job_id, "name": job.name}
