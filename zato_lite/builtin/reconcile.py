"""Jobs of schedules that are declared on classes, kept in line with the code that is deployed."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any, NamedTuple

import msgspec

from zato_lite.builtin.definition import read
from zato_lite.builtin.enmasse import difference
from zato_lite.builtin.permissions import no_calendar
from zato_lite.deploy.ownership import Claim
from zato_lite.errors import BadInputError
from zato_lite.service.entry import Entry
from zato_lite.service.schedule import DeclaredSchedule
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Job

REMOVED = "its declaration was removed from the service"
"""Why a job is paused whose service declares it no longer."""


class Definition(NamedTuple):
    """What a service declares: the fields of its job, and the file that the service is in."""

    source: str
    fields: Mapping[str, Any]

    @property
    def job(self) -> str:
        """The name of its job."""
        return str(self.fields["name"])


class Mistake(NamedTuple):
    """What is wrong with a declaration, and the file that it is in."""

    source: str
    message: str


class Known(NamedTuple):
    """What declarations may name: calendars, and services to call back."""

    calendars: Collection[str] = ()
    services: Collection[str] = ()


class Reconciled(NamedTuple):
    """What to do so that the jobs are as declared.

    Attributes:
        creates: jobs to create.
        edits: what to make of jobs that are there.
        mistakes: declarations that cannot be followed, or not in all; the others are.
    """

    creates: tuple[Job, ...]
    edits: Mapping[int, Job]
    mistakes: tuple[Mistake, ...]


def definitions(entries: Iterable[Entry]) -> list[Definition]:
    """What the services declare; a job is called as its service if not named."""
    found = []
    for entry in entries:
        declared = vars(entry.cls).get("schedule")
        if isinstance(declared, DeclaredSchedule):
            fields = {"name": entry.name, **declared.fields, "service": entry.name}
            found.append(Definition(entry.source, fields))
    return found


def claims_of(entry: Entry, now: Instant) -> Iterator[Claim]:
    """The job that a service declares, which nobody else may declare.

    Raises:
        BadInputError: what it declares defines no job.
    """
    for definition in definitions([entry]):
        yield Claim("Job", read(definition.fields, now).name)


def reconciled(
    rows: Iterable[JobRow], declared: Iterable[Definition], now: Instant, known: Known
) -> Reconciled:
    """What to do with the jobs there are so that they are as declared.

    A job keeps its grid, its cursor and a pause that somebody made. One whose declaration is gone
    is paused with a note, and goes on when the declaration comes back. One whose declaration
    cannot be followed stays as it is.
    """
    there = {row.job.name: row for row in rows}
    existing = {name: row.job for name, row in there.items()}
    jobs: dict[str, Job] = {}
    mistakes: list[Mistake] = []
    named: set[str] = set()
    for definition in declared:
        source = definition.source
        try:
            job = _job(existing, definition.fields, now)
            _must_be_possible(job, jobs, known)
        except BadInputError as error:
            named.add(definition.job.strip())
            mistakes.append(Mistake(source, f"{definition.job}: {error}"))
            continue
        jobs[job.name] = job
        mistakes += (Mistake(source, words) for words in _unknown_services(job, known))
    edits: dict[int, Job] = {}
    for name, row in there.items():
        before = row.job
        if name in jobs:
            after = msgspec.structs.replace(jobs[name], is_declared=True)
            if not after.is_active and after.pause_note == REMOVED:
                after = msgspec.structs.replace(after, is_active=True, pause_note=None)
        elif before.is_declared and before.is_active and name not in named:
            after = msgspec.structs.replace(before, is_active=False, pause_note=REMOVED)
        else:
            continue
        if after != before:
            edits[row.id] = after
    creates = (job for name, job in jobs.items() if name not in there)
    created = tuple(msgspec.structs.replace(job, is_declared=True) for job in creates)
    return Reconciled(created, edits, tuple(mistakes))


def _job(existing: Mapping[str, Job], fields: Mapping[str, Any], now: Instant) -> Job:
    """The job that is declared, with what it keeps of the one that there is."""
    found = difference(existing, [fields], now)
    changed = (*found.creates, *(update.after for update in found.updates))
    return changed[0] if changed else existing[found.unchanged[0]]


def _must_be_possible(job: Job, others: Collection[str], known: Known) -> None:
    """Refuse a second job of the same name, and one whose calendar nobody has made.

    Without its calendar it would run on days on which it is not to.

    Raises:
        BadInputError: says which it is.
    """
    if job.name in others:
        raise BadInputError("it is declared twice")
    if job.calendar is not None and job.calendar not in known.calendars:
        raise BadInputError(no_calendar(job.calendar, known.calendars))


def _unknown_services(job: Job, known: Known) -> Iterator[str]:
    """Services that are to be called back and that are not deployed; the job runs regardless."""
    for field in ("on_success_service", "on_error_service"):
        service = getattr(job, field)
        if service is not None and service not in known.services:
            yield f"{job.name}: {field}: service {service!r} is not deployed"
