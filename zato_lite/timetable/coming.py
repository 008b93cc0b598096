"""Coming slots of a job in a span of time: each one, or their number in parts of the span."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain, islice
from typing import NamedTuple

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Interval, OneTime, Trigger
from zato_lite.timetable.job_plan import Entry, JobState
from zato_lite.timetable.slots import SlotRange, calendar_of, slot_ranges

_PARTS = 48
"""Parts in which the slots are counted if they are too many to be listed."""


class Part(NamedTuple):
    """A part (first, last] of a span, and the number of its slots."""

    first: Instant
    last: Instant
    slots: int


class Coming(NamedTuple):
    """The slots of a job that will run, and those that its calendar excludes.

    Attributes:
        slots: all of them; empty if they are too many.
        parts: their number by time, if they are too many.
        excluded: slots without a run.
    """

    slots: tuple[Instant, ...] = ()
    parts: tuple[Part, ...] = ()
    excluded: tuple[Entry, ...] = ()


def coming(
    state: JobState,
    after: Instant,
    until: Instant,
    calendars: Mapping[str, Calendar],
    most: int,
) -> Coming:
    """Return the slots of a job in (after, until]; none of them during its pause.

    Args:
        state: the job.
        after: the beginning of the span.
        until: its end.
        calendars: all calendars, by name.
        most: the number of slots that are listed at most; of more, only their numbers are.
    """
    job = state.job
    if not job.is_active:
        if job.pause_until is None:
            return Coming()
        after = max(after, job.pause_until - 1)
    if until <= after:
        return Coming()
    if isinstance(job.trigger, OneTime):
        return Coming((job.trigger.start,) if after < job.trigger.start <= until else ())
    calendar = calendar_of(job, calendars)
    ranges = [*slot_ranges(job, calendar, after, until)]
    excluded = tuple(
        Entry("excluded", each.first, each.last, each.count, each.reason)
        for each in ranges
        if each.reason is not None
    )
    open_ranges = [each for each in ranges if each.reason is None]
    if sum(each.count for each in open_ranges) <= most:
        return Coming(tuple(_slots(state, open_ranges)), (), excluded)
    parts = []
    for number in range(_PARTS):
        first, last = (after + (until - after) * edge // _PARTS for edge in (number, number + 1))
        found = slot_ranges(job, calendar, first, last)
        if count := sum(each.count for each in found if each.reason is None):
            parts.append(Part(first, last, count))
    return Coming((), tuple(parts), excluded)


def _slots(state: JobState, ranges: Iterable[SlotRange]) -> Iterator[Instant]:
    """Iterate over the slots of open ranges, without skipped ones, as far as repeats allow."""
    job = state.job
    left = None if job.repeats is None else max(0, job.repeats - state.started)
    slots = chain.from_iterable(slots_of(job.trigger, each) for each in ranges)
    return islice(slots, job.skip_next, None if left is None else job.skip_next + left)


def slots_of(trigger: Trigger, slots: SlotRange) -> Iterable[Instant]:
    """Return the slots of a range; those of an interval are not computed one by one."""
    if isinstance(trigger, Interval) and not slots.is_moved:
        return range(slots.first, slots.last + 1, trigger.period)
    return slots.slots(trigger)
