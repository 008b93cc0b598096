"""Timeline: what has happened to the slots of several jobs, and which slots come."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

from msgspec import Meta

from zato_lite.builtin.history import OUTCOMES
from zato_lite.builtin.input import Id, Moment
from zato_lite.builtin.job_filter import JobFilterInput
from zato_lite.builtin.job_state import state_of
from zato_lite.builtin.output import build, iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.builtin.span import Until, check_span
from zato_lite.errors import FieldError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.job_lists import Facts, JobLists, JobPage
from zato_lite.service.base import Service
from zato_lite.service.job_types import JobState
from zato_lite.service.needs import EventPosition, needs
from zato_lite.service.offload import offload_long
from zato_lite.store import job_filter
from zato_lite.store.jobs import state_of as planning_state
from zato_lite.store.rows import JobRow
from zato_lite.store.timeline import Lane, TimelineRun
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.coming import Coming, coming
from zato_lite.timetable.describe import describe
from zato_lite.timetable.job import DAY, Instant

MAX_SPAN = 14 * DAY
MAX_LANES = 200
_MAX_COMING = 300
_MAX_COMING_IN_ALL = 12_000
_CODES = {name: code for code, name in enumerate(OUTCOMES)}
_DAY_MS = 86_400_000


class TimelineInput(JobFilterInput, forbid_unknown_fields=True, kw_only=True):
    """A span of at most 14 days, and jobs: by ``ids``, or a page of those that a list shows.

    Runs of a job that start within ``resolution_ms`` and have one outcome are one mark.
    """

    start: Moment
    until: Until
    ids: Annotated[list[Id], Meta(max_length=MAX_LANES)] | None = None
    order: Literal["attention", "next", "name"] = "attention"
    limit: Annotated[int, Meta(ge=1, le=MAX_LANES)] = 50
    offset: Annotated[int, Meta(ge=0, le=10**9)] = 0
    resolution_ms: Annotated[int, Meta(ge=0, le=_DAY_MS)] = 0

    @classmethod
    def check(cls, values: dict[str, Any], errors: list[FieldError]) -> None:
        check_span(values, errors, MAX_SPAN)


Mark = tuple[float, float, int, int, int]
"""Start and duration in ms, index of the outcome, number of the run, and number of runs."""

Range = tuple[float, float, int, int, int]
"""First and last slot in ms, index of the outcome, number of slots, index of the reason."""

Density = tuple[float, float, int]
"""Begin and end of a part of the span in ms, and the number of runs or slots in it."""


class TimelineJob(TypedDict):
    """A job with its lane; times are milliseconds from the span's start.

    ``coming`` has slots after now; ``density`` numbers of runs or slots where they are too many to
    be listed. The pause in effect is a range of ``paused`` with 0 slots.
    """

    id: int
    name: str
    service: str
    words: str
    state: JobState
    last_outcome: str
    in_flight: int
    next_iso: str | None
    timezone: str | None
    runs: list[Mark]
    coming: list[float]
    density: list[Density]
    ranges: list[Range]


class Timeline(TypedDict):
    """Lanes of jobs; ``event_id`` is the number of the event after which they were read."""

    now_iso: str
    start_iso: str
    until_iso: str
    total: int
    event_id: int | None
    outcomes: list[str]
    reasons: list[str]
    jobs: list[TimelineJob]


class GetTimeline(Service[TimelineInput, Timeline]):
    """Return the runs of jobs in a span, the slots that got none and why, and the coming slots."""

    name = "zato.scheduler.get-timeline"
    role = "viewer"
    scope = "own"
    lists = needs(JobLists)
    calendars = needs(Calendars)
    events = needs(EventPosition)

    async def handle(self) -> None:
        params = self.request.input
        event_id = self.events.latest or None
        page = await self._page(params)
        ids = [row.id for row in page.rows]
        lanes = await self.lists.lanes(ids, params.start, params.until)
        calendars = await self.calendars.calendars()
        self.response.payload = await offload_long(
            _timeline, page, lanes, params, calendars, event_id
        )

    async def _page(self, params: TimelineInput) -> JobPage:
        permits = visible_to(authority_of(self))
        if params.ids is not None:
            return await self.lists.some(params.ids, permits=permits)
        page = job_filter.Page(params.order, "asc", params.limit, params.offset)
        return await self.lists.page(params.filter, page, permits=permits, runs=1)


class _Scale(NamedTuple):
    """The span of a timeline, and how its instants are shown."""

    start: Instant
    until: Instant
    resolution: int

    def ms(self, instant: Instant) -> int:
        """Return the milliseconds from the start to an instant."""
        return (instant - self.start) // 1_000


def _timeline(
    page: JobPage,
    lanes: Mapping[int, Lane],
    params: TimelineInput,
    calendars: Mapping[str, Calendar],
    event_id: int | None,
) -> Timeline:
    scale = _Scale(params.start, params.until, params.resolution_ms)
    most = min(_MAX_COMING, _MAX_COMING_IN_ALL // max(1, len(page.rows)))
    reasons: dict[str, int] = {}
    facts = page.facts
    after = max(facts.now, params.start - 1) if facts.pause is None else params.until
    jobs: list[TimelineJob] = []
    for row in page.rows:
        slots = coming(planning_state(row), after, params.until - 1, calendars, most)
        lane = lanes[row.id]
        latest = page.latest.get(row.id, ())
        ranges = [
            (scale.ms(first), scale.ms(last), _CODES[outcome], count, _index(reason, reasons))
            for outcome, first, last, count, reason in _ranges(row, lane, slots, facts, scale)
        ]
        item = build(
            TimelineJob,
            row.job,
            id=row.id,
            words=describe(row.job.trigger),
            state=state_of(row, facts),
            last_outcome=latest[-1].outcome if latest else "",
            in_flight=row.in_flight,
            next_iso=iso_or_none(row.next_at),
            timezone=row.job.trigger.timezone,
            runs=[*_marks(lane.runs, facts.now, scale)],
            coming=[scale.ms(slot) for slot in slots.slots],
            density=[*_density(lane, slots, scale)],
            ranges=ranges,
        )
        jobs.append(item)
    return {
        "now_iso": iso(facts.now),
        "start_iso": iso(params.start),
        "until_iso": iso(params.until),
        "total": page.total,
        "event_id": event_id,
        "outcomes": [*OUTCOMES],
        "reasons": [*reasons],
        "jobs": jobs,
    }


def _index(reason: str, reasons: dict[str, int]) -> int:
    return reasons.setdefault(reason, len(reasons))


def _density(lane: Lane, slots: Coming, scale: _Scale) -> Iterator[Density]:
    if lane.earlier:
        yield 0, scale.ms(lane.since), lane.earlier
    for first, last, count in slots.parts:
        yield scale.ms(first), scale.ms(last), count


def _marks(runs: Sequence[TimelineRun], now: Instant, scale: _Scale) -> Iterator[Mark]:
    """Yield the runs that have begun by now; near ones with one outcome as one mark."""
    pending: tuple[int, int, int, int, int] | None = None
    for run in sorted(runs, key=_began):
        began, ended = _began(run), run.finished_at or now
        if began > now or began >= scale.until or ended < scale.start:
            continue
        start, end, code = scale.ms(began), scale.ms(max(began, ended)), _CODES[run.outcome]
        if pending is not None:
            first, last, outcome, number, count = pending
            if outcome == code and start - first < scale.resolution:
                pending = (first, max(last, end), outcome, number, count + 1)
                continue
            yield first, last - first, outcome, number, count
        pending = (start, end, code, run.number, 1)
    if pending is not None:
        first, last, outcome, number, count = pending
        yield first, last - first, outcome, number, count


def _began(run: TimelineRun) -> Instant:
    return run.slot if run.started_at is None else run.started_at


def _ranges(
    row: JobRow, lane: Lane, slots: Coming, facts: Facts, scale: _Scale
) -> Iterator[tuple[str, Instant, Instant, int, str]]:
    """Yield the slots without a run, and the pause in effect."""
    for it in lane.entries:
        yield it.outcome, it.first, it.last, it.slots, it.reason
    for each in slots.excluded:
        yield "excluded", each.first, each.last, each.count, each.reason
    if not row.job.is_active:
        first = row.paused_since or row.cursor
        note = row.job.pause_note
        last = scale.until if row.job.pause_until is None else row.job.pause_until
        yield "paused", first, last, 0, f"paused: {note}" if note else "paused"
    elif facts.pause is not None:
        note = facts.pause.note
        words = "the scheduler is paused" + (f": {note}" if note else "")
        yield "paused", facts.pause.since, scale.until, 0, words
