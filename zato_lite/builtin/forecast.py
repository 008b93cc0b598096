"""Forecast: the load of the coming days, and what can be done about its peaks."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Annotated, NamedTuple, TypedDict

from msgspec import Meta

from zato_lite.builtin.input import Moment, in_calendar
from zato_lite.builtin.job_filter import JobFilterInput
from zato_lite.builtin.output import iso
from zato_lite.builtin.permissions import authority_of, visible_to
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError, FieldError
from zato_lite.scheduler.calendars import Calendars
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.job_lists import JobLists, KnownDurations
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.service.offload import offload_long
from zato_lite.store.job_figures import percentile
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.describe import describe
from zato_lite.timetable.forecast import (
    MINUTE,
    Collision,
    ForecastJob,
    Overlap,
    find_collisions,
    forecast,
    proposals,
)
from zato_lite.timetable.job import DAY, SECOND, Instant
from zato_lite.timetable.zone import BLOCK, day_of, stretches, to_datetime, to_text

MAX_JOBS = 20_000
"""Jobs that a forecast has at most."""

_HOUR = 60
_MAX_NAMES = 20
_MAX_COLLISIONS = 10


class ForecastInput(JobFilterInput, forbid_unknown_fields=True, kw_only=True):
    """Jobs, and days from an hour on, which is the present one by default."""

    start: Moment | None = None
    days: Annotated[int, Meta(ge=1, le=14)] = 7
    bucket_minutes: Annotated[int, Meta(ge=5, le=1_440)] = 60
    limit: Annotated[int, Meta(ge=1, le=200)] = 50


class OverlapItem(TypedDict):
    """A job; a ``share`` of its latest runs took longer than ``period_ms``, between two slots."""

    job_id: int
    job_name: str
    period_ms: float
    p50_ms: float | None
    p95_ms: float | None
    share: float
    on_overlap: str
    sentence: str


class CollidingJob(TypedDict):
    """A job that starts together with others."""

    id: int
    name: str


# A field's name is a keyword.
ProposalItem = TypedDict(
    "ProposalItem",
    {
        "job_id": int,
        "job_name": str,
        "version": int,
        "field": str,
        "from": str | int,
        "to": str | int,
    },
)
"""A change that ``zato.scheduler.job.edit`` makes with ``id``, ``version`` and the field."""


class CollisionItem(TypedDict):
    """Jobs that start in the same minute of every hour, or of a day; ``jobs`` has some of them."""

    at: str
    count: int
    jobs: list[CollidingJob]
    proposal: list[ProposalItem]
    sentence: str


class ClockChangeItem(TypedDict):
    """A clock change in a time zone of jobs."""

    at_iso: str
    timezone: str
    shift_ms: float
    jobs: int
    sentence: str


class DayOffItem(TypedDict):
    """A day that a calendar of jobs excludes."""

    date: str
    calendar: str
    reason: str
    jobs: int


class ForecastItem(TypedDict):
    """Expected load by part of ``bucket_ms``.

    ``unknown`` jobs have not run yet, and count without duration; ``left_out`` jobs are beyond the
    maximum of a forecast. ``capacity`` is that of all nodes.
    """

    now_iso: str
    start_iso: str
    until_iso: str
    bucket_ms: float
    jobs: int
    unknown: int
    left_out: int
    capacity: int
    runs: list[float]
    concurrent: list[float]
    peak: list[float]
    over_capacity: list[int]
    overlapping: list[OverlapItem]
    collisions: list[CollisionItem]
    clock_changes: list[ClockChangeItem]
    days_off: list[DayOffItem]


class GetForecast(Service[ForecastInput, ForecastItem]):
    """Return the load that schedules will make, from the durations that runs have had."""

    name = "zato.scheduler.get-forecast"
    role = "viewer"
    scope = "own"
    lists = needs(JobLists)
    jobs = needs(JobCommands)
    calendars = needs(Calendars)
    clock = needs(Clock)

    async def handle(self) -> None:
        params, now = self.request.input, self.clock.now()
        start = now if params.start is None else params.start
        span = _Span(now, start - start % (_HOUR * MINUTE), params)
        _require_dates(span)
        permits = visible_to(authority_of(self))
        found = await self.lists.with_durations(params.filter, MAX_JOBS, permits=permits)
        calendars = await self.calendars.calendars()
        nodes = len(await self.jobs.nodes())
        answer = await offload_long(
            _forecast, span, found, calendars, self.lists.capacity * max(1, nodes)
        )
        self.response.payload = answer


class _Span(NamedTuple):
    """The span of a forecast."""

    now: Instant
    start: Instant
    params: ForecastInput

    @property
    def until(self) -> Instant:
        """Return the end of the span."""
        return self.start + self.params.days * DAY


def _require_dates(span: _Span) -> None:
    """Refuse a span whose end has no date.

    Raises:
        BadInputError: names ``start``.
    """
    try:
        in_calendar(span.until)
    except ValueError as error:
        start = iso(span.start)
        words = f"start: {start} plus {span.params.days} days is too late; end at {error}"
        raise BadInputError.of([FieldError("start", start, words)]) from error


def _forecast(
    span: _Span, known: KnownDurations, calendars: Mapping[str, Calendar], capacity: int
) -> ForecastItem:
    start, params, jobs = span.start, span.params, known.jobs
    minutes, width = params.days * DAY // MINUTE, params.bucket_minutes
    found = forecast(jobs, start, minutes, width, calendars)
    collisions = find_collisions(found.groups, start)
    overlaps = sorted(found.overlaps, key=lambda each: -each.share)
    active = [job for job in jobs if job.state.job.is_active]
    return {
        "now_iso": iso(span.now),
        "start_iso": iso(start),
        "until_iso": iso(span.until),
        "bucket_ms": width * MINUTE / 1_000,
        "jobs": len(jobs),
        "unknown": sum(not job.took for job in active),
        "left_out": known.total - len(jobs),
        "capacity": capacity,
        "over_capacity": [at for at, peak in enumerate(found.load.peak) if peak > capacity],
        "runs": [round(each, 2) for each in found.load.runs],
        "concurrent": [round(each, 3) for each in found.load.concurrent],
        "peak": [round(each, 2) for each in found.load.peak],
        "overlapping": [_overlap_item(each) for each in overlaps[: params.limit]],
        "collisions": [
            _collision_item(each, known.versions, params.limit)
            for each in collisions[:_MAX_COLLISIONS]
        ],
        "clock_changes": [*_clock_changes(active, span)],
        "days_off": [*_days_off(active, span, calendars)],
    }


def _overlap_item(overlap: Overlap) -> OverlapItem:
    job, took = overlap.job.state.job, overlap.job.took
    p50, p95 = percentile(took, 0.5), percentile(took, 0.95)
    percent = round(overlap.share * 100)
    return {
        "job_id": overlap.job.state.id,
        "job_name": job.name,
        "period_ms": overlap.gap / 1_000,
        "p50_ms": None if p50 is None else p50 / 1_000,
        "p95_ms": None if p95 is None else p95 / 1_000,
        "share": overlap.share,
        "on_overlap": job.on_overlap,
        "sentence": f"{percent} % of the latest runs took longer than the time between two slots:"
        f" {describe(job.trigger)}",
    }


def _collision_item(
    collision: Collision, versions: Mapping[int, int], limit: int
) -> CollisionItem:
    count, minute = len(collision.jobs), collision.minute
    at = f"{minute // _HOUR:02}:{minute % _HOUR:02} UTC"
    if collision.is_hourly:
        at = f"minute {minute} of every hour"
    named: list[CollidingJob] = [
        {"id": job.state.id, "name": job.state.job.name} for job in collision.jobs[:_MAX_NAMES]
    ]
    proposed: list[ProposalItem] = [
        {
            "job_id": it.job.state.id,
            "job_name": it.job.state.job.name,
            "version": versions[it.job.state.id],
            "field": it.field,
            "from": it.before,
            "to": it.after,
        }
        for it in islice(proposals(collision.jobs), limit)
    ]
    return {
        "at": at,
        "count": count,
        "jobs": named,
        "proposal": proposed,
        "sentence": f"{count} jobs start together at {at}",
    }


def _clock_changes(jobs: Sequence[ForecastJob], span: _Span) -> Iterator[ClockChangeItem]:
    zones = Counter(job.state.job.trigger.timezone for job in jobs)
    first, stop = span.start // SECOND, span.until // SECOND
    for zone, number in sorted((zone, n) for zone, n in zones.items() if zone is not None):
        for block in range(first // BLOCK, stop // BLOCK + 1):
            for stretch in stretches(zone, block):
                shift = stretch.offset - stretch.before
                if not shift or not first < stretch.begin < stop:
                    continue
                at = stretch.begin * SECOND
                which = "forward" if shift > 0 else "back"
                clock = to_text(at, zone)
                yield {
                    "at_iso": iso(at),
                    "timezone": zone,
                    "shift_ms": shift * 1_000,
                    "jobs": number,
                    "sentence": f"the clock goes {which} to {clock}",
                }


def _days_off(
    jobs: Sequence[ForecastJob], span: _Span, calendars: Mapping[str, Calendar]
) -> Iterator[DayOffItem]:
    used = Counter(job.state.job.calendar for job in jobs)
    days = range(day_of(span.start, None), day_of(span.until - 1, None) + 1)
    for day in days:
        for name, number in sorted((name, n) for name, n in used.items() if name in calendars):
            reason = calendars[str(name)].why_excluded(day)
            if reason is not None:
                date = to_datetime(day * DAY).date().isoformat()
                yield {"date": date, "calendar": str(name), "reason": reason, "jobs": number}
