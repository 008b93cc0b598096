"""Reconciliation: keeps the jobs of schedules declared on classes in line with deployed code."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.builtin.definition import read
from zato_lite.builtin.enmasse import difference
from zato_lite.builtin.input import shown
from zato_lite.builtin.job_checks import extra_errors
from zato_lite.builtin.permissions import no_calendar
from zato_lite.deploy.ownership import Claim
from zato_lite.errors import BadInputError
from zato_lite.service.declared_schedule import DeclaredSchedule
from zato_lite.service.entry import Entry
from zato_lite.service.message import SYSTEM_PRINCIPAL
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Job

REMOVED = "its declaration was removed from the service"
"""Note of the pause of a job that its service no longer declares; also found by this text."""


class Definition(NamedTuple):
    """Declared schedule: the fields of the job, and the file of the service."""

    source: str
    fields: Mapping[str, Any]

    @property
    def job(self) -> str:
        """Return the name of the job."""
        return str(self.fields["name"])


class Mistake(NamedTuple):
    """Mistake in a declaration, and the file of the declaration."""

    source: str
    message: str


class Known(NamedTuple):
    """Names that declarations may use: calendars, and the deployed services."""

    calendars: Collection[str] = ()
    services: Mapping[str, Entry] | Collection[str] = ()


class Reconciled(NamedTuple):
    """Changes that bring the jobs in line with the declarations.

    Attributes:
        creates: jobs to create.
        edits: new definitions of existing jobs, by id.
        mistakes: declarations that are not followed, in whole or in part.
    """

    creates: tuple[Job, ...]
    edits: Mapping[int, Job]
    mistakes: tuple[Mistake, ...]


def definitions(entries: Iterable[Entry]) -> list[Definition]:
    """Return the declared schedules; a job without a name has its service's name."""
    found = []
    for entry in entries:
        declared = vars(entry.cls).get("schedule")
        if isinstance(declared, DeclaredSchedule):
            fields = {"name": entry.name, **declared.fields, "service": entry.name}
            found.append(Definition(entry.source, fields))
    return found


def claims_of(entry: Entry, now: Instant) -> Iterator[Claim]:
    """Yield the job that a service declares; the service's file then owns the job's name.

    Raises:
        BadInputError: the declaration does not define a job.
    """
    declared = vars(entry.cls).get("schedule")
    if isinstance(declared, str | int | float | dict | list | tuple | set):
        text = f"schedule {shown(declared)} is not one; write `schedule = cron(…)` or `every(…)`"
        raise BadInputError(text)
    for definition in definitions([entry]):
        yield Claim("Job", read(definition.fields, now).name)


def reconciled(
    rows: Iterable[JobRow], declared: Iterable[Definition], now: Instant, known: Known
) -> Reconciled:
    """Return the changes that bring the jobs in line with the declarations.

    A job keeps its grid, its cursor and a pause by a user. A job whose declaration was removed is
    paused with a note, and resumes when the declaration is back. A job whose declaration has a
    mistake stays as it is.
    """
    rows_by_name = {row.job.name: row for row in rows}
    existing = {name: row.job for name, row in rows_by_name.items()}
    jobs: dict[str, Job] = {}
    mistakes: list[Mistake] = []
    names_of_mistakes: set[str] = set()
    for definition in declared:
        source = definition.source
        try:
            job = _job(existing, definition.fields, now)
            _require_possible(job, jobs, known)
        except BadInputError as error:
            names_of_mistakes.add(definition.job.strip())
            mistakes.append(Mistake(source, f"{definition.job}: {error}"))
            continue
        jobs[job.name] = job
        mistakes += (Mistake(source, text) for text in _unknown_services(job, known))
    edits: dict[int, Job] = {}
    for name, row in rows_by_name.items():
        if name in jobs or name not in names_of_mistakes:
            after = _edited(row.job, jobs.get(name))
            if after != row.job:
                edits[row.id] = after
    creates = (job for name, job in jobs.items() if name not in rows_by_name)
    created = tuple(replace(job, is_declared=True, principal=SYSTEM_PRINCIPAL) for job in creates)
    return Reconciled(created, edits, tuple(mistakes))


def _edited(before: Job, declared: Job | None) -> Job:
    """Return an existing job as it is declared, or paused if its declaration was removed."""
    if declared is None:
        if before.is_declared and before.is_active:
            return replace(before, is_active=False, pause_note=REMOVED)
        return before
    own = replace(declared, is_declared=True, principal=SYSTEM_PRINCIPAL)
    if not own.is_active and own.pause_note == REMOVED:
        return replace(own, is_active=True, pause_note=None)
    return own


def _job(existing: Mapping[str, Job], fields: Mapping[str, Any], now: Instant) -> Job:
    """Return the declared job; it keeps the grid and the pause of the existing one."""
    found = difference(existing, [fields], now)
    changed = (*found.creates, *(update.after for update in found.updates))
    return changed[0] if changed else existing[found.unchanged[0]]


def _require_possible(job: Job, others: Collection[str], known: Known) -> None:
    """Refuse a second job with the same name, a missing calendar, and an unreadable input.

    Without its calendar the job would run on excluded days.

    Raises:
        BadInputError: names the mistake.
    """
    if job.name in others:
        raise BadInputError("the job is declared twice")
    if job.calendar is not None and job.calendar not in known.calendars:
        raise BadInputError(no_calendar(job.calendar, known.calendars))
    if isinstance(known.services, Mapping) and (wrong := extra_errors(job, known.services)):
        raise BadInputError.of(wrong)


def _unknown_services(job: Job, known: Known) -> Iterator[str]:
    """Yield a text for each callback service that is not deployed; the job runs regardless."""
    for field in ("on_success_service", "on_error_service"):
        service = getattr(job, field)
        if service is not None and service not in known.services:
            yield f"{job.name}: {field}: service {service!r} is not deployed"
