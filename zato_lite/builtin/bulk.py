"""Services that change many jobs: delete, pause, resume and execute."""

from collections.abc import Collection
from typing import Annotated, Any, NotRequired, TypedDict

from msgspec import Meta

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.input import (
    Moment,
    Note,
    ParsedBy,
    list_of,
    missing,
    parse_name,
    whole_number,
)
from zato_lite.builtin.job_filter import JobFilterInput
from zato_lite.builtin.output import iso
from zato_lite.builtin.permissions import authority_of, require_selected_match, visible_to
from zato_lite.errors import FieldError
from zato_lite.scheduler.bulk import BulkCommands, skipping
from zato_lite.service.needs import needs
from zato_lite.service.request import In, Out
from zato_lite.store.selection import Selected, Selection

_MAX_JOBS = 100_000
_MAX_ID = 2**63 - 1
FILTERS = ("query", "service_name", "state", "tag", "next_before")
"""Fields that select jobs as a list shows them."""

_MAX_IDS_TEXT = 100_000

_ids = list_of(whole_number(1, _MAX_ID), _MAX_JOBS)
_names = list_of(ParsedBy(parse_name, {"type": "string"}), _MAX_JOBS)


class ManyJobs(JobFilterInput, forbid_unknown_fields=True):
    """Jobs by ``ids`` and ``names``; or all that a list with these filters shows.

    ``expected`` is the number of jobs that must be selected. It is required with filters, so that
    no job is changed that the caller has not seen; alone, it selects all jobs. ``dry_run`` selects
    and checks only, with or without it.
    """

    ids: Annotated[tuple[int, ...], _ids] = ()
    names: Annotated[tuple[str, ...], _names] = ()
    expected: Annotated[int, Meta(ge=0, le=_MAX_JOBS)] | None = None
    dry_run: bool = False

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        has_list = any(values.get(field) for field in cls.lists())
        sent = [field for field in FILTERS if field in values]
        is_counted = values.get("expected") is not None or values.get("dry_run", False)
        if not (has_list or sent or errors or is_counted):
            errors.append(missing(cls.lists()[0]))
        if has_list and sent:
            lists = " and ".join(f"`{field}`" for field in cls.lists())
            words = f"{sent[0]}: send either {lists}, or filters"
            errors.append(FieldError(sent[0], values[sent[0]], words))
        if sent and not is_counted:
            errors.append(missing("expected"))

    @classmethod
    def lists(cls) -> tuple[str, ...]:
        """Return the fields that select without a filter."""
        return ("ids", "names")

    @property
    def selection(self) -> Selection:
        """The selected jobs."""
        has_list = self.ids or self.names
        return Selection(self.ids, self.names, None if has_list else self.filter, self.expected)


class ManyPaused(ManyJobs, forbid_unknown_fields=True):
    """Jobs, the reason for their pause, and the instant at which it ends."""

    note: Note = ""
    until: Moment | None = None


class ManySkipped(ManyJobs, forbid_unknown_fields=True):
    """Jobs, and how many of their next slots to skip."""

    count: Annotated[int, Meta(ge=0, le=1_000_000)] = 1


class ChangedJobs(TypedDict):
    """The ids and names of the changed jobs, in order of their names; or of those to change.

    ``left_out`` is the number of selected jobs that were deleted, or got another service, before
    their turn came; absent if none was.
    """

    count: int
    ids: list[int]
    names: list[str]
    dry_run: bool
    left_out: NotRequired[int]


class BulkService(AuditedService[In, Out]):
    """Base of the services that change many jobs."""

    bulk = needs(BulkCommands)

    async def selected(self, params: ManyJobs) -> list[Selected]:
        """Return the selected jobs; refuse them all if one is not the caller's to change."""
        caller = authority_of(self)
        selected = await self.bulk.select(params.selection, visible_to(caller))
        require_selected_match(selected, caller, "change or run job")
        return list(selected)

    def record_selected(self, params: ManyJobs, selected: list[Selected], **after: Any) -> None:
        """Have the selected jobs recorded with the first of them that are changed.

        ``after`` are the fields that all of them get.
        """
        ids = [each.id for each in selected]
        subject = subject_of(changed_jobs(params, selected, ids))
        changes: dict[str, Any] = {"ids": _shortened(id_ranges(ids))}
        if after:
            changes["after"] = after
        self.record_with_change(subject, lambda _: changes)


