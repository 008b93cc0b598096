"""Services that change many runs: cancel and retry."""

import asyncio
from collections.abc import Sequence
from typing import Annotated, TypedDict

import msgspec

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.bulk import ManyJobs, id_ranges
from zato_lite.builtin.history import Outcomes
from zato_lite.builtin.input import MAX_ID, Moment, list_of, whole_number
from zato_lite.builtin.permissions import authority_of, require_selected_match, visible_to
from zato_lite.errors import ForbiddenError, JobNotFoundError
from zato_lite.scheduler.bulk import SLICE, BulkCommands
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.needs import needs
from zato_lite.service.request import In, Out
from zato_lite.store.selection import RunSelection, SelectedRun
from zato_lite.store.sql import batches

MAX_RUNS = 10_000
"""Runs that one request changes at most."""

FAILED = ("error", "timeout", "lost", "denied")
"""Outcomes of the runs that are retried unless the caller names others."""

_run_ids = list_of(whole_number(1, MAX_ID), MAX_RUNS)


class ManyRuns(ManyJobs, forbid_unknown_fields=True):
    """Runs that have not ended: by ``run_ids``, or all of the selected jobs.

    ``expected`` is the number of runs.
    """

    run_ids: Annotated[tuple[int, ...], _run_ids] = ()

    @classmethod
    def lists(cls) -> tuple[str, ...]:
        return ("run_ids", "ids", "names")

    @property
    def runs(self) -> RunSelection:
        """The selected runs."""
        return RunSelection(self.run_ids, self.selection, limit=MAX_RUNS)


class ManyRetried(ManyRuns, forbid_unknown_fields=True):
    """Runs that have ended: by ``run_ids``, or those of the selected jobs that have ``outcomes``.

    Without ``since_iso`` and ``until_iso``, which bound their slots, it is the latest run of each
    job that has one of these outcomes.
    """

    outcomes: Outcomes = FAILED
    since_iso: Moment | None = None
    until_iso: Moment | None = None

    @property
    def runs(self) -> RunSelection:
        return super().runs._replace(
            outcomes=self.outcomes or FAILED, since=self.since_iso, until=self.until_iso
        )


class ChangedRun(TypedDict):
    """A run, by the id and name of its job, its number and its id.

    After a retry, ``current_run`` is the number of the new run.
    """

    id: int
    job_name: str
    current_run: int
    run_id: int


class ChangedRuns(TypedDict):
    """The changed runs, in order of their ids; or those to change."""

    count: int
    runs: list[ChangedRun]
    dry_run: bool


class BulkRunService(AuditedService[In, Out]):
    """Base of the services that change many runs."""

    role = "operator"
    bulk = needs(BulkCommands)
    jobs = needs(JobCommands)

    async def selected(self, params: ManyRuns) -> list[SelectedRun]:
        """Return the selected runs; refuse them all if one is not the caller's to change."""
        caller = authority_of(self)
        selected = await self.bulk.select_runs(params.runs, visible_to(caller))
        require_selected_match(selected, caller, "cancel or retry run")
        return list(selected)


class CancelMany(BulkRunService[ManyRuns, ChangedRuns]):
    """Cancel runs that have not ended."""

    name = "zato.scheduler.job.cancel-many"

    async def change(self, params: ManyRuns) -> str:
        selected = await self.selected(params)
        if params.dry_run:
            self.response.payload = changed_runs(params, selected)
            return subject_of(selected, is_dry_run=True)
        cancelled: list[SelectedRun] = []
        for part in batches(selected, SLICE):
            ended = await asyncio.gather(*map(self._cancel, part))
            cancelled += [run for run, is_done in zip(part, ended, strict=True) if is_done]
        self.response.payload = changed_runs(params, cancelled)
        return subject_of(cancelled)

    async def _cancel(self, run: SelectedRun) -> bool:
        try:
            return await self.jobs.cancel_run(run.job_id, run.number, run.is_of)
        except (JobNotFoundError, ForbiddenError):  # the job was deleted, or has another service
            return False


class RetryMany(BulkRunService[ManyRetried, ChangedRuns]):
    """Run the slots of ended runs again, as new runs."""

    name = "zato.scheduler.job.retry-many"

    async def change(self, params: ManyRetried) -> str:
        selected = await self.selected(params)
        if params.dry_run or not selected:
            self.response.payload = changed_runs(params, selected)
            return subject_of(selected, is_dry_run=params.dry_run)
        self.record_with_change(subject_of(selected))
        retried = await self.bulk.retry(selected, self.caller.principal)
        runs = [_item(msgspec.structs.replace(run, number=number)) for run, number in retried]
        self.response.payload = {"count": len(runs), "runs": runs, "dry_run": False}
        return subject_of(selected)


def changed_runs(params: ManyRuns, runs: Sequence[SelectedRun]) -> ChangedRuns:
    """Return the answer for runs that were changed, or are to be."""
    items = [_item(run) for run in runs]
    return {"count": len(items), "runs": items, "dry_run": params.dry_run}


def subject_of(runs: Sequence[SelectedRun], *, is_dry_run: bool = False) -> str:
    """Return the changed runs as the audit log shows them."""
    words = "1 run" if len(runs) == 1 else f"{len(runs)} runs"
    return f"{words}{' (dry run)' * is_dry_run}: {id_ranges([run.id for run in runs])}"


def _item(run: SelectedRun) -> ChangedRun:
    return {
        "id": run.job_id,
        "job_name": run.job_name,
        "current_run": run.number,
        "run_id": run.id,
    }
