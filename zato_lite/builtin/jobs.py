"""Jobs as services: create, edit, delete, execute, list, get; the surface is Zato's."""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from operator import attrgetter
from typing import Any

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deadman import watch_over
from zato_lite.builtin.definition import edited, fields, read
from zato_lite.builtin.fields import Read, Reader, flag, naive_iso, name, text, whole
from zato_lite.builtin.many import read_many
from zato_lite.builtin.permissions import (
    callback_jobs_must_be_theirs,
    must_be_theirs_to_run,
    warn_of_missing,
)
from zato_lite.errors import BadInputError, FieldError, ForbiddenError, JobExistsError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.access import may_invoke
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.store.rows import JobRow, RunRow
from zato_lite.timetable.job import Cron, Job

ID_MOST = 2**63 - 1
PAGE_SIZE = 20
PAGE_MOST = 100
_UNPAGED_MOST = 100_000
_BULK_MOST = 1_000_000
_concerns = attrgetter(
    "service",
    "on_success_service",
    "on_error_service",
    "on_success_job",
    "on_error_job",
    "calendar",
    "alert_after_intervals",
)
"""What of a job is looked at besides itself: where two agree in it, one is enough."""


class Create(AuditedService):
    """Create a job; answers with its id and name."""

    name = "zato.scheduler.job.create"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: Any) -> str:
        job = read(self.request.payload, self.clock.now())
        must_be_allowed([job], self.services, self.caller)
        missing = await callback_jobs_must_be_theirs([job], self.jobs, self.caller)
        await calendars_must_exist([job], self.jobs)
        try:
            [job_id] = await self.jobs.create([job])
            await watch_over([job], self.jobs, self.clock.now())
            warn_of_missing(missing, self.logger)
        except JobExistsError:
            if Reader(self.request.payload)("should_ignore_existing", flag, default=False):
                self.response.payload = {}
                return job.name
            raise
        self.response.payload = {"id": job_id, "name": job.name, **_cron(job)}
        return job.name


class CreateMany(AuditedService):
    """Create all the jobs of ``jobs``, or none; answers with their ids, in order."""

    name = "zato.scheduler.job.create-many"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        sent = reader.required("jobs", definitions(_BULK_MOST), ())
        reader.check()
        jobs: list[Job] = []
        kinds: dict[Any, Job] = {}
        for part in read_many(sent, self.clock.now()):
            jobs += part.jobs
            kinds.update((_concerns(job), job) for job in part.kinds)
            await asyncio.sleep(0)  # 100,000 definitions take a while, and others have jobs to run
        must_be_allowed(kinds.values(), self.services, self.caller)
        missing = await callback_jobs_must_be_theirs(
            kinds.values(), self.jobs, self.caller, together_with=jobs
        )
        await calendars_must_exist(kinds.values(), self.jobs)
        self.response.payload = {"ids": await self.jobs.create(jobs)}
        await watch_over(kinds.values(), self.jobs, self.clock.now())
        warn_of_missing(missing, self.logger)
        return f"{len(jobs)} jobs"


class Edit(AuditedService):
    """Change the fields that are sent; null clears one; the others stay."""

    name = "zato.scheduler.job.edit"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: Any) -> str:
        sent = self.request.payload
        job_id = job_id_of(sent)
        now = self.clock.now()
        after = edited((await self.jobs.get(job_id)).job, sent, now)
        caller_must_be_allowed([after], self.caller)
        missing = await callback_jobs_must_be_theirs([after], self.jobs, self.caller)
        await calendars_must_exist([after], self.jobs)

        def change(before: Job) -> Job:
            after = edited(before, sent, now)
            if _services_of([after]) != _services_of([before]):
                must_be_allowed([after], self.services, self.caller)
            return after

        row = await self.jobs.edit(job_id, change)
        await watch_over([row.job], self.jobs, now)
        warn_of_missing(missing, self.logger)
        self.response.payload = {"id": row.id, "name": row.job.name, **_cron(row.job)}
        return f"{row.id} {row.job.name}"


class SetActiveStatus(AuditedService):
    """Switch a job on or off."""

    name = "zato.scheduler.job.set-active-status"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        job_id = reader.required("id", whole(1, ID_MOST), 0)
        is_active = reader.required("is_active", flag, default=False)
        reader.check()
        if is_active:
            await must_be_theirs_to_run(job_id, self.jobs, self.caller)
            await self.jobs.resume(job_id)
        else:
            await self.jobs.pause(job_id)
        self.response.payload = {}
        return str(job_id)


class Delete(AuditedService):
    """Delete a job; what it ran stays in the history."""

    name = "zato.scheduler.job.delete"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        job_id = job_id_of(self.request.payload)
        await self.jobs.delete(job_id)
        self.response.payload = {}
        return str(job_id)


class Execute(AuditedService):
    """Run a job now, also a paused one; its timetable does not move. Does not wait for the run."""

    name = "zato.scheduler.job.execute"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        job_id = job_id_of(self.request.payload)
        await must_be_theirs_to_run(job_id, self.jobs, self.caller)
        run = await self.jobs.execute(job_id)
        self.response.payload = {"current_run": run}
        return f"{job_id}, run {run}"


class GetList(Service):
    """All jobs by name, or those that match; a page of them when a page is asked for."""

    name = "zato.scheduler.job.get-list"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        page = reader("cur_page", whole(1, 10**9), 1)
        size = reader("page_size", whole(1, PAGE_MOST), PAGE_SIZE)
        is_paged = reader("paginate", flag, default="page_size" in reader.given)
        query = reader("query", text(1_000), "")
        service = reader("service_name", name, "")
        reader.check()
        limit, offset = (size, (page - 1) * size) if is_paged else (_UNPAGED_MOST, 0)
        rows, total = await self.jobs.list(
            query=query, service=service, limit=limit, offset=offset
        )
        if is_paged:
            self.response.headers.update(page_headers(page, size, total))
        last = await self.jobs.last_runs([row.id for row in rows])
        self.response.payload = [item(row, last.get(row.id)) for row in rows]


