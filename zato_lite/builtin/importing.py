"""Service that imports jobs from the files of other schedulers."""

from collections.abc import Collection, Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, Literal, TypedDict

from msgspec import Meta

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.definition import read
from zato_lite.builtin.imports.entry import Entry, Options
from zato_lite.builtin.input import Input, Name, ParsedBy, Zone, missing, parse_name
from zato_lite.builtin.job_checks import extra_errors
from zato_lite.builtin.permissions import require_rights, services_of
from zato_lite.errors import BadInputError, FieldError, ForbiddenError, ServiceMissingError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.service.registry import Registry
from zato_lite.timetable.job import Job
from zato_lite.wire import encode

_Document = Annotated[str, Meta(max_length=64 * 1024 * 1024)]
NEEDS_SERVICE = frozenset({"crontab", "kubernetes", "quartz", "systemd"})
"""Formats whose entries name no service."""

_MAX_SERVICES = 10_000
_MAX_ENTRIES = 10_000
_MAX_HINTS = 20
"""Unknown services whose errors suggest the nearest names."""

Format = Literal["crontab", "celery", "apscheduler", "quartz", "kubernetes", "systemd"]


_Result = tuple[Job | None, list[str]]
"""The job of an entry, if it can be read, and its errors."""


def _parse_services(value: Any) -> dict[str, str]:
    if not isinstance(value, Mapping) or len(value) > _MAX_SERVICES:
        raise ValueError("an object of services by the names of functions or tasks")
    return {str(theirs): parse_name(service) for theirs, service in value.items()}


_Services = Annotated[
    dict[str, str],
    ParsedBy(_parse_services, {"type": "object", "additionalProperties": {"type": "string"}}),
]


class ImportInput(Input, forbid_unknown_fields=True):
    """A file of another scheduler, and what it leaves out: see ``Options``."""

    format: Format
    document: _Document
    service: Name | None = None
    services: _Services | None = None
    timezone: Zone | None = None
    with_user: bool = False
    dry_run: bool = True

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        kind = values.get("format")
        if kind in NEEDS_SERVICE and "service" not in values:
            text = f"{missing('service').message} (for {kind})"
            errors.append(FieldError("service", None, text))


class ImportedEntry(TypedDict):
    """An entry of the file: its definition or null, its differences, and its errors."""

    place: str
    definition: dict[str, Any] | None
    differences: list[str]
    errors: list[str]


class Imported(TypedDict):
    """All entries of the file, and the number of created jobs."""

    entries: list[ImportedEntry]
    created: int
    dry_run: bool


class Import(AuditedService[ImportInput, Imported]):
    """Read another scheduler's file; return its definitions and their differences from there.

    With ``dry_run`` false all entries without errors are created; it is true by default, and
    answers the same: also which names are used twice or exist already.
    """

    name = "zato.scheduler.job.import"
    role = "editor"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: ImportInput) -> str:
        options = Options(
            params.service or "",
            params.timezone,
            params.with_user,
            params.services or {},
            self.clock.now(),
        )
        found, results = await offload_long(self._read_file, params, options)
        existing = await self.jobs.named({job.name for job, _ in results if job is not None})
        await offload_long(_add_name_errors, results, {row.job.name for row in existing})
        good = [job for job, errors in results if job is not None and not errors]
        if good and not params.dry_run:
            self.record_with_change(f"{len(found)} entries")
            await self.jobs.create(good)
        self.response.payload = {
            "entries": await offload_long(_imported_all, found, results),
            "created": 0 if params.dry_run else len(good),
            "dry_run": params.dry_run,
        }
        return f"{len(found)} entries"

    def _read_file(
        self, params: ImportInput, options: Options
    ) -> tuple[Sequence[Entry], Sequence[_Result]]:
        """Return the entries of the file with their jobs; a long file takes seconds."""
        from zato_lite.builtin.imports.readers import READERS  # noqa: PLC0415 - rarely wanted

        entries = READERS[params.format](params.document, options)
        found = [*map(_writable, islice(entries, _MAX_ENTRIES + 1))]
        if len(found) > _MAX_ENTRIES:
            text = (
                f"document: more than {_MAX_ENTRIES:,} entries; divide it into smaller documents"
            )
            raise BadInputError.of([FieldError("document", None, text)])
        unknown: dict[str, str] = {}
        return found, [self._job(entry, unknown) for entry in found]

    def _job(self, found: Entry, unknown: dict[str, str]) -> _Result:
        """Return the job of an entry and its errors; ``unknown`` has those of earlier services."""
        if found.fields is None:
            return None, [*found.differences]
        try:
            job = read(found.fields, self.clock.now(), self.caller.principal)
            require_rights([job], self.caller)
            for service in sorted(services_of([job]) - self.services.entries.keys()):
                return None, [self._unknown_service(service, unknown)]
        except BadInputError as error:
            return None, [each.message for each in error.errors] or [str(error)]
        except ForbiddenError as error:
            return None, [str(error)]
        return job, [error.message for error in extra_errors(job, self.services.entries)]

    def _unknown_service(self, service: str, unknown: dict[str, str]) -> str:
        """Return the error of a missing service; finding the nearest names takes milliseconds."""
        if service not in unknown:
            unknown[service] = f"Service `{service}` does not exist"
            if len(unknown) <= _MAX_HINTS:
                try:
                    self.services.get(service, self.caller.patterns)
                except ServiceMissingError as error:
                    unknown[service] = str(error)
        return unknown[service]


def _writable(entry: Entry) -> Entry:
    """Return an entry, without its fields if they hold values that JSON cannot."""
    try:
        encode([[[[[[[[*entry]]]]]]]])  # the depth of a response with it inside
    except TypeError:
        text = "a value is nested too deeply, or is a number or text that JSON cannot hold"
        place = entry.place.encode("utf-8", "backslashreplace").decode()
        return Entry(place, None, (text,))
    return entry


def _add_name_errors(results: Sequence[_Result], taken: Collection[str]) -> None:
    """Add an error to each job whose name exists already, or that an entry above has."""
    seen: set[str] = set()
    for job, errors in results:
        if job is None:
            continue
        if job.name in taken:
            errors.append(f"Job `{job.name}` already exists")
        elif job.name in seen:
            errors.append(f"name: an entry above has the name `{job.name}`, too")
        seen.add(job.name)


def _imported_all(found: Sequence[Entry], results: Sequence[_Result]) -> list[ImportedEntry]:
    return [_imported(entry, errors) for entry, (_, errors) in zip(found, results, strict=True)]


def _imported(found: Entry, errors: list[str]) -> ImportedEntry:
    return {
        "place": found.place,
        "definition": found.fields,
        "differences": list(found.differences) if found.fields is not None else [],
        "errors": errors,
    }
