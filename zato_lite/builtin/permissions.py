"""Permissions of jobs: a caller schedules only services that the caller may invoke.

This holds when a definition is created or edited, and when a run is requested. A callback job may
be edited later by another caller, who then needs the right to what it runs; the jobs that name it
keep calling it, as a service keeps calling another one whose code has changed.
"""

import logging
from collections.abc import Collection, Iterable, Iterator
from functools import partial
from typing import Any, NamedTuple

from zato_lite.errors import BadInputError, FieldError, ForbiddenError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.access import may_invoke, missing_right, owns_jobs_of, refusal
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, SYSTEM_PRINCIPAL, Caller
from zato_lite.service.registry import Registry
from zato_lite.store.accounts import Accounts
from zato_lite.store.selection import Selected, SelectedRun
from zato_lite.store.visibility import Permits
from zato_lite.timetable.job import Job


async def require_permitted(
    wanted: Collection[Job],
    jobs: JobCommands,
    calendars: Calendars,
    services: Registry,
    *,
    caller: Caller,
    together_with: Collection[Job] = (),
    allow_missing: bool = False,
) -> Collection[str]:
    """Refuse jobs that the caller may not create; return the callback jobs that do not exist.

    Args:
        wanted: the jobs.
        jobs: the existing jobs.
        calendars: the existing calendars.
        services: the deployed services.
        caller: the caller that creates them.
        together_with: jobs that are created in the same request.
        allow_missing: their services may be deployed later.

    Raises:
        ServiceMissingError, ForbiddenError: names the service.
        BadInputError: names the callback job or the calendar that does not exist.
    """
    if allow_missing:
        require_rights(wanted, caller)
    else:
        require_services(wanted, services, caller)
    missing: Collection[str] = ()
    for job in wanted:
        if job.on_success_job is not None or job.on_error_job is not None:
            missing = await require_callbacks(wanted, jobs, caller, together_with)
            break
    for job in wanted:
        if job.calendar is not None:
            await require_calendars(wanted, calendars)
            break
    return missing


def require_services(wanted: Iterable[Job], services: Registry, caller: Caller) -> None:
    """Refuse jobs with a service that is not deployed, or that the caller may not invoke.

    Raises:
        ServiceMissingError, ForbiddenError: names the service.
    """
    named = services_of(wanted)
    _require_rights(named, caller)  # first: names that are not the caller's are not looked up
    if not named <= services.entries.keys():
        services.get(min(named - services.entries.keys()), caller.patterns)  # raises


def require_rights(wanted: Iterable[Job], caller: Caller) -> None:
    """Refuse jobs with a service that the caller may not invoke, deployed or not.

    Raises:
        ForbiddenError: names the service.
    """
    _require_rights(services_of(wanted), caller)


def services_of(jobs: Iterable[Job]) -> set[str]:
    """Return the services that the jobs run or call back."""
    found = set()
    for job in jobs:
        found.add(job.service)
        if job.on_success_service is not None:
            found.add(job.on_success_service)
        if job.on_error_service is not None:
            found.add(job.on_error_service)
    return found


def _require_rights(services: Iterable[str], caller: Caller) -> None:
    if caller is SYSTEM:
        return
    for service in sorted(services):
        if not may_invoke(caller, service):
            raise not_allowed(caller, service)


def not_allowed(caller: Caller, service: str) -> ForbiddenError:
    """Return the error of a caller that may not have a service run that it has named."""
    return ForbiddenError(refusal(caller, service, "schedule"))


async def require_callbacks(
    wanted: Collection[Job], jobs: JobCommands, caller: Caller, together_with: Collection[Job] = ()
) -> Collection[str]:
    """Refuse callback jobs whose service the caller may not invoke; return those that are missing.

    A missing job may later be created to run anything: only an admin may name it. The services of
    ``wanted`` and of jobs created together with them are checked by ``require_services``.

    Raises:
        ForbiddenError: names the job.
        BadInputError: names the jobs that do not exist.
    """
    callbacks = [*callback_jobs(wanted)]
    if not callbacks:
        return ()
    names = {name for _, name in callbacks}.difference(job.name for job in together_with or wanted)
    existing = {row.job.name: row.job for row in await jobs.named(names)} if names else {}
    missing = sorted(names - existing.keys())
    if caller is SYSTEM or is_unconfined_admin(caller):
        return missing
    for job in existing.values():
        if not may_invoke(caller, job.service):
            raise _refused(caller, "call back", repr(job.name))
    if missing:
        raise BadInputError.of(
            FieldError(field, name, f"{field}: callback job does not exist; create it first")
            for field, name in callbacks
            if name in missing
        )
    return ()


def callback_jobs(jobs: Iterable[Job]) -> Iterator[tuple[str, str]]:
    """Yield the fields that name a callback job, and its name."""
    for job in jobs:
        if job.on_success_job is not None:
            yield "on_success_job", job.on_success_job
        if job.on_error_job is not None:
            yield "on_error_job", job.on_error_job


def warn_of_missing(
    callback_jobs: Collection[str], logger: logging.LoggerAdapter[logging.Logger]
) -> None:
    """Log the callback jobs that do not exist, once the jobs that name them are saved."""
    if callback_jobs:
        logger.warning("callback jobs missing", extra={"missing_jobs": callback_jobs})