def changed_jobs(params: ManyJobs, selected: list[Selected], ids: Collection[int]) -> ChangedJobs:
    """Return the answer for those of the selected jobs that were changed."""
    changed = set(ids)
    answer: ChangedJobs = {
        "count": len(changed),
        "ids": [each.id for each in selected if each.id in changed],
        "names": [each.name for each in selected if each.id in changed],
        "dry_run": params.dry_run,
    }
    if len(changed) < len(selected):
        answer["left_out"] = len(selected) - len(changed)
    return answer


def subject_of(answer: ChangedJobs) -> str:
    """Return the changed jobs as the audit log shows them."""
    words = "1 job" if answer["count"] == 1 else f"{answer['count']} jobs"
    return f"{words}{' (dry run)' * answer['dry_run']}: {id_ranges(answer['ids'])}"


class DeleteMany(BulkService[ManyJobs, ChangedJobs]):
    """Delete jobs; their runs stay in the history."""

    name = "zato.scheduler.job.delete-many"
    role = "editor"

    async def change(self, params: ManyJobs) -> str:
        selected = await self.selected(params)
        await self.bulk.check_deletion(selected, visible_to(authority_of(self)))
        ids = [each.id for each in selected]
        if not params.dry_run:
            self.record_selected(params, selected)
            ids = list(await self.bulk.delete(selected, self.caller.principal))
        self.response.payload = answer = changed_jobs(params, selected, ids)
        return subject_of(answer)


class PauseMany(BulkService[ManyPaused, ChangedJobs]):
    """Pause jobs: start none of their slots until they are resumed, or until ``until``."""

    name = "zato.scheduler.job.pause-many"
    role = "operator"

    async def change(self, params: ManyPaused) -> str:
        selected = await self.selected(params)
        ids = [each.id for each in selected]
        if not params.dry_run:
            until = {} if params.until is None else {"pause_until": iso(params.until)}
            note = {"pause_note": params.note} if params.note else {}
            self.record_selected(params, selected, is_active=False, **note, **until)
            ids = list(
                await self.bulk.pause(
                    selected, params.note, params.until, by=self.caller.principal
                )
            )
        self.response.payload = answer = changed_jobs(params, selected, ids)
        return subject_of(answer)


class ResumeMany(BulkService[ManyJobs, ChangedJobs]):
    """Resume jobs; slots that passed during their pauses are in their ledgers."""

    name = "zato.scheduler.job.resume-many"
    role = "operator"

    async def change(self, params: ManyJobs) -> str:
        selected = await self.selected(params)
        ids = [each.id for each in selected]
        if not params.dry_run:
            self.record_selected(params, selected, is_active=True)
            ids = list(await self.bulk.resume(selected, self.caller.principal))
        self.response.payload = answer = changed_jobs(params, selected, ids)
        return subject_of(answer)


class SkipMany(BulkService[ManySkipped, ChangedJobs]):
    """Skip the next ``count`` slots of jobs (1 by default); 0 skips none."""

    name = "zato.scheduler.job.skip-many"
    role = "operator"

    async def change(self, params: ManySkipped) -> str:
        selected = await self.selected(params)
        ids = [each.id for each in selected]
        if not params.dry_run:
            self.record_selected(params, selected, skip_next=params.count)
            ids = list(
                await self.bulk.edit(selected, skipping(params.count), self.caller.principal)
            )
        self.response.payload = answer = changed_jobs(params, selected, ids)
        return subject_of(answer)


class ExecuteMany(BulkService[ManyJobs, ChangedJobs]):
    """Start a run of each job now, even of paused ones; their slots stay as they are."""

    name = "zato.scheduler.job.execute-many"
    role = "operator"

    async def change(self, params: ManyJobs) -> str:
        selected = await self.selected(params)
        ids = [each.id for each in selected]
        if not params.dry_run:
            self.record_selected(params, selected)
            ids = list(await self.bulk.execute(selected, self.caller.principal))
        self.response.payload = answer = changed_jobs(params, selected, ids)
        return subject_of(answer)


def id_ranges(ids: list[int]) -> str:
    """Return ids as short text: ``1-3, 7``."""
    ranges: list[list[int]] = []
    for job_id in sorted(ids):
        if ranges and ranges[-1][1] == job_id - 1:
            ranges[-1][1] = job_id
        else:
            ranges.append([job_id, job_id])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in ranges)


def _shortened(ids: str) -> str:
    """Return the first of the ids and ranges, each as a whole."""
    return ids if len(ids) <= _MAX_IDS_TEXT else ids[:_MAX_IDS_TEXT].rpartition(", ")[0]
