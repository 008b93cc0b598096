"""Forecast: the load that schedules will make, from the durations that runs have had. Pure.

Jobs with the same slots, to the minute, are one group: its slots are visited once, however many
jobs it has.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import accumulate, pairwise
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.coming import coming
from zato_lite.timetable.cron import has_hash
from zato_lite.timetable.job import SECOND, Cron, Instant, Interval, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.trigger import count_between, next_after

MINUTE = 60 * SECOND
"""Microseconds of the smallest part of a span."""

LOOKBACK = 24 * 60
"""Minutes before the span whose runs may reach into it."""

MAX_VISITED = 600_000
"""Slots that are visited one by one at most; further groups count as spread evenly."""

_ALL = 10**12


class ForecastJob(NamedTuple):
    """A job, and the durations of its latest runs in microseconds; none if it has not run."""

    state: JobState
    took: Sequence[int]


class Share(NamedTuple):
    """The part of a job's slots that get a run, and how long that is in flight.

    Attributes:
        runs: runs by slot, 1 if no run takes longer than the time to the next slot.
        duration: mean microseconds of a run.
        overlapping: the part of the runs that take longer than the time to the next slot.
    """

    runs: float
    duration: float
    overlapping: float = 0.0


class Slots(NamedTuple):
    """The slots of a group.

    Attributes:
        minutes: the minute of each, counted from ``LOOKBACK`` before the span.
        every: slots by minute, if they are too many to be visited.
        gap: least microseconds between two of them; 0 if unknown.
        is_whole: each is at the begin of its minute.
    """

    minutes: Sequence[int] = ()
    every: float = 0.0
    gap: int = 0
    is_whole: bool = False


class Group:
    """Jobs with the same slots, and what they do at each of them."""

    def __init__(self, slots: Slots) -> None:
        self.slots = slots
        self.jobs: list[ForecastJob] = []
        self.runs = 0.0
        self.together = 0.0
        self.apart = 0.0
        self.lasting: dict[int, float] = {}

    def add(self, job: ForecastJob, share: Share) -> None:
        """Add a job."""
        self.jobs.append(job)
        runs, took = share.runs, share.duration
        jitter = job.state.job.jitter_ms * 1_000
        self.runs += runs
        if self.slots.is_whole and not jitter:
            self.together += runs
        else:
            self.apart += runs * min(1.0, took / max(jitter, MINUTE))
        length = max(1, -(-int(took) // MINUTE))
        self.lasting[length] = self.lasting.get(length, 0.0) + runs * took / (length * MINUTE)


class Load(NamedTuple):
    """Load by part of the span.

    Attributes:
        runs: expected runs that start. concurrent: expected mean of runs in flight.
        peak: expected runs in flight at the busiest minute.
    """

    runs: Sequence[float]
    concurrent: Sequence[float]
    peak: Sequence[float]


class Overlap(NamedTuple):
    """A job whose runs take longer than the time to the next slot."""

    job: ForecastJob
    gap: int
    share: float


class Forecast(NamedTuple):
    """The load of a span, and the groups that make it."""

    load: Load
    groups: Sequence[Group]
    overlaps: Sequence[Overlap]


def forecast(
    jobs: Iterable[ForecastJob],
    start: Instant,
    minutes: int,
    width: int,
    calendars: Mapping[str, Calendar],
) -> Forecast:
    """Return the load of ``minutes`` from ``start`` on, in parts of ``width`` minutes."""
    begin, length = start - LOOKBACK * MINUTE, LOOKBACK + minutes
    groups: dict[Any, Group] = {}
    overlaps = []
    visited = 0
    for job in jobs:
        key = _key(job.state, begin)
        group = groups.get(key)
        if group is None:
            left = MAX_VISITED - visited
            group = groups[key] = Group(_slots(job.state, begin, length, calendars, left))
            visited += len(group.slots.minutes)
        share = share_of(job.state.job, job.took, group.slots.gap)
        group.add(job, share)
        if share.overlapping:
            overlaps.append(Overlap(job, group.slots.gap, share.overlapping))
    found = [group for group in groups.values() if group.slots.minutes or group.slots.every]
    return Forecast(_load(found, length, width), found, overlaps)


def share_of(job: Job, took: Sequence[int], gap: int) -> Share:
    """Return the part of a job's slots that get a run, by its policy for overlaps."""
    if not took:
        return Share(1.0, 0.0)
    mean = sum(took) / len(took)
    if not gap or max(took) <= gap:
        return Share(1.0, mean)
    overlapping = sum(each > gap for each in took) / len(took)
    limit = job.max_parallel or (None if job.on_overlap == "allow" else 1)
    if job.on_overlap == "cancel_running":
        return Share(1.0, sum(min(each, gap) for each in took) / len(took), overlapping)
    if limit is None:
        return Share(1.0, mean, overlapping)
    if job.on_overlap == "skip" and limit == 1:
        slots = sum(max(1, -(-each // gap)) for each in took) / len(took)
        return Share(1 / slots, mean, overlapping)
    return Share(min(1.0, limit * gap / mean), mean, overlapping)


def _key(state: JobState, begin: Instant) -> Any:
    """Return a key that jobs with the same slots share, to the minute."""
    job = state.job
    trigger = job.trigger
    if (
        isinstance(trigger, OneTime)
        or job.repeats is not None
        or job.skip_next
        or trigger.end is not None
        or trigger.start > begin
        or not job.is_active
    ):
        return state.id
    calendar = (job.calendar, job.on_excluded) if job.calendar else None
    if isinstance(trigger, Interval):
        first = next_after(trigger, begin)
        phase = 0 if first is None else (first - begin) // MINUTE
        is_whole = first is not None and first % MINUTE == 0
        return (trigger.period, phase, is_whole, calendar, trigger.timezone if calendar else None)
    seed = trigger.seed if has_hash(trigger.expression) else ""
    return (replace(trigger, start=0, seed=seed), calendar)


def _slots(
    state: JobState, begin: Instant, length: int, calendars: Mapping[str, Calendar], left: int
) -> Slots:
    """Return the slots of a job in the minutes from ``begin`` on."""
    job, until = state.job, begin + length * MINUTE - 1
    trigger = job.trigger
    gap = trigger.period if isinstance(trigger, Interval) else 0
    number = count_between(trigger, begin - 1, until)
    if not number or (not job.is_active and job.pause_until is None):
        return Slots()
    if number > min(left, 2 * length):
        return Slots(every=number / length, gap=gap or length * MINUTE // number)
    after = begin - 1
    if job.repeats is not None or job.skip_next:  # they count from the present on
        after = max(after, state.cursor)
    slots = coming(state, after, until, calendars, _ALL).slots
    if not gap:
        gap = min((later - slot for slot, later in pairwise(slots)), default=0)
    is_whole = all(slot % MINUTE == 0 for slot in slots[:3])
    return Slots([(slot - begin) // MINUTE for slot in slots], 0.0, gap, is_whole)


def _load(groups: Sequence[Group], length: int, width: int) -> Load:
    """Return the load by parts of the span, which begins after ``LOOKBACK``."""
    starts, bursts = [0.0] * length, [0.0] * length
    changes, own = [0.0] * (length + 1), [0.0] * length
    everywhere = base = 0.0
    for group in groups:
        slots, runs = group.slots, group.runs
        if slots.every:
            everywhere += slots.every * runs
            base += slots.every * sum(size * weight for size, weight in group.lasting.items())
        burst, at_start = group.together + group.apart, sum(group.lasting.values())
        for minute in slots.minutes:
            starts[minute] += runs
            bursts[minute] += burst
            own[minute] += at_start
            changes[minute] += at_start
        for size, weight in group.lasting.items():
            for minute in slots.minutes:
                changes[min(minute + size, length)] -= weight
    busy = [*accumulate(changes[:length])]
    parts = range(LOOKBACK, length, width)
    return Load(
        [sum(starts[at : at + width]) + everywhere * min(width, length - at) for at in parts],
        [sum(busy[at : at + width]) / min(width, length - at) + base for at in parts],
        [
            base + max(busy[m] - own[m] + bursts[m] for m in range(at, min(at + width, length)))
            for at in parts
        ],
    )


# Collisions


class Collision(NamedTuple):
    """Jobs that start in the same minute, of every hour or of every day.

    Attributes:
        minute: of the hour, or of the day in UTC.
        is_hourly: in every hour.
    """

    minute: int
    is_hourly: bool
    jobs: Sequence[ForecastJob]


_DAY = 24 * 60
_HOUR = 60


def find_collisions(groups: Iterable[Group], start: Instant, least: int = 5) -> list[Collision]:
    """Return the minutes in which at least ``least`` jobs start together, the fullest first."""
    hourly: dict[int, list[ForecastJob]] = {}
    daily: dict[int, list[ForecastJob]] = {}
    base = (start // MINUTE - LOOKBACK) % _DAY
    for group in groups:
        if not group.together:
            continue
        clock = {(base + minute) % _DAY for minute in group.slots.minutes}
        places = hourly
        minutes = {minute % _HOUR for minute in clock}
        if len(clock) < len(minutes) * 24:
            places, minutes = daily, clock
        members = [job for job in group.jobs if not job.state.job.jitter_ms]
        for minute in minutes:
            places.setdefault(minute, []).extend(members)
    found = [
        *(Collision(minute, True, jobs) for minute, jobs in hourly.items()),
        *(Collision(minute, False, jobs) for minute, jobs in daily.items()),
    ]
    return sorted(
        (each for each in found if len(each.jobs) >= least), key=lambda each: -len(each.jobs)
    )


class Proposal(NamedTuple):
    """A change of a job's definition that moves its slots apart from those of others."""

    job: ForecastJob
    field: str
    before: Any
    after: Any


_MOST_JITTER_MS = 300_000
_FIVE, _SIX = 5, 6
_MACROS = {"@hourly": "0 * * * *", "@daily": "0 0 * * *", "@midnight": "0 0 * * *"}


def proposals(jobs: Iterable[ForecastJob]) -> Iterator[Proposal]:
    """Yield a change for each job that can be moved: ``H`` for its minute, or a jitter."""
    for job in jobs:
        trigger = job.state.job.trigger
        if isinstance(trigger, Cron) and (expression := spread(trigger.expression)):
            yield Proposal(job, "cron_definition", trigger.expression, expression)
        elif isinstance(trigger, Interval) and trigger.period >= 10 * MINUTE:
            jitter = min(trigger.period // 4 // 1_000, _MOST_JITTER_MS)
            yield Proposal(job, "jitter_ms", 0, jitter)


def spread(expression: str) -> str | None:
    """Return a cron expression with ``H`` for its fixed minute; None if it has none."""
    fields = _MACROS.get(expression.strip().lower(), expression).split()
    place = {_FIVE: 0, _SIX: 1}.get(len(fields))
    if place is None or not fields[place].isdigit():
        return None
    fields[place] = "H"
    return " ".join(fields)
