"""Services that preview slots, validate definitions, and explain the outcome of a slot."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, NamedTuple, NotRequired, Self, TypedDict

from msgspec import Meta

from zato_lite.builtin.definition import (
    Definition,
    edited,
    read,
    read_many,
)
from zato_lite.builtin.history import ledger_item, run_item
from zato_lite.builtin.input import (
    Input,
    JobId,
    LocalMoment,
    Moment,
    Name,
    NameRef,
    Zone,
    as_mapping,
    is_unsent,
    missing,
    object_list,
    read_local,
)
from zato_lite.builtin.output import LedgerItem, RunItem, iso
from zato_lite.builtin.permissions import (
    authority_of,
    require_calendars,
    require_visible_job,
    visible_to,
)
from zato_lite.clock import Clock
from zato_lite.errors import FieldError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.service.typed import CustomInput
from zato_lite.store.clock import AHEAD
from zato_lite.store.rows import JobRow, LedgerRow, Pause, RunRow
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import Instant, Job, Trigger
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.trigger import next_after, previous_before
from zato_lite.timetable.upcoming import (
    Note,
    NoteCode,
    Upcoming,
    remarkable,
    simulate,
    upcoming,
)
from zato_lite.timetable.zone import to_datetime

_MAX_SLOTS = 1_000
_MAX_SIMULATED = 100_000
_MAX_DEFINITIONS = 1_000


class UpcomingOptions(Input):
    """An existing job, and which of its slots to show.

    ``mine`` is a time zone in which to show them as well; ``only_remarkable`` asks for the slots
    of a year around clock changes and days off.
    """

    id: JobId | None = None
    count: Annotated[int, Meta(ge=1, le=_MAX_SLOTS)] = 10
    after: Moment | None = None
    mine: Zone | None = None
    only_remarkable: bool = False


_OPTIONS = ("count", "after", "id", "job_id", "cluster_id", "mine", "only_remarkable")


class UpcomingInput(CustomInput):
    """A job by its id or name, a definition, or an existing job with changed fields."""

    options: UpcomingOptions
    fields: dict[str, Any]

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        sent = as_mapping(payload)
        fields = {k: sent[k] for k in sent if k not in _OPTIONS and not is_unsent(sent[k])}
        return cls(UpcomingOptions.from_payload(payload), fields)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        schema = UpcomingOptions.json_schema()
        schema["properties"] = Definition.json_schema()["properties"] | schema["properties"]
        return schema


class SlotNote(TypedDict):
    """A note on a slot or on those left out before it: a code, a sentence, and its values.

    ``wall`` is a time that does not exist or comes twice; the other values are of slots that are
    left out.
    """

    code: NoteCode
    text: str
    wall: NotRequired[str]
    first_iso: NotRequired[str]
    last_iso: NotRequired[str]
    count: NotRequired[int]
    reason: NotRequired[str]


class UpcomingSlot(TypedDict):
    """A slot: its instant, its local time, the start of its run, and remarks.

    ``mine`` is its time in the zone that the caller has named; ``notes`` are the remarks as data.
    """

    slot: str
    local: str
    mine: NotRequired[str]
    at: str
    remarks: list[str]
    notes: list[SlotNote]


class UpcomingSlots(TypedDict):
    """A trigger in words, its time zone, and its next slots."""

    words: str
    timezone: str
    slots: list[UpcomingSlot]


class GetUpcoming(Service[UpcomingInput, UpcomingSlots]):
    """Return the next ``count`` slots of a job (``id`` or ``name``) or of a definition."""

    name = "zato.scheduler.job.get-upcoming"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    calendars = needs(Calendars)
    clock = needs(Clock)

    async def handle(self) -> None:
        options, sent = self.request.input.options, self.request.input.fields
        now = self.clock.now()
        job, state = await self._job(options.id, sent, now)
        await require_calendars([job], self.calendars)
        calendars = await self.calendars.calendars()
        after = now if options.after is None else options.after
        find = remarkable if options.only_remarkable else upcoming
        found = await offload_long(find, job, after, options.count, calendars, state)
        zone = job.trigger.timezone
        self.response.payload = {
            "words": describe(job.trigger),
            "timezone": zone or "UTC",
            "slots": [upcoming_item(each, zone, options.mine) for each in found],
        }

    async def _job(
        self, job_id: int | None, sent: Mapping[str, Any], now: Instant
    ) -> tuple[Job, JobState | None]:
        if job_id is None and sent.keys() != {"name"}:
            return read({"name": "preview", "service": "preview", **sent}, now), None
        if job_id is None:
            row = await self.jobs.get_by_name(NameRef.from_payload(sent).name)
        else:
            row = await self.jobs.get(job_id)
        require_visible_job(row.job, authority_of(self))
        if job_id is not None and sent:
            return edited(row.job, sent, now), None
        return row.job, JobState(row.id, row.job, row.cursor, row.started)


_Definitions = Annotated[
    list[dict[str, Any]], object_list(_MAX_DEFINITIONS, Definition.json_schema())
]


class SimulateInput(Input):
    """A span of time, and definitions; without any, the existing jobs."""

    until: Moment
    start: Moment | None = None
    limit: Annotated[int, Meta(ge=1, le=_MAX_SIMULATED)] = _MAX_SLOTS
    jobs: _Definitions | None = None


class SimulatedSlot(TypedDict):
    """A slot of a job."""

    name: str
    slot: str


class JobError(TypedDict):
    """A job, and why it has no slots."""

    name: str
    message: str


class Simulation(TypedDict):
    """Slots in order; not complete if there are more than ``limit``.

    ``errors`` names the jobs whose slots cannot be computed; those of the others are there.
    """

    slots: list[SimulatedSlot]
    is_complete: bool
    errors: list[JobError]


class Simulate(Service[SimulateInput, Simulation]):
    """Return all slots of the existing jobs, or of ``jobs``, between ``start`` and ``until``."""

    name = "zato.scheduler.job.simulate"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    calendars = needs(Calendars)
    clock = needs(Clock)

    async def handle(self) -> None:
        params, now = self.request.input, self.clock.now()
        calendars = await self.calendars.calendars()
        jobs: list[Job] = []
        if params.jobs:
            for batch in read_many(params.jobs, now):
                jobs += batch.jobs
                await asyncio.sleep(0)
            await require_calendars(jobs, self.calendars)
        else:
            async for rows in self.jobs.parts(permits=visible_to(authority_of(self))):
                jobs += [row.job for row in rows if row.job.is_active]
        start = now if params.start is None else params.start
        self.response.payload = await offload_long(
            _simulation, jobs, start, params.until, calendars, params.limit
        )


def _simulation(
    jobs: Sequence[Job],
    start: Instant,
    until: Instant,
    calendars: Mapping[str, Calendar],
    limit: int,
) -> Simulation:
    errors: dict[str, str] = {}
    found = list(islice(simulate(jobs, start, until, calendars, errors), limit + 1))
    return {
        "slots": [{"name": each.name, "slot": iso(each.slot)} for each in found[:limit]],
        "is_complete": len(found) <= limit,
        "errors": [{"name": name, "message": text} for name, text in errors.items()],
    }


class WhyInput(Input):
    """A job by its id or name, and an instant; without an offset, in the job's time zone."""

    at: LocalMoment
    id: JobId | None = None
    name: Name | None = None

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        wrong = {error.field for error in errors}
        if not values.keys() & {"id", "name"} and wrong.isdisjoint({"id", "job_id", "name"}):
            errors.append(missing("id"))


