"""Services for whole sets of definitions: apply and export."""

import asyncio
from collections.abc import Collection, Mapping, Sequence
from typing import Annotated, Any, TypedDict

from msgspec import Meta
from msgspec.structs import replace

from zato_lite.builtin import enmasse
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deadman import watch_over
from zato_lite.builtin.definition import Definition, allows_missing, fields
from zato_lite.builtin.documents import Item
from zato_lite.builtin.enmasse import Difference
from zato_lite.builtin.input import MAX_ERRORS, Input, missing, object_list
from zato_lite.builtin.job_checks import require_extra
from zato_lite.builtin.permissions import (
    Principal,
    authority_of,
    callback_jobs,
    choose_principal,
    require_matching,
    require_permitted,
    visible_to,
    warn_of_missing,
)
from zato_lite.errors import BadInputError, FieldError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM, SYSTEM_PRINCIPAL, Caller
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.service.registry import Registry
from zato_lite.store.accounts import Accounts
from zato_lite.store.sql import batches
from zato_lite.timetable.job import Job

_Definitions = Annotated[list[dict[str, Any]], object_list(1_000_000, Definition.json_schema())]
_PART = 1_000
"""Definitions that are handled in one turn of the loop."""

_Document = Annotated[str, Meta(max_length=64 * 1024 * 1024)]


class ApplyInput(Input, forbid_unknown_fields=True):
    """A set of definitions: ``jobs`` (or ``scheduler``, as in enmasse), or ``document``."""

    jobs: _Definitions | None = None
    scheduler: _Definitions | None = None
    document: _Document | None = None
    dry_run: bool = False

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        sources = {"jobs", "scheduler", "document"}
        if not values.keys() & sources and sources.isdisjoint(error.field for error in errors):
            text = f"{missing('jobs').message} (or document)"
            errors.append(FieldError("jobs", None, text))


class Change(TypedDict("Change", {"from": Any, "to": Any})):
    """The value of a field before and after; null where the field has its default."""


class UpdatedJob(TypedDict):
    """A job and its changed fields."""

    name: str
    changes: dict[str, Change]


class Applied(TypedDict):
    """Names of the created and the unchanged jobs, and the changes of the others.

    ``differences`` are parts of the document that have no effect here.
    """

    created: list[str]
    updated: list[UpdatedJob]
    unchanged: list[str]
    differences: list[str]
    dry_run: bool


