"""Coming slots of a job in a span of time: each one, or their number in parts of the span."""

from collections.abc import Iterator, Mapping
from itertools import islice, takewhile
from typing import NamedTuple

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Interval, OneTime
from zato_lite.timetable.job_plan import Entry, JobState
from zato_lite.timetable.slots import calendar_of, slot_ranges
from zato_lite.timetable.trigger import next_after, slots_between
from zato_lite.timetable.upcoming import upcoming_slots

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
    if sum(each.count for each in ranges if each.reason is None) <= most:
        return Coming(tuple(_slots(state, after, until, calendars)), (), excluded)
    parts = []
    for number in range(_PARTS):
        first, last = (after + (until - after) * edge // _PARTS for edge in (number, number + 1))
        found = slot_ranges(job, calendar, first, last)
        if count := sum(each.count for each in found if each.reason is None):
            parts.append(Part(first, last, count))
    return Coming((), tuple(parts), excluded)


def _slots(
    state: JobState, after: Instant, until: Instant, calendars: Mapping[str, Calendar]
) -> Iterator[Instant]:
    job = state.job
    if job.calendar is None and not job.skip_next:
        left = None if job.repeats is None else max(0, job.repeats - state.started)
        return islice(_plain_slots(state, after, until), left)
    slots = upcoming_slots(job, calendars, state, after)
    return takewhile(lambda slot: slot <= until, slots)


def _plain_slots(state: JobState, after: Instant, until: Instant) -> Iterator[Instant]:
    trigger = state.job.trigger
    if not isinstance(trigger, Interval):
        return slots_between(trigger, after, until)
    first = next_after(trigger, after)
    if first is None:
        return iter(())
    stop = until + 1 if trigger.end is None else min(until + 1, trigger.end)
    return iter(range(first, stop, trigger.period))
