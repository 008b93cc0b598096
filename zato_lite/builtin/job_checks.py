"""Checks of a job against its surroundings: services, calendars, and the service's input."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zato_lite.builtin.input import is_unsent
from zato_lite.builtin.permissions import no_calendar
from zato_lite.errors import BadInputError, FieldError, JobExistsError, ServiceMissingError
from zato_lite.service.attribute_dict import Message
from zato_lite.service.entry import Entry
from zato_lite.service.payload import payload_of
from zato_lite.service.registry import Registry
from zato_lite.service.typed import Convert, is_custom
from zato_lite.timetable.job import Job

_SERVICES = ("service", "on_success_service", "on_error_service")


def surroundings(
    job: Job,
    services: Registry,
    calendars: Collection[str],
    *,
    allows_missing: bool = False,
    patterns: Collection[str] = (),
) -> list[FieldError]:
    """Return the fields of a job that name nothing that exists, or cannot be its service's input.

    Args:
        job: the job.
        services: the deployed services.
        calendars: the names of the calendars.
        allows_missing: services may be deployed later.
        patterns: only services that match them are suggested in place of a missing one.
    """
    names = {field: getattr(job, field) for field in (*_SERVICES, "calendar")}
    missing = missing_names(
        names, services, calendars, allows_missing=allows_missing, patterns=patterns
    )
    return [*missing, *extra_errors(job, services.entries)]


def missing_names(
    sent: Mapping[str, Any],
    services: Registry,
    calendars: Collection[str],
    *,
    allows_missing: bool = False,
    patterns: Collection[str] = (),
) -> Iterator[FieldError]:
    """Yield the fields of a definition that name a service or a calendar that does not exist.

    Only services that the patterns match are suggested.
    """
    for field in () if allows_missing else _SERVICES:
        name = sent.get(field)
        if isinstance(name, str) and not is_unsent(name) and name.strip() not in services:
            try:
                services.get(name, patterns)
            except ServiceMissingError as error:
                yield FieldError(field, name, f"{field}: {error}")
    calendar = sent.get("calendar")
    if isinstance(calendar, str) and not is_unsent(calendar) and calendar not in calendars:
        yield FieldError("calendar", calendar, no_calendar(calendar, calendars))


def extra_errors(job: Job, services: Mapping[str, Entry]) -> list[FieldError]:
    """Return the errors of the input that the job's service would receive.

    None if the service is not deployed or declares no input. The payload is the one of a run.
    """
    entry = services.get(job.service)
    read = None if entry is None else reader_of(entry)
    if read is None:
        return []
    payload = payload_of(job.extra) if job.extra else None
    try:
        read(Message() if payload is None else payload)
    except BadInputError as error:
        return [
            FieldError("extra", None, f"extra: not a valid input of {job.service}: {text}")
            for text in dict.fromkeys(each.message for each in error.errors or (_whole(error),))
        ]
    except Exception:  # noqa: BLE001 - a model's own validator may need what only a run has
        return []
    return []


def require_extra(jobs: Iterable[Job], services: Registry) -> None:
    """Refuse jobs whose service could not read their input.

    Raises:
        BadInputError: lists what is wrong with each.
    """
    errors: list[FieldError] = []
    checked: set[tuple[str, str | None]] = set()
    for job in jobs:
        entry = services.entries.get(job.service)
        if entry is None or reader_of(entry) is None or (job.service, job.extra) in checked:
            continue
        checked.add((job.service, job.extra))
        errors += extra_errors(job, services.entries)
    if errors:
        raise BadInputError.of(errors)


def require_names(jobs: Sequence[Job]) -> None:
    """Refuse jobs of one request that have the same name.

    Raises:
        JobExistsError: names the first.
    """
    names = {job.name for job in jobs}
    if len(names) < len(jobs):
        counts = Counter(job.name for job in jobs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise JobExistsError(f"Job `{twice}` is defined twice in this request")


def reader_of(entry: Entry) -> Convert | None:
    """Return the function that reads the service's declared input, or None."""
    if entry.read is not None:
        return entry.read
    if entry.input is not None and is_custom(entry.input):  # read in ``handle``
        custom: Convert = entry.input.from_payload
        return custom
    return None


def _whole(error: BadInputError) -> FieldError:
    return FieldError("", None, str(error))