class Apply(AuditedService[ApplyInput, Applied]):
    """Bring the jobs in line with a set of definitions, all or nothing; see ``dry_run`` first.

    The set is ``jobs`` (or ``scheduler``, as in enmasse), or ``document``: an enmasse file's text,
    in which variables have no values: those of the environment are for the server's own file. A
    dry run does everything, and undoes it: its errors are those of the real one.
    """

    name = "zato.scheduler.job.apply"
    role = "editor"
    jobs = needs(JobCommands)
    accounts = needs(Accounts)
    calendars = needs(Calendars)
    services = needs(Registry)

    async def change(self, params: ApplyInput) -> str:
        items, differences, mistakes = await offload_long(_items, params)
        now = self.clock.now()
        existing = {row.job.name: row for row in await self.jobs.named(enmasse.names_of(items))}
        before = {name: row.job for name, row in existing.items()}
        # What the server's own file defines runs on the server's behalf.
        principal = SYSTEM_PRINCIPAL if self.caller is SYSTEM else ""
        compared = await offload_long(enmasse.compare, before, items, now, principal, MAX_ERRORS)
        if mistakes := [*mistakes, *compared.mistakes]:
            raise BadInputError.of(mistakes[:MAX_ERRORS])
        found = compared.found
        authority = authority_of(self)
        for job in before.values():
            require_matching(job, authority, job.name)
        wanted, callers = await self._owned(found)
        early = enmasse.names_of(filter(_is_early, items))
        missing_jobs = await self._require(wanted, callers, early)
        subject = f"{len(found.creates)} created, {len(found.updates)} changed"
        if wanted:
            if not params.dry_run:
                self.record_with_change(subject)
            creates = [wanted[job.name] for job in found.creates]
            updated = [update.before.name for update in found.updates]
            edits = {existing[name].id: wanted[name] for name in updated}
            await self.jobs.apply(
                creates,
                edits,
                dry_run=params.dry_run,
                by=self.caller.principal,
                permits=visible_to(authority),
            )
        if wanted and not params.dry_run:
            await watch_over(wanted.values(), self.jobs, now)
            warn_of_missing(missing_jobs, self.logger)
        self.response.payload = _applied(found, differences, is_dry_run=params.dry_run)
        return subject

    async def _owned(self, found: Difference) -> tuple[dict[str, Job], dict[str, Caller]]:
        """Return the definitions with their principals, and the callers of these, by name."""
        claims: list[tuple[Job, str, str | None]] = [
            (job, job.principal, None) for job in found.creates
        ]
        claims += [(each.after, each.claim, each.before.principal) for each in found.updates]
        wanted: dict[str, Job] = {}
        callers: dict[str, Caller] = {}
        chosen: dict[tuple[str, str | None], Principal] = {}
        for number, (job, claim, before) in enumerate(claims, 1):
            if number % _PART == 0:
                await asyncio.sleep(0)  # others have turns
            key = (claim, before)
            if key not in chosen:
                chosen[key] = await choose_principal(
                    claim, self.caller, self.accounts, before=before
                )
            wanted[job.name] = replace(job, principal=chosen[key].text)
            callers[job.name] = chosen[key].caller
        return wanted, callers

    async def _require(
        self, wanted: Mapping[str, Job], callers: Mapping[str, Caller], early: Collection[str]
    ) -> Collection[str]:
        """Refuse jobs that their principals may not run; return the missing callback jobs.

        The services of the jobs named ``early`` may be deployed later.
        """
        parts: dict[tuple[Caller, bool], list[Job]] = {}
        for name, job in wanted.items():
            parts.setdefault((callers[name], name in early), []).append(job)
        missing: set[str] = set()
        for (caller, allow_missing), part in parts.items():
            for some in batches(part, _PART):
                await asyncio.sleep(0)  # others have turns
                called = (wanted.get(name) for _, name in callback_jobs(some))
                missing |= {
                    *await require_permitted(
                        some,
                        self.jobs,
                        self.calendars,
                        self.services,
                        caller=caller,
                        together_with=[job for job in called if job is not None],
                        allow_missing=allow_missing,
                    )
                }
        await asyncio.sleep(0)
        require_extra(wanted.values(), self.services)
        return sorted(missing)


def _items(params: ApplyInput) -> tuple[Sequence[Item], list[str], Sequence[FieldError]]:
    """Return the definitions that were sent; of a document, parts without effect and mistakes."""
    if params.document is None:
        sent = (params.scheduler if params.jobs is None else params.jobs) or []
        return [Item(each, 0, {}) for each in sent], [], ()
    found = enmasse.right_definitions_of(params.document, None)  # the environment is the server's
    return found.items, [*enmasse.differences(found.others)], found.mistakes


def _is_early(item: Item) -> bool:
    return allows_missing(item.value)


class Exported(TypedDict):
    """All jobs as an enmasse file's text, and as its definitions."""

    document: str
    scheduler: list[dict[str, Any]]


class Export(Service[Any, Exported]):
    """Return all jobs as definitions, and as the text of an enmasse file."""

    name = "zato.scheduler.job.export"
    role = "editor"
    is_safe = True
    scope = "own"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        definitions: list[dict[str, Any]] = []
        texts: list[str] = []
        async for rows in self.jobs.parts(permits=visible_to(authority_of(self))):
            part = [fields(row.job) for row in rows]
            definitions += part
            texts.append(await offload_long(enmasse.items_text, part))
        document = await offload_long(enmasse.document_text, texts)
        self.response.payload = {"document": document, "scheduler": definitions}


def _applied(found: Difference, differences: list[str], *, is_dry_run: bool) -> Applied:
    return {
        "created": [job.name for job in found.creates],
        "updated": [
            {
                "name": update.before.name,
                "changes": {
                    field: {"from": before, "to": after}
                    for field, (before, after) in update.changes.items()
                },
            }
            for update in found.updates
        ],
        "unchanged": list(found.unchanged),
        "differences": differences,
        "dry_run": is_dry_run,
    }
