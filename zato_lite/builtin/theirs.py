"""What a caller may have run by way of a job that is there: nothing that is not theirs to invoke.

That holds when a definition is made or edited, and when a run is asked for. A job that is called
back may be edited later by somebody else, who then decides what it runs, and may invoke that:
who calls it back goes on doing so, as one who invokes a service whose code is changed.
"""

from collections.abc import Collection, Iterable

from zato_lite.errors import BadInputError, FieldError, ForbiddenError
from zato_lite.scheduler.jobs import Jobs
from zato_lite.service.access import beyond, fits, may_invoke
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.timetable.job import Job


async def callback_jobs_must_be_theirs(
    wanted: Collection[Job], jobs: Jobs, caller: Caller
) -> None:
    """Refuse to call back a job of what the caller may not invoke, or one that is not there yet.

    Whoever makes it later may have it run anything. Jobs of ``wanted`` itself are looked at by
    whoever asks; who may do everything is not asked.

    Raises:
        ForbiddenError: names the job and its service.
        BadInputError: names the jobs that are not there.
    """
    if caller is SYSTEM or not beyond(caller, ("admin",), ()):
        return
    names = {name for _, name in _callback_jobs(wanted)}
    names -= {job.name for job in wanted if names}
    if not names:
        return
    there = {row.job.name: row.job for row in await jobs.named(names)}
    for job in there.values():
        if not may_invoke(caller, job.service):
            raise ForbiddenError(
                f"{caller.name} may not have `{job.service}` run, which job `{job.name}` does"
            )
    if missing := names - there.keys():
        text = "no job has this name; it is to be made before it can be called back"
        raise BadInputError.of(
            FieldError(field, name, f"{field}: {text}")
            for field, name in _callback_jobs(wanted)
            if name in missing
        )


async def must_be_theirs_to_run(job_id: int, jobs: Jobs, caller: Caller) -> None:
    """Refuse a caller who is confined to some services a run of a job of another one.

    Raises:
        ForbiddenError: names the service.
        JobNotFoundError: there is no such job.
    """
    if caller.patterns:
        service = (await jobs.get(job_id)).job.service
        if not fits(service, caller.patterns):
            raise ForbiddenError(f"{caller.name} may not have `{service}` run")


def _callback_jobs(jobs: Iterable[Job]) -> Iterable[tuple[str, str]]:
    """The fields that name a job to call back, and whom they name."""
    for job in jobs:
        if job.on_success_job is not None:
            yield "on_success_job", job.on_success_job
        if job.on_error_job is not None:
            yield "on_error_job", job.on_error_job
