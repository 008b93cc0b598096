"""Service that checks a definition, or changes of a job, and reports all wrong fields together."""

from collections.abc import Iterable, Mapping
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec.structs import replace

from zato_lite.builtin.definition import (
    Definition,
    NewJob,
    VersionedJob,
    allows_missing,
    edited,
    fields,
    job_output,
    read,
    should_ignore_existing,
)
from zato_lite.builtin.enmasse import changes_between
from zato_lite.builtin.input import MAX_ERRORS, as_mapping, is_unsent, known_names
from zato_lite.builtin.job_checks import surroundings
from zato_lite.builtin.permissions import (
    authority_of,
    callback_jobs,
    choose_principal,
    not_allowed,
    require_callbacks,
    require_visible_job,
    services_of,
)
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, FieldError, ForbiddenError, JobNotFoundError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.access import may_invoke
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, Caller
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.store.accounts import Accounts
from zato_lite.store.jobs import stale_error
from zato_lite.store.rows import JobRow
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import Instant, Job, OneTime

_SERVICES = ("service", "on_success_service", "on_error_service")
_PROBED = (*_SERVICES, "name", "calendar", "extra", "on_success_job", "on_error_job")
"""Fields that are checked against what exists even if others are wrong."""


class WrongField(TypedDict):
    """A wrong field and what is allowed."""

    field: str
    message: str


class ChangedField(TypedDict("ChangedField", {"field": str, "from": Any, "to": Any})):
    """A field with its value before and after; null where it has its default."""


class Validation(TypedDict):
    """The wrong fields of a definition; or its trigger in words, and the definition as read.

    ``warnings`` do not keep the job from being created. ``changes``, ``version`` and
    ``words_before`` are of an existing job, as it is stored now.
    """

    is_valid: bool
    errors: list[WrongField]
    warnings: NotRequired[list[str]]
    words: NotRequired[str]
    definition: NotRequired[Annotated[dict[str, Any], job_output([])]]
    changes: NotRequired[list[ChangedField]]
    version: NotRequired[int]
    words_before: NotRequired[str]


class DefinitionOrChanges(NewJob, gc=False):
    """A definition; or with ``id``, and ``version`` as in an edit, changes of that job."""

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        schema = super().json_schema()
        schema["properties"] |= VersionedJob.json_schema()["properties"]
        schema["required"] = []
        return schema


class Validate(Service[DefinitionOrChanges, Validation]):
    """Check a definition as ``create`` does; return all wrong fields, or its description in words.

    With ``id``, the fields are changes of that job, as in ``edit``; the answer lists them.
    """

    name = "zato.scheduler.job.validate"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    calendars = needs(Calendars)
    accounts = needs(Accounts)
    clock = needs(Clock)
    services = needs(Registry)

    async def handle(self) -> None:
        sent, now = self.request.input.fields, self.clock.now()
        errors: list[FieldError] = []
        warnings: list[str] = []
        before, version = await self._before(sent, errors)
        definition = _definition_of(sent)
        if before is not None and version not in {None, before.version}:
            errors.append(FieldError("version", version, str(stale_error(before, version))))
        job = _read(definition, before, now, errors)
        wrong = {error.field for error in errors}
        checked = job if job is not None else _probe(definition, before, now)
        if checked is not None:
            found = await self._mistakes(checked, definition, before, warnings)
            errors += [each for each in found if each.field not in wrong]
        self.response.payload = _answer(job, before, errors[:MAX_ERRORS], warnings)

    async def _before(
        self, sent: Any, errors: list[FieldError]
    ) -> tuple[JobRow | None, int | None]:
        """Return the job to change and the version that the caller has seen, if ``id`` is sent."""
        if not isinstance(sent, Mapping) or all(map(is_unsent, map(sent.get, ("id", "job_id")))):
            return None, None
        values = VersionedJob.collect(sent, errors)
        try:
            row = await self.jobs.get(values["id"]) if "id" in values else None
        except JobNotFoundError as error:
            errors.append(FieldError("id", values["id"], f"id: {error}"))
            return None, None
        if row is not None:
            require_visible_job(row.job, authority_of(self), row.id)
        return row, values.get("version")

    async def _mistakes(
        self, job: Job, sent: Mapping[str, Any], before: JobRow | None, warnings: list[str]
    ) -> list[FieldError]:
        """Return what creation or an edit would refuse, and add what it would warn of."""
        principal, errors = await self._rights_of(
            job, before, is_named=bool(sent.get("principal"))
        )
        calendars = await self.calendars.calendars() if job.calendar is not None else ()
        refused = [*_refused_services(job, principal)]
        hidden = {error.field for error in refused} | _unchanged(job, before)
        if any(error.field == "service" for error in refused):
            hidden.add("extra")  # its input is not the caller's to know
        early = allows_missing(sent)
        found = surroundings(
            job, self.services, calendars, allows_missing=early, patterns=principal.patterns
        )
        errors += [*refused, *(each for each in found if each.field not in hidden)]
        errors += await self._taken(job.name, sent, before)
        for field, name in callback_jobs([job]):
            errors += await self._callback_mistakes(job, field, name, principal, warnings)
        return errors

    async def _rights_of(
        self, job: Job, before: JobRow | None, *, is_named: bool
    ) -> tuple[Caller, list[FieldError]]:
        """Return the caller whose rights must suffice, and the errors of the field."""
        claim = job.principal if is_named or before is None else ""
        earlier = before.job.principal if before is not None else None
        try:
            chosen = await choose_principal(claim, self.caller, self.accounts, before=earlier)
        except BadInputError as error:
            return self.caller, [*error.errors]
        except ForbiddenError as error:
            return self.caller, [FieldError("principal", claim, f"principal: {error}")]
        return chosen.caller, []

    async def _taken(
        self, name: str, sent: Mapping[str, Any], before: JobRow | None
    ) -> list[FieldError]:
        if not name or should_ignore_existing(sent):
            return []
        rows = await self.jobs.named([name])
        if not rows or (before is not None and rows[0].id == before.id):
            return []
        return [FieldError("name", name, f"name: Job `{name}` already exists")]

    async def _callback_mistakes(
        self, job: Job, field: str, name: str, caller: Caller, warnings: list[str]
    ) -> list[FieldError]:
        """Return the error of one callback job; add a warning if it may be created later."""
        alone = replace(job, **{"on_success_job": None, "on_error_job": None, field: name})
        try:
            missing = await require_callbacks([alone], self.jobs, caller)
        except BadInputError as error:
            return [*error.errors]
        except ForbiddenError as error:
            return [FieldError(field, name, f"{field}: {error}")]
        warnings += [f"callback job `{each}` does not exist yet" for each in missing]
        return []


