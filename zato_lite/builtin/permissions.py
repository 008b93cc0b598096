"""What a caller may have run by way of a job that is there: nothing that is not theirs to invoke.

That holds when a definition is made or edited, and when a run is asked for. A job that is called
back may be edited later by somebody else, who then decides what it runs, and may invoke that:
who calls it back goes on doing so, as one who invokes a service whose code is changed.
"""

import logging
from collections.abc import Collection, Iterable

from zato_lite.errors import BadInputError, FieldError, ForbiddenError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.access import beyond, fits, may_invoke
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.timetable.job import Job


async def callback_jobs_must_be_theirs(
    wanted: Collection[Job], jobs: JobCommands, caller: Caller, together_with: Collection[Job] = ()
) -> Collection[str]:
    """Refuse to call back a job of what the caller may not invoke; the names that nobody has yet.

    Whoever makes such a job later may have it run anything, so it takes one who may do everything
    to name it. Jobs of ``wanted`` itself, and those made together with them, are looked at by
    whoever asks.

    Raises:
        ForbiddenError: names the job and its service.
        BadInputError: names the jobs that are not there.
    """
    names = {name for _, name in _callback_jobs(wanted)}
    if names:
        names -= {job.name for job in together_with or wanted}
    if not names:
        return ()
    there = {row.job.name: row.job for row in await jobs.named(names)}
    missing = sorted(names - there.keys())
    if caller is SYSTEM or not beyond(caller, ("admin",), ()):
        return missing
    for job in there.values():
        if not may_invoke(caller, job.service):
            raise ForbiddenError(
                f"{caller.name} may not have `{job.service}` run, which job `{job.name}` does"
            )
    if missing:
        text = "no job has this name; it is to be made before it can be called back"
        raise BadInputError.of(
            FieldError(field, name, f"{field}: {text}")
            for field, name in _callback_jobs(wanted)
            if name in missing
        )
    return ()


def warn_of_missing(
    callback_jobs: Collection[str], logger: logging.LoggerAdapter[logging.Logger]
) -> None:
    """Say that there are no such jobs, once a job that calls them back is there."""
    if callback_jobs:
        logger.warning("callback jobs do not exist", extra={"missing_jobs": callback_jobs})


async def must_be_theirs_to_run(job_id: int, jobs: JobCommands, caller: Caller) -> None:
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
