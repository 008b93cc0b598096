"""Services that preview slots, validate definitions, and explain the outcome of a slot."""

import asyncio
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Annotated, Any, NotRequired, Self, TypedDict

from msgspec import Meta

from zato_lite.builtin.definition import Definition, edited, read
from zato_lite.builtin.definition_many import read_many
from zato_lite.builtin.input import (
    Input,
    JobId,
    Moment,
    NameRef,
    Zone,
    as_mapping,
    is_unsent,
    object_list,
)
from zato_lite.builtin.output import iso
from zato_lite.builtin.permissions import (
    authority_of,
    require_calendars,
    require_visible_job,
    visible_to,
)
from zato_lite.clock import Clock
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.service.typed import CustomInput
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.job_plan import JobState
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
        named = row.job.name if job_id is None else job_id
        require_visible_job(row.job, authority_of(self), named)
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