async def require_calendars(wanted: Iterable[Job], calendars: Calendars) -> None:
    """Refuse jobs whose calendar does not exist.

    Raises:
        BadInputError: names it, and the existing ones.
    """
    named = {job.calendar for job in wanted if job.calendar is not None}
    if named and (missing := sorted(named - set(known := await calendars.calendars()))):
        raise BadInputError.of(
            [FieldError("calendar", missing[0], no_calendar(missing[0], known))]
        )


def no_calendar(name: str, known: Iterable[str]) -> str:
    """Return the error text for a calendar that does not exist."""
    return f"calendar: {name!r} does not exist; available: {', '.join(sorted(known)) or 'none'}"


def authority_of(service: Service[Any, Any]) -> Caller:
    """Return the caller whose patterns confine a built-in service.

    The project's own code is trusted: what it invokes is not confined. Its caller is still the
    one that the audit log names, and the principal of the jobs that it creates.
    """
    return SYSTEM if service.is_invoked_by_code else service.caller


async def require_run_rights(job_id: int, jobs: JobCommands, caller: Caller) -> Permits | None:
    """Refuse a change or a run of a job whose service the caller's patterns do not match.

    Return which services the job may have when the change is written: they are compared again.

    Raises:
        ForbiddenError: names the job as the caller did, and not its service.
        JobNotFoundError: the job does not exist.
    """
    if caller.patterns:
        require_matching((await jobs.get(job_id)).job, caller, job_id)
    return visible_to(caller)


def require_matching(job: Job, caller: Caller, named: int | str) -> None:
    """Refuse to change a job whose service the caller's patterns do not match.

    Args:
        job: the job.
        caller: the caller.
        named: the job's id or name, as the caller knows it.

    Raises:
        ForbiddenError: names the job as the caller did, and not its service.
    """
    if not owns_jobs_of(caller.patterns, job.service):
        raise _refused(caller, "change or run", repr(named))


def require_selected_match(
    selected: Iterable[Selected | SelectedRun], caller: Caller, deed: str
) -> None:
    """Refuse changes of jobs or runs with a service that the caller's patterns do not match.

    Raises:
        ForbiddenError: names the deed and the id of the first such job or run, not its service.
    """
    firsts: dict[str, int] = {}
    for each in selected:
        firsts.setdefault(each.service, each.id)
    for service, first in firsts.items():
        if not owns_jobs_of(caller.patterns, service):
            who = f"{caller.kind} {caller.shown!r}"
            raise ForbiddenError(f"{who} is not allowed to {deed} {first}")


def visible_to(caller: Caller) -> Permits | None:
    """Return which services' jobs the caller may see; None for all."""
    return partial(owns_jobs_of, caller.patterns) if caller.patterns else None


async def require_visible(job_id: int, jobs: JobCommands, caller: Caller) -> None:
    """Refuse to show a job, also a deleted one, whose service the caller's patterns do not match.

    Raises:
        ForbiddenError: names the job.
    """
    if caller.patterns:
        service = await jobs.service_of(job_id)
        if service is not None and not owns_jobs_of(caller.patterns, service):
            raise _refused(caller, "read", str(job_id))


def require_visible_job(job: Job, caller: Caller, named: int | str) -> None:
    """Refuse to show a job whose service the caller's patterns do not match.

    Raises:
        ForbiddenError: names the job as the caller did.
    """
    if not owns_jobs_of(caller.patterns, job.service):
        raise _refused(caller, "read", repr(named))


def _refused(caller: Caller, deed: str, job: str) -> ForbiddenError:
    return ForbiddenError(f"{caller.kind} {caller.shown!r} is not allowed to {deed} job {job}")


def is_unconfined_admin(caller: Caller) -> bool:
    """Return True if the caller has every right."""
    return not missing_right(caller, ("admin",), ())


class Principal(NamedTuple):
    """On whose behalf a job runs: the text to record, and the caller whose rights must suffice."""

    text: str
    caller: Caller


async def choose_principal(
    claim: str, caller: Caller, accounts: Accounts, *, before: str | None = None
) -> Principal:
    """Return on whose behalf a job runs that the caller creates or edits: its own.

    Only an admin without patterns may name another principal in the definition. For others, the
    name of an edited job's present principal counts as none. The server itself leaves it as it is.

    Args:
        claim: the principal that the definition names; empty if it names none.
        caller: the caller that creates or edits the job.
        accounts: the users and keys.
        before: the present principal of an edited job; None for a new one.

    Raises:
        ForbiddenError: the caller may not name another principal.
        BadInputError: the principal does not exist.
    """
    if caller is SYSTEM:
        return Principal(claim or (SYSTEM_PRINCIPAL if before is None else before), SYSTEM)
    own = Principal(caller.principal, caller)
    if claim in {"", own.text}:
        return own
    if not is_unconfined_admin(caller):
        if claim == before:
            return own
        raise ForbiddenError(
            f"{caller.kind} {caller.shown!r} is not allowed to schedule on behalf of {claim!r};"
            " leave principal out"
        )
    if claim == SYSTEM_PRINCIPAL:
        return Principal(claim, SYSTEM)
    kind, _, name = claim.partition(":")
    found = await accounts.find("key" if kind == "key" else "user", name)
    if found is None:
        text = f"principal: {claim!r} does not exist; name an existing user or key, or none"
        raise BadInputError.of([FieldError("principal", claim, text)])
    return Principal(claim, Caller(found.name, found.roles, found.patterns, found.kind))
