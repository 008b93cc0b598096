"""Services that read the audit log: all of it, or what was done to a job."""

from collections.abc import Iterable
from typing import Annotated, Any, TypedDict

import msgspec
from msgspec import Meta

from zato_lite.builtin.audit_subject import (
    KINDS,
    about,
    actions_of,
    concerns,
    subject_patterns,
)
from zato_lite.builtin.input import (
    MAX_ID,
    Input,
    JobRef,
    Moment,
    Page,
    ParsedBy,
    missing,
    one_of,
)
from zato_lite.builtin.output import build, iso
from zato_lite.builtin.permissions import authority_of, require_visible
from zato_lite.errors import FieldError, JobNotFoundError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.message import Caller
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.store.audit import AuditFilter, AuditLog, AuditRecord

_CHUNK = 100
"""Records that are read together; one of a change of many jobs has up to 100 kB."""

_MAX_CHUNKS = 100
"""Records of a job are searched among this many chunks of candidates at most."""

_PageSize = Annotated[int, Meta(ge=1, le=1_000)]
_Before = Annotated[int, Meta(ge=1, le=MAX_ID)]
_Text = Annotated[str, Meta(max_length=200)]
_Kind = Annotated[str, ParsedBy(one_of(KINDS).parse, one_of(KINDS).schema)]


class AuditPage(Input, forbid_unknown_fields=True):
    """A page of the audit log, or the records before one of them, that fit all filters.

    ``action`` is the name of a service or its beginning; ``kind``, ``id`` and ``name`` are of the
    subject, an id of a job; ``query`` has words that the texts contain.
    """

    page: Page = 1
    page_size: _PageSize = 50
    before_id: _Before | None = None
    who: _Text = ""
    action: _Text = ""
    kind: _Kind = ""
    id: Annotated[int, Meta(ge=1, le=MAX_ID)] | None = None
    name: _Text = ""
    query: Annotated[str, Meta(max_length=1_000)] = ""
    since: Moment | None = None
    until: Moment | None = None

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        if "id" in values and values.get("kind", "job") not in {"job", "run"}:
            text = f"kind: {values['kind']!r} has no ids; use job or run, or send name"
            errors.append(FieldError("kind", values["kind"], text))
        if "id" in values and "page" in values and values["page"] > 1:
            errors.append(missing("before_id"))

    @property
    def filter(self) -> AuditFilter:
        """The filter that the fields make, except for the id."""
        words = [*self.query.split(), *self.name.split()]
        actions = actions_of(self.kind) if self.kind else ()  # type: ignore[arg-type]
        return AuditFilter(
            self.who, self.action, actions, (), words, self.since, self.until, self.before_id
        )


class Subject(TypedDict):
    """The subject of a record: its kind, and the id of a job or the name, if known."""

    kind: str
    id: int | None
    name: str


class AuditItem(TypedDict):
    """One change, or refused attempt, of a caller.

    ``before`` and ``after`` have the changed fields of what it is about; null where they are
    not recorded. Of many jobs, ``after`` has the fields that all of them got.
    """

    time: str
    who: str
    action: str
    subject: str
    outcome: str
    cid: str
    remote_address: str
    id: int
    about: Subject
    before: dict[str, Any] | None
    after: dict[str, Any] | None


class GetList(Service[AuditPage, list[AuditItem]]):
    """Return changes, and attempts of changes, by callers, newest first."""

    name = "zato.audit.get-list"
    role = "admin"
    is_safe = True
    scope = "all"
    audit_log = needs(AuditLog)
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        params = self.request.input
        size = params.page_size
        if params.id is not None:
            name = await name_of_job(self.jobs, params.id)
            found = await records_of(self.audit_log, params.filter, params.id, name, size)
        else:
            offset = (params.page - 1) * size
            found = list(await self.audit_log.list(size, offset, params.filter))
        self.response.payload = await offload_long(audit_items, found)


class JobAuditPage(JobRef, forbid_unknown_fields=True):
    """A job, and which of the records about it."""

    page_size: _PageSize = 50
    before_id: _Before | None = None
    since: Moment | None = None


class GetAudit(Service[JobAuditPage, list[AuditItem]]):
    """Return what was done to a job, by whom, newest first; without addresses.

    Callers with patterns get others' refusals without words: they may name other jobs.
    """

    name = "zato.scheduler.job.get-audit"
    role = "editor"
    is_safe = True
    scope = "own"
    audit_log = needs(AuditLog)
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        params = self.request.input
        await require_visible(params.id, self.jobs, authority_of(self))
        wanted = AuditFilter(since=params.since, before_id=params.before_id)
        wanted = wanted._replace(actions=actions_of("job"))
        name = await name_of_job(self.jobs, params.id)
        size = params.page_size
        found = await records_of(self.audit_log, wanted, params.id, name, size)
        shown = [_as_shown(each, authority_of(self)) for each in found]
        self.response.payload = await offload_long(audit_items, shown)


def _as_shown(record: AuditRecord, caller: Caller) -> AuditRecord:
    is_whole = not caller.patterns or record.who in {caller.name, caller.shown}
    outcome = record.outcome if is_whole else record.outcome.partition(":")[0]
    return msgspec.structs.replace(record, remote_address="", outcome=outcome)


async def name_of_job(jobs: JobCommands, job_id: int) -> str:
    """Return the name of a job; empty if it does not exist any more."""
    try:
        return (await jobs.get(job_id)).job.name
    except JobNotFoundError:
        return ""


async def records_of(
    log: AuditLog, wanted: AuditFilter, job_id: int, name: str, size: int
) -> list[AuditRecord]:
    """Return the newest records about a job, alone or among others."""
    found: list[AuditRecord] = []
    wanted = wanted._replace(subjects=subject_patterns(job_id, name))
    for _ in range(_MAX_CHUNKS):
        chunk = await log.list(_CHUNK, 0, wanted)
        found += await offload_long(_concerning, chunk, job_id, name)
        if len(chunk) < _CHUNK or len(found) >= size:
            break
        wanted = wanted._replace(before_id=chunk[-1].id)
    return found[:size]


def _concerning(records: Iterable[AuditRecord], job_id: int, name: str) -> list[AuditRecord]:
    return [
        each for each in records if concerns(each.action, each.subject, each.changes, job_id, name)
    ]


def audit_items(records: Iterable[AuditRecord]) -> list[AuditItem]:
    """Return records as the services show them."""
    return [*map(audit_item, records)]


def audit_item(record: AuditRecord) -> AuditItem:
    """Return a record as the services show it."""
    found = about(record.action, record.subject)
    changes: dict[str, Any] = msgspec.json.decode(record.changes or "{}")
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = changes.get("after")
    if changes and "ids" not in changes:
        before, after = ({field: pair[at] for field, pair in changes.items()} for at in (0, 1))
    return build(
        AuditItem,
        record,
        time=iso(record.at),
        about={"kind": found.kind, "id": found.id, "name": found.name},
        before=before,
        after=after,
    )