class Explanation(TypedDict):
    """The outcome of an instant in one word and in a sentence; its run or its ledger entry."""

    job_id: int
    job_name: str
    at: str
    outcome: str
    reason: str
    run: RunItem | None
    ledger: LedgerItem | None


class Why(Service[WhyInput, Explanation]):
    """Explain why a job (``id`` or ``name``) did or did not run at an instant (``at``)."""

    name = "zato.scheduler.job.why"
    role = "viewer"
    scope = "own"
    jobs = needs(JobCommands)
    history = needs(RunHistory)
    clock = needs(Clock)

    async def handle(self) -> None:
        params = self.request.input
        if params.id is not None:
            row = await self.jobs.get(params.id)
        else:
            row = await self.jobs.get_by_name(params.name or "")
        require_visible_job(row.job, authority_of(self))
        [at] = read_local(row.job.trigger.timezone, at=params.at)
        found = await self.history.slot(row.id, at)
        pause = await self.jobs.paused()
        now = self.clock.now()
        answer = with_clock(answer_of(row, at, found, now, pause), row, at, now)
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
    """Explanation of an instant: its outcome in one word, and the reason in a sentence."""

    outcome: str
    reason: str


def answer_of(
    row: JobRow,
    at: Instant,
    found: RunRow | LedgerRow | None,
    now: Instant,
    pause: Pause | None = None,
) -> Answer:
    """Explain an instant of a job by its run, its ledger entry or its trigger.

    ``pause`` is the pause of the whole scheduler, if there is one.
    """
    if isinstance(found, LedgerRow):
        return Answer(found.outcome, found.reason or found.outcome)
    if found is not None:
        words = _run_words(found)
        if found.outcome == "running" and found.node == 0 and (held := _held_words(row, pause)):
            words += f"; held: {held}"
        return Answer(found.outcome, words)
    return _off_schedule(row.job.trigger, at) or _unrecorded(row, at, now, pause)


