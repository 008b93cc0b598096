"""Looking ahead and back: what a definition will do, and why a slot did or did not run."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple

from zato_lite.builtin.definition import edited, fields, read
from zato_lite.builtin.fields import Reader, iso, moment, name, whole
from zato_lite.builtin.history import ledger_item, run_item
from zato_lite.builtin.input import MAX_ID as ID_MOST
from zato_lite.builtin.input import object_list
from zato_lite.builtin.permissions import require_services as must_be_allowed
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, FieldError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.registry import Registry
from zato_lite.store.rows import JobRow, LedgerRow, RunRow
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import Instant, Job, Trigger
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.trigger import next_after, previous_before
from zato_lite.timetable.upcoming import Upcoming, simulate, upcoming
from zato_lite.timetable.zone import to_datetime

_SLOTS_MOST = 1_000
_SIMULATED_MOST = 100_000


class GetUpcoming(Service):
    """The next ``count`` slots of a job (``id`` or ``name``), or of a definition as it is sent."""

    name = "zato.scheduler.job.get-upcoming"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        sent = Reader(self.request.payload).given
        options = Reader(
            {
                field: sent.pop(field)
                for field in ("count", "after", "id", "job_id")
                if field in sent
            }
        )
        count = options("count", whole(1, _SLOTS_MOST), 10)
        after = options("after", moment(), self.clock.now())
        job_id = options("job_id", whole(1, ID_MOST), options("id", whole(1, ID_MOST), 0))
        options.check()
        sent.pop("cluster_id", None)
        job, state = await self._job(job_id, sent)
        calendars = await calendars_of(self.jobs)
        self.response.payload = {
            "words": describe(job.trigger),
            "slots": [
                upcoming_item(each, job.trigger.timezone)
                for each in upcoming(job, after, count, calendars, state)
            ],
        }

    async def _job(self, job_id: int, sent: Mapping[str, Any]) -> tuple[Job, JobState | None]:
        if not job_id and set(sent) != {"name"}:
            defined = {"name": "preview", "service": "preview", **sent}
            return read(defined, self.clock.now()), None
        if job_id and sent:
            row = await self.jobs.get(job_id)
            return edited(row.job, sent, self.clock.now()), None
        row = await (self.jobs.get(job_id) if job_id else self._named(sent))
        return row.job, JobState(row.id, row.job, row.cursor, row.started)

    async def _named(self, sent: Mapping[str, Any]) -> JobRow:
        reader = Reader(sent)
        wanted = reader.required("name", name, "")
        reader.check()
        return await self.jobs.get_by_name(wanted)


class Validate(Service):
    """Whether a definition would be accepted; all that is wrong with it, or it in words."""

    name = "zato.scheduler.job.validate"
    clock = needs(Clock)
    services = needs(Registry)

    async def handle(self) -> None:
        try:
            job = read(self.request.payload, self.clock.now())
        except BadInputError as error:
            errors = error.errors or (FieldError("", None, str(error)),)
            self.response.payload = {
                "is_valid": False,
                "errors": [{"field": it.field, "message": it.message} for it in errors],
            }
            return
        must_be_allowed([job], self.services, self.caller)
        self.response.payload = {
            "is_valid": True,
            "errors": [],
            "words": describe(job.trigger),
            "definition": fields(job),
        }


class Simulate(Service):
    """All slots of the jobs there are, or of ``jobs``, between ``start`` and ``until``."""

    name = "zato.scheduler.job.simulate"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        now = self.clock.now()
        start = reader("start", moment(), now)
        until = reader.required("until", moment(), now)
        most = reader("limit", whole(1, _SIMULATED_MOST), _SLOTS_MOST)
        sent = reader("jobs", object_list(_SIMULATED_MOST, {}).parse, ())
        reader.check()
        if sent:
            jobs = [read(each, now) for each in sent]
        else:
            jobs = [row.job for row in (await self.jobs.list())[0] if row.job.is_active]
        calendars = await calendars_of(self.jobs)
        found = await asyncio.to_thread(_first_of, jobs, start, until, calendars, most + 1)
        self.response.payload = {
            "slots": [{"name": each.name, "slot": iso(each.slot)} for each in found[:most]],
            "is_complete": len(found) <= most,
        }


def _first_of(
    jobs: Sequence[Job],
    start: Instant,
    until: Instant,
    calendars: Mapping[str, Calendar],
    most: int,
) -> list[Upcoming]:
    return list(islice(simulate(jobs, start, until, calendars), most))


class Why(Service):
    """Why a job (``id`` or ``name``) did or did not run at an instant (``at``)."""

    name = "zato.scheduler.job.why"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        job_id = reader("job_id", whole(1, ID_MOST), reader("id", whole(1, ID_MOST), 0))
        job_name = reader("name", name, "")
        if not (job_id or job_name):
            reader.required("id", whole(1, ID_MOST), 0)
        reader.check()
        row = await (self.jobs.get(job_id) if job_id else self.jobs.get_by_name(job_name))
        at = reader.required("at", moment(row.job.trigger.timezone), 0)
        reader.check()
        found = await self.jobs.slot(row.id, at)
        answer = answer_of(row, at, found, self.clock.now())
        self.response.payload = {
            "job_id": row.id,
            "job_name": row.job.name,
            "at": iso(at),
            "outcome": answer.outcome,
            "reason": answer.reason,
            "run": run_item(found) if isinstance(found, RunRow) else None,
            "ledger": ledger_item(found) if isinstance(found, LedgerRow) else None,
        }


class Answer(NamedTuple):
    """What became of an instant, in one word and in a sentence."""

    outcome: str
    reason: str


def answer_of(row: JobRow, at: Instant, found: RunRow | LedgerRow | None, now: Instant) -> Answer:
    """Why the job did or did not run at an instant, from what is kept of it and its trigger."""
    if isinstance(found, LedgerRow):
        return Answer(found.outcome, found.reason or found.outcome)
    if found is not None:
        return Answer(found.outcome, _run_words(found))
    return _off_schedule(row.job.trigger, at) or _unrecorded(row, at, now)


def _off_schedule(trigger: Trigger, at: Instant) -> Answer | None:
    """Why the trigger has no slot then; None if it has one."""
    if at < trigger.start:
        return Answer("before_start", f"the job starts at {iso(trigger.start)}")
    if trigger.end is not None and at >= trigger.end:
        return Answer("after_end", f"the job ended at {iso(trigger.end)}")
    if next_after(trigger, at - 1) == at:
        return None
    around = (previous_before(trigger, at), next_after(trigger, at))
    nearest = " and ".join(iso(slot) for slot in around if slot is not None)
    return Answer("not_on_schedule", f"{describe(trigger)}: no slot then; nearest: {nearest}")


def _unrecorded(row: JobRow, at: Instant, now: Instant) -> Answer:
    """What is to be said of a slot of which nothing is kept."""
    job = row.job
    note = f": {job.pause_note}" if job.pause_note else ""
    reasons = {
        "before_creation": (
            at < row.created_at,
            f"the job was created at {iso(row.created_at)}",
        ),
        "repeats_used_up": (
            at > row.cursor and job.repeats is not None and row.started >= job.repeats,
            f"all its {job.repeats} runs have been started",
        ),
        "paused": (at > row.cursor and not job.is_active, f"the job is paused{note}"),
        "not_yet": (at > now, f"it is due at {iso(at)}"),
        "due": (at > row.cursor, "it is due and has not been claimed yet"),
        "unknown": (
            True,
            "nothing is kept of it: it was another definition's, or its history is gone",
        ),
    }
    return next(Answer(name, words) for name, (holds, words) in reasons.items() if holds)


def upcoming_item(each: Upcoming, timezone: str | None) -> dict[str, Any]:
    """A coming slot: when, also on the wall of the job's zone, and what is to be said of it."""
    return {
        "slot": iso(each.slot),
        "local": to_datetime(each.slot, timezone).isoformat(),
        "at": iso(each.at),
        "remarks": list(each.remarks),
    }


async def calendars_of(jobs: JobCommands) -> dict[str, Calendar]:
    """All calendars by name."""
    return dict(await jobs.calendars())


def _run_words(run: RunRow) -> str:
    words = f"run {run.number} of the job"
    if run.started_at is None:
        return f"{words} has not started yet ({run.state})"
    words += f" started at {iso(run.started_at)}"
    if run.outcome == "running":
        return f"{words} and is in flight (attempt {run.attempt})"
    return f"{words} and ended: {run.outcome}" + (f": {run.error}" if run.error else "")
