"""Backfill: slots that a trigger would have had before its start or after its end."""

from typing import NamedTuple

from msgspec.structs import replace

from zato_lite.timetable import cron
from zato_lite.timetable.job import Instant, Interval, OneTime, Trigger
from zato_lite.timetable.trigger import count_between, next_after, previous_before
from zato_lite.timetable.zone import to_text


def without_bounds(trigger: Trigger, first: Instant) -> Trigger:
    """Return the trigger as if it had started by ``first`` and had no end; its grid stays."""
    if isinstance(trigger, OneTime):
        return trigger
    period = trigger.period if isinstance(trigger, Interval) else cron.every(trigger.expression)
    start = min(trigger.start, first)
    if period:
        start = trigger.start - -(-max(trigger.start - first, 0) // period) * period
    return replace(trigger, start=start, end=None)


class Span(NamedTuple):
    """Slots of a trigger: the first, the last and the number of them."""

    first: Instant | None
    last: Instant | None
    number: int


def backfilled(trigger: Trigger, first: Instant, last: Instant) -> Span:
    """Return the slots of [first, last], without an iteration over them."""
    count = count_between(trigger, first - 1, last)
    if not count:
        return Span(None, None, 0)
    return Span(next_after(trigger, first - 1), previous_before(trigger, last + 1), count)


def left_out_words(trigger: Trigger, first: Instant, last: Instant) -> str:
    """Say why slots of [first, last] are none of the trigger's, and how many; empty if none is."""
    zone = trigger.timezone
    if isinstance(trigger, OneTime):
        return (
            ""
            if first <= trigger.start <= last
            else f"its only slot is {to_text(trigger.start, zone)}"
        )
    wide = without_bounds(trigger, first)
    reasons = []
    if before := count_between(wide, first - 1, min(last, trigger.start - 1)):
        reasons.append(f"{_slots(before)} before the job's start, {to_text(trigger.start, zone)}")
    if trigger.end is not None and (
        after := count_between(wide, max(first, trigger.end) - 1, last)
    ):
        end = to_text(trigger.end, zone)
        reasons.append(f"{_slots(after)} at or after the job's end, {end}")
    if reasons:
        return f"left out: {' and '.join(reasons)}; `force` runs them too"
    if count_between(trigger, first - 1, last):
        return ""
    return f"the schedule has no slot from {to_text(first, zone)} to {to_text(last, zone)}"


def _slots(count: int) -> str:
    return f"{count} slot{'s' * (count > 1)}"
