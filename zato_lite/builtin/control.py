"""Holding and pushing: pauses, skips, runs on demand, and the scheduler as a whole."""

from typing import Any

from zato_lite.builtin.audited import AuditedService
from zato_lite.builtin.fields import Reader, iso, moment, text, whole
from zato_lite.builtin.history import run_of
from zato_lite.builtin.jobs import item, job_id_of
from zato_lite.builtin.permissions import must_be_theirs_to_run
from zato_lite.clock import Clock
from zato_lite.errors import NotFoundError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs

_NOTE_MOST = 1_000


class Pause(AuditedService):
    """Start no more of a job's slots: ``note`` says why, ``until`` ends it by itself."""

    name = "zato.scheduler.job.pause"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        job_id = job_id_of(self.request.payload)
        note = reader("note", text(_NOTE_MOST), "")
        until = reader("until", moment(), None)
        reader.only(("id", "job_id", "cluster_id", "note", "until"))
        reader.check()
        self.response.payload = item(await self.jobs.pause(job_id, note, until), None)
        return str(job_id)


class Resume(AuditedService):
    """Go on with a job; the slots that passed meanwhile are in its ledger as paused."""

    name = "zato.scheduler.job.resume"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        job_id = job_id_of(self.request.payload)
        await must_be_theirs_to_run(job_id, self.jobs, self.caller)
        row = await self.jobs.resume(job_id)
        self.response.payload = item(row, None)
        return f"{row.id} {row.job.name}"


class SkipNext(AuditedService):
    """Leave out the next ``count`` slots of a job (1 by default); 0 takes that back."""

    name = "zato.scheduler.job.skip-next"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        job_id = job_id_of(self.request.payload)
        count = reader("count", whole(0, 1_000_000), 1)
        reader.check()
        self.response.payload = item(await self.jobs.skip_next(job_id, count), None)
        return str(job_id)


class CancelRun(AuditedService):
    """Cancel a run that is in flight or waits."""

    name = "zato.scheduler.job.cancel-run"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        job_id, number = run_of(self.request.payload)
        if await self.jobs.run(job_id, number) is None:
            raise NotFoundError(f"Run {number} of job {job_id} not found")
        self.response.payload = {"is_cancelled": await self.jobs.cancel_run(job_id, number)}
        return f"{job_id}, run {number}"


class RetryRun(AuditedService):
    """Run a finished run's slot again, as a new run."""

    name = "zato.scheduler.job.retry-run"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        job_id, number = run_of(self.request.payload)
        await must_be_theirs_to_run(job_id, self.jobs, self.caller)
        self.response.payload = {"current_run": await self.jobs.retry_run(job_id, number)}
        return f"{job_id}, run {number}"


class Backfill(AuditedService):
    """Run each slot of a job between ``first`` and ``last``, both included, one after another."""

    name = "zato.scheduler.job.backfill"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        job_id = job_id_of(self.request.payload)
        await must_be_theirs_to_run(job_id, self.jobs, self.caller)
        timezone = (await self.jobs.get(job_id)).job.trigger.timezone
        first = reader.required("first", moment(timezone), 0)
        last = reader.required("last", moment(timezone), 0)
        if not reader.errors and last < first:
            reader.refuse("last", "last: it is before first")
        reader.check()
        self.response.payload = {"runs": list(await self.jobs.backfill(job_id, first, last))}
        return str(job_id)


class PauseScheduler(AuditedService):
    """Start no slot of any job until resumed; runs on demand go on."""

    name = "zato.scheduler.pause"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        reader = Reader(self.request.payload)
        note = reader("note", text(_NOTE_MOST), "")
        reader.check()
        pause = await self.jobs.pause_all(note, self.caller.name)
        self.response.payload = {"since": iso(pause.since), "note": pause.note, "by": pause.by}
        return "scheduler"


class ResumeScheduler(AuditedService):
    """Go on with all jobs; the slots that passed meanwhile are in the ledger as paused."""

    name = "zato.scheduler.resume"
    jobs = needs(JobCommands)

    async def change(self, params: Any) -> str:
        await self.jobs.resume_all()
        self.response.payload = {}
        return "scheduler"


class Status(Service):
    """Whether the scheduler stands still and since when, its nodes, and how many jobs it has."""

    name = "zato.scheduler.status"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        pause = await self.jobs.paused()
        summary = await self.jobs.summary(buckets=1, recent_limit=0)
        self.response.payload = {
            "is_paused": pause is not None,
            "paused_since": iso(pause.since) if pause is not None else None,
            "pause_note": pause.note if pause is not None else "",
            "paused_by": pause.by if pause is not None else "",
            "total_jobs": summary.total_jobs,
            "active_jobs": summary.active_jobs,
            "now": iso(self.clock.now()),
            "nodes": [
                {
                    "id": node.id,
                    "name": node.name,
                    "pid": node.pid,
                    "started": iso(node.started_at),
                    "seen": iso(node.seen_at),
                }
                for node in await self.jobs.nodes()
            ],
        }
