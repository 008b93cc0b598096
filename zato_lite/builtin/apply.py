"""Whole sets of definitions as services: apply, export, import from other schedulers."""

from collections.abc import Callable, Iterable
from typing import Any, Literal

from zato_lite.builtin import imports
from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.deadman import watch_over
from zato_lite.builtin.definition import read
from zato_lite.builtin.enmasse import Difference, difference, document, parse
from zato_lite.builtin.fields import Reader, flag, name, one_of, text, zone
from zato_lite.builtin.input import object_list
from zato_lite.builtin.permissions import require_calendars as calendars_must_exist
from zato_lite.builtin.permissions import require_callbacks as callback_jobs_must_be_theirs
from zato_lite.builtin.permissions import require_services as must_be_allowed
from zato_lite.builtin.permissions import warn_of_missing
from zato_lite.errors import BadInputError, ForbiddenError, ServiceMissingError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry

_DEFINITIONS_MOST = 1_000_000
_TEXT_MOST = 64 * 1024 * 1024
Format = Literal["crontab", "celery", "apscheduler", "quartz"]


class Apply(AuditedService):
    """Bring the jobs in line with a set of definitions, all or nothing; ``dry_run`` only tells.

    The set is ``jobs`` (or ``scheduler``, as in enmasse), or ``document``: an enmasse file's text,
    in which variables have no values: those of the environment are for the server's own file.
    """

    name = "zato.scheduler.job.apply"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        reader.only(("jobs", "scheduler", "document", "dry_run", "cluster_id"))
        only_tell = reader("dry_run", flag, default=False)
        sent = reader("scheduler", object_list(_DEFINITIONS_MOST, {}).parse, ())
        sent = reader("jobs", object_list(_DEFINITIONS_MOST, {}).parse, sent)
        if "document" in reader.given:  # the environment's values are none of a caller's affair
            sent = reader("document", lambda value: parse(text(_TEXT_MOST)(value), {}), ())
        elif "jobs" not in reader.given and "scheduler" not in reader.given:
            reader.refuse("jobs", "Missing required input element: jobs (or document)")
        reader.check()
        names = {str(each.get("name", "")).strip() for each in sent}
        existing = {row.job.name: row for row in await self.jobs.named(names)}
        found = difference({key: row.job for key, row in existing.items()}, sent, self.clock.now())
        wanted = [*found.creates, *(it.after for it in found.updates)]
        must_be_allowed(wanted, self.services, self.caller)
        missing = await callback_jobs_must_be_theirs(wanted, self.jobs, self.caller)
        await calendars_must_exist(wanted, self.jobs)
        if not only_tell and (found.creates or found.updates):
            edits = {existing[it.before.name].id: it.after for it in found.updates}
            await self.jobs.apply(found.creates, edits)
            await watch_over((*found.creates, *edits.values()), self.jobs, self.clock.now())
            warn_of_missing(missing, self.logger)
        self.response.payload = {**_told(found), "dry_run": only_tell}
        return f"{len(found.creates)} created, {len(found.updates)} changed"


class Export(Service):
    """All jobs as definitions, and as the text of an enmasse file."""

    name = "zato.scheduler.job.export"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        rows, _ = await self.jobs.list()
        written = document(row.job for row in rows)
        self.response.payload = {"document": written, "scheduler": parse(written, {})}


class Import(AuditedService):
    """Read another scheduler's file; tell what it defines and what will be different here.

    Nothing is created unless ``dry_run`` is false; then all that could be read is.
    """

    name = "zato.scheduler.job.import"
    jobs = needs(JobCommands)
    services = needs(Registry)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        reader.only(("format", "document", "service", "timezone", "with_user", "dry_run"))
        kind = reader.required("format", one_of(Format), "crontab")
        written = reader.required("document", text(_TEXT_MOST), "")
        service = reader("service", name, "")
        timezone = reader("timezone", zone, None)
        with_user = reader("with_user", flag, default=False)
        only_tell = reader("dry_run", flag, default=True)
        if kind in ("crontab", "quartz") and not service:
            reader.refuse("service", f"Missing required input element: service (for {kind})")
        reader.check()
        readers: dict[str, Callable[[], Iterable[imports.Found]]] = {
            "crontab": lambda: imports.crontab(written, service, with_user=with_user),
            "celery": lambda: imports.celery(written, timezone),
            "apscheduler": lambda: imports.apscheduler(written),
            "quartz": lambda: imports.quartz_lines(written, service, timezone),
        }
        entries = [self._entry(found) for found in readers[kind]()]
        good = [entry["definition"] for entry in entries if not entry["errors"]]
        if not only_tell and good:
            jobs = [read(each, self.clock.now()) for each in good]
            missing = await callback_jobs_must_be_theirs(jobs, self.jobs, self.caller)
            await self.jobs.create(jobs)
            warn_of_missing(missing, self.logger)
        self.response.payload = {
            "entries": entries,
            "created": 0 if only_tell else len(good),
            "dry_run": only_tell,
        }
        return f"{len(entries)} entries"

    def _entry(self, found: imports.Found) -> dict[str, Any]:
        errors: list[str] = []
        if found.fields is None:
            errors = list(found.differences)
        else:
            try:
                must_be_allowed([read(found.fields, self.clock.now())], self.services, self.caller)
            except BadInputError as error:
                errors = [it.message for it in error.errors] or [str(error)]
            except (ServiceMissingError, ForbiddenError) as error:
                errors = [str(error)]
        return {
            "place": found.place,
            "definition": found.fields,
            "differences": list(found.differences) if found.fields is not None else [],
            "errors": errors,
        }


def _told(found: Difference) -> dict[str, Any]:
    return {
        "created": [job.name for job in found.creates],
        "updated": [
            {
                "name": it.before.name,
                "changes": {field: {"from": a, "to": b} for field, (a, b) in it.changes.items()},
            }
            for it in found.updates
        ],
        "unchanged": list(found.unchanged),
    }