class GetByID(Service):
    """One job by its id."""

    name = "zato.scheduler.job.get-by-id"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        row = await self.jobs.get(job_id_of(self.request.payload))
        self.response.payload = await detail(self.jobs, row)


class GetByName(Service):
    """One job by its name."""

    name = "zato.scheduler.job.get-by-name"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        job_name = reader.required("name", name, "")
        reader.check()
        row = await self.jobs.get_by_name(job_name)
        self.response.payload = await detail(self.jobs, row)


def job_id_of(sent: Any) -> int:
    """The job's id: ``id`` as in Zato 3.2, or ``job_id`` as in 4.1.

    Raises:
        BadInputError: neither was sent, or it is no positive whole number.
    """
    reader = Reader(sent)
    field = "job_id" if "job_id" in reader.given else "id"
    job_id = reader.required(field, whole(1, ID_MOST), 0)
    reader.check()
    return job_id


def definitions(most: int) -> Read[Sequence[Mapping[str, Any]]]:
    """Reads a list of definitions, each the fields of one job."""

    def read_list(value: Any) -> Sequence[Mapping[str, Any]]:
        if not isinstance(value, list) or len(value) > most:
            raise ValueError(f"a list of at most {most} definitions")
        if not all(issubclass(kind, Mapping) for kind in set(map(type, value))):
            raise ValueError("a list of definitions, each an object")
        return value

    return read_list


def must_be_allowed(jobs: Iterable[Job], services: Registry, caller: Caller) -> None:
    """Refuse a job that would run, or call back, what is not deployed or not the caller's to run.

    Raises:
        ServiceMissingError, ForbiddenError: names the service.
    """
    wanted = _services_of(jobs)
    for service in sorted(wanted):
        if service not in services:
            services.get(service)  # raises, with the nearest names
    _must_be_theirs(wanted, caller)


def caller_must_be_allowed(jobs: Iterable[Job], caller: Caller) -> None:
    """Refuse to let a caller change what a job does that they could not have made.

    Raises:
        ForbiddenError: names the service.
    """
    _must_be_theirs(_services_of(jobs), caller)


def _must_be_theirs(services: Iterable[str], caller: Caller) -> None:
    if caller is not SYSTEM:
        for service in sorted(services):
            if not may_invoke(caller, service):
                raise ForbiddenError(f"{caller.name} may not have `{service}` run")


async def calendars_must_exist(wanted_by: Iterable[Job], jobs: JobCommands) -> None:
    """Refuse a job whose calendar nobody has made.

    Raises:
        BadInputError: names it, and those that there are.
    """
    if wanted := {job.calendar for job in wanted_by if job.calendar is not None}:
        known = await jobs.calendars()
        if missing := sorted(wanted - set(known)):
            there = ", ".join(sorted(known)) or "none"
            words = f"calendar: {missing[0]!r} does not exist; there are: {there}"
            raise BadInputError.of([FieldError("calendar", missing[0], words)])


def item(row: JobRow, last: RunRow | None) -> dict[str, Any]:
    """A job as get-list shows it: its definition, when it ran last and runs next."""
    started_at = last.started_at if last is not None else None
    return {
        "id": row.id,
        **fields(row.job),
        "service_id": row.job.service,
        "service_name": row.job.service,
        "next_run_utc": naive_iso(row.next_at) if row.next_at is not None else "",
        "last_run_utc": naive_iso(started_at) if started_at is not None else "",
        "last_duration_ms": duration_ms(last),
    }


async def detail(jobs: JobCommands, row: JobRow) -> dict[str, Any]:
    """A job as get-by-id shows it: with its recent outcomes, oldest first."""
    last = (await jobs.last_runs([row.id])).get(row.id)
    recent = (await jobs.recent_outcomes([row.id])).get(row.id, ())
    return {
        **item(row, last),
        "in_flight": row.in_flight,
        "queued": row.queued,
        "last_outcome": last.outcome if last is not None else "",
        "recent_outcomes": list(recent),
    }


def duration_ms(run: RunRow | None) -> float | None:
    """How long a run took; None while it runs and for none at all."""
    if run is None or run.duration_us is None:
        return None
    return run.duration_us / 1000


def page_headers(page: int, size: int, total: int) -> dict[str, str]:
    """Where a page stands among the others, as Zato tells it."""
    last = max(1, -(-total // size))
    return {
        "X-Zato-Page-Current": str(page),
        "X-Zato-Page-Size": str(size),
        "X-Zato-Page-Total": str(last),
        "X-Zato-Page-Previous": str(page - 1) if page > 1 else "",
        "X-Zato-Page-Next": str(page + 1) if page < last else "",
        "X-Zato-Page-Has-Previous": str(page > 1).lower(),
        "X-Zato-Page-Has-Next": str(page < last).lower(),
        "X-Zato-Result-Total": str(total),
    }


def _services_of(jobs: Iterable[Job]) -> set[str]:
    wanted = {(job.service, job.on_success_service, job.on_error_service) for job in jobs}
    return {service for each in wanted for service in each if service is not None}


def _cron(job: Job) -> dict[str, str]:
    if isinstance(job.trigger, Cron):
        return {"cron_definition": job.trigger.expression}
    return {}