def _definition_of(sent: Any) -> Any:
    """Return the fields of a definition without those that say which job they change."""
    if not isinstance(sent, Mapping) or sent.keys().isdisjoint({"id", "job_id", "version"}):
        return sent
    return {name: sent[name] for name in sent if name not in {"id", "job_id", "version"}}


def _read(sent: Any, before: JobRow | None, now: Instant, errors: list[FieldError]) -> Job | None:
    """Return the job after the change, or None and add what is wrong in itself."""
    try:
        return read(sent, now) if before is None else edited(before.job, as_mapping(sent), now)
    except BadInputError as error:
        errors += error.errors or (FieldError("", None, str(error)),)
        return None


def _probe(sent: Any, before: JobRow | None, now: Instant) -> Job | None:
    """Return a job with those fields that are right in themselves, or None if there are none."""
    if not isinstance(sent, Mapping):
        return None
    named = {} if before is None else fields(before.job, aware=True)
    known = {name: sent[name] for name in known_names(Definition) if name in sent}
    values = Definition.collect({**named, **known}, [])
    found = {field: values[field] for field in _PROBED if field in values}
    if not isinstance(found.get("extra"), str | None):
        found.pop("extra", None)
    return Job(**{"name": "", "service": "", **found}, trigger=OneTime(start=now))


def _unchanged(job: Job, before: JobRow | None) -> set[str]:
    """Return the fields that an edit does not check again, as they stay as they are."""
    if before is None:
        return set()
    found = set(_SERVICES) if services_of([job]) == services_of([before.job]) else set()
    is_same_input = (job.service, job.extra) == (before.job.service, before.job.extra)
    return found | ({"extra"} if is_same_input else set())


def _refused_services(job: Job, caller: Caller) -> Iterable[FieldError]:
    """Yield the fields that name a service which the caller may not have run."""
    if caller is SYSTEM:
        return
    for field in _SERVICES:
        service = getattr(job, field)
        if service and not may_invoke(caller, service):
            yield FieldError(field, service, f"{field}: {not_allowed(caller, service)}")


def _answer(
    job: Job | None, before: JobRow | None, errors: Iterable[FieldError], warnings: list[str]
) -> Validation:
    wrong: list[WrongField] = [{"field": it.field, "message": it.message} for it in errors]
    answer: Validation = {"is_valid": not wrong, "errors": wrong}
    if before is not None:
        answer["version"], answer["words_before"] = before.version, describe(before.job.trigger)
        if job is not None:
            answer["changes"] = [
                {"field": field, "from": old, "to": new}
                for field, (old, new) in changes_between(before.job, job).items()
            ]
    if job is not None:
        answer["words"] = describe(job.trigger)
    if not wrong and job is not None:
        answer["warnings"], answer["definition"] = warnings, fields(job)
    return answer