def _held_words(row: JobRow, pause: Pause | None) -> str:
    """Say which pause keeps the job's runs from starting; empty without any."""
    if not row.job.is_active:
        return "the job is paused" + (f": {row.job.pause_note}" if row.job.pause_note else "")
    if pause is not None:
        return "the scheduler is paused" + (f": {pause.note}" if pause.note else "")
    return ""


def with_clock(answer: Answer, row: JobRow, at: Instant, now: Instant) -> Answer:
    """Add that the clock was set back, if the job has decided slots of the future."""
    is_held_up = row.cursor > now + AHEAD and row.cursor >= row.job.trigger.start
    if not is_held_up or row.next_at is None or at > row.cursor:
        return answer
    outcome = "clock_set_back" if answer.outcome in {"unknown", "not_yet"} else answer.outcome
    words = (
        f"{answer.reason}; the clock was set back: the job's slots up to {iso(row.cursor)} are"
        " decided, and none runs again until then; zato.scheduler.continue starts it from now on"
    )
    return Answer(outcome, words)


def _off_schedule(trigger: Trigger, at: Instant) -> Answer | None:
    """Explain why the trigger has no slot at an instant; return None if it has one."""
    if at < trigger.start:
        return Answer("before_start", f"the job starts at {iso(trigger.start)}")
    if trigger.end is not None and at >= trigger.end:
        return Answer("after_end", f"the job ended at {iso(trigger.end)}")
    if next_after(trigger, at - 1) == at:
        return None
    around = (previous_before(trigger, at), next_after(trigger, at))
    nearest = " and ".join(iso(slot) for slot in around if slot is not None)
    return Answer(
        "not_on_schedule", f"{describe(trigger)}: no slot at this instant; nearest: {nearest}"
    )


def _unrecorded(row: JobRow, at: Instant, now: Instant, pause: Pause | None) -> Answer:
    """Explain a slot that has neither a run nor a ledger entry."""
    job = row.job
    held = _held_words(row, pause)
    reasons = {
        "before_creation": (
            at < row.created_at,
            f"the job was created at {iso(row.created_at)}",
        ),
        "repeats_used_up": (
            at > row.cursor and job.repeats is not None and row.started >= job.repeats,
            f"all {job.repeats} runs of the job have started",
        ),
        "paused": (at > row.cursor and (at <= now or not job.is_active) and held != "", held),
        "not_yet": (at > now, f"the slot is due at {iso(at)}"),
        "due": (at > row.cursor, "the slot is due and not yet claimed"),
        "unknown": (
            True,
            "no record: an earlier definition had the slot, or its history was deleted",
        ),
    }
    return next(Answer(name, words) for name, (holds, words) in reasons.items() if holds)


def upcoming_item(each: Upcoming, timezone: str | None, mine: str | None = None) -> UpcomingSlot:
    """Return an upcoming slot: its instant, its time in the job's and the caller's zone, notes."""
    item: UpcomingSlot = {
        "slot": iso(each.slot),
        "local": to_datetime(each.slot, timezone).isoformat(),
        "at": iso(each.at),
        "remarks": list(each.remarks),
        "notes": [note_item(note) for note in each.notes],
    }
    if mine is not None:
        item["mine"] = to_datetime(each.slot, mine).isoformat()
    return item


def note_item(note: Note) -> SlotNote:
    """Return a note on a slot with the values that it has."""
    item: SlotNote = {"code": note.code, "text": note.text}
    if note.wall:
        item["wall"] = note.wall
    if note.first is not None and note.last is not None:
        item["first_iso"], item["last_iso"] = iso(note.first), iso(note.last)
        item["count"] = note.count
    if note.reason:
        item["reason"] = note.reason
    return item


def _run_words(run: RunRow) -> str:
    words = f"run {run.number} of the job"
    if run.started_at is None:
        return f"{words} has not started yet ({run.state})"
    words += f" started at {iso(run.started_at)}"
    if run.outcome == "running":
        return f"{words} and is in flight (attempt {run.attempt})"
    return f"{words} and ended: {run.outcome}" + (f": {run.error}" if run.error else "")
