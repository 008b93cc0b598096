"""From a job's trigger and its calendar to the slots that count, and those that are excluded."""

from collections.abc import Iterator, Mapping

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Instant, Job, Trigger
from zato_lite.timetable.trigger import (
    count_between,
    next_after,
    previous_before,
    slots_between,
)
from zato_lite.timetable.zone import day_begins, day_of, from_wall, to_wall

LOOK_AHEAD = 3_000
"""So many days with slots are looked at, at once, for one that is open."""

_MOVED_AT_MOST = 1_440
"""Slots: of a closed stretch with more than these, none is moved to another day."""

_MOVES = {
    "skip": "",
    "next_day": "; runs on the next open day",
    "previous_day": "; runs on the open day before",
}
_DAY = 86_400 * SECOND
_LONGEST_CLOSURE = 366
"""Days: a closed stretch is followed so far, to see where its slots are moved to."""


class Part(msgspec.Struct, frozen=True, gc=False):
    """Adjacent slots with one fate.

    Attributes:
        first, last, count: which slots, and how many.
        reason: why they are excluded; None when they may run.
        is_moved: it is a single slot that was moved here, and is none of the trigger's own.
    """

    first: Instant
    last: Instant
    count: int
    reason: str | None = None
    is_moved: bool = False

    def slots(self, trigger: Trigger) -> Iterator[Instant]:
        """The slots, one by one."""
        if self.count == 1:
            return iter((self.first,))
        return slots_between(trigger, self.first - 1, self.last)

    def without_last(self, trigger: Trigger) -> "Part | None":
        """All but the last slot, or None when nothing is left."""
        before = previous_before(trigger, self.last) if self.count > 1 else None
        return (
            None
            if before is None
            else msgspec.structs.replace(self, last=before, count=self.count - 1)
        )


def own_calendar(job: Job, calendars: Mapping[str, Calendar]) -> Calendar | None:
    """The job's calendar; None when it has none, or one that is gone."""
    return None if job.calendar is None else calendars.get(job.calendar)


def raw_part(trigger: Trigger, after: Instant, until: Instant) -> Part | None:
    """All of the trigger's slots in (after, until] as one part, or None when there is none."""
    first = next_after(trigger, after)
    if first is None or first > until:
        return None
    second = next_after(trigger, first)
    if second is None or second > until:
        return Part(first, first, 1)
    last = previous_before(trigger, until + 1) or second
    return Part(first, last, count_between(trigger, after, until))


def parts(job: Job, calendar: Calendar | None, after: Instant, until: Instant) -> Iterator[Part]:
    """Every slot in (after, until] in order, in parts of one fate."""
    if calendar is None:
        part = raw_part(job.trigger, after, until)
        yield from () if part is None else (part,)
        return
    view = _View(job, calendar)
    zone = job.trigger.timezone
    day, last_day = day_of(after, zone), day_of(until, zone)
    while day <= last_day:
        stop = view.same_until(day, last_day)
        begin = max(day_begins(day, zone) - 1, after)
        end = min(day_begins(stop, zone) - 1, until)
        reason = view.why(day)
        if reason is None:
            yield from _open_parts(view, day, begin, end)
        elif part := raw_part(job.trigger, begin, end):
            yield msgspec.structs.replace(
                part, reason=f"calendar {calendar.name}: {reason}{_MOVES[job.on_excluded]}"
            )
        day = stop


def next_slot(job: Job, calendar: Calendar | None, after: Instant) -> Instant | None:
    """The first slot after a moment that may run, wherever its calendar moves it."""
    if calendar is None:
        return next_after(job.trigger, after)
    view = _View(job, calendar)
    return _next_open(view, after) if job.on_excluded == "skip" else _next_moved(view, after)


class _View:
    """One job's days, by its calendar."""

    def __init__(self, job: Job, calendar: Calendar) -> None:
        self.trigger, self._policy, self._calendar = job.trigger, job.on_excluded, calendar
        self.zone = job.trigger.timezone

    def why(self, day: int) -> str | None:
        """Why a day is excluded, or None."""
        return self._calendar.why_excluded(day)

    def same_until(self, day: int, last: int) -> int:
        """The first day after ``day`` not like it; an open day that slots move to is alone."""
        reason = self.why(day)
        stop = day + 1
        while stop <= last and self.why(stop) == reason and not self._is_edge(stop - 1, stop):
            stop += 1
        return stop

    def moved_to(self, day: int) -> list[Instant]:
        """The slots of closed days that this open day takes over, without those it has itself."""
        if self._policy == "skip":
            return []
        step = -1 if self._policy == "next_day" else 1
        closed = range(day + step, day + step * _LONGEST_CLOSURE, step)
        found: set[Instant] = set()
        for other in closed:
            if self.why(other) is None:
                break
            found.update(self._shifted(other, day))
        begin, end = day_begins(day, self.zone) - 1, day_begins(day + 1, self.zone) - 1
        own = set(slots_between(self.trigger, begin, end)) if found else set()
        return sorted(slot for slot in found - own if begin < slot <= end and self._holds(slot))

    def taken_over_by(self, day: int) -> int:
        """The earliest day on which slots of a day may run: itself, or the open one before it."""
        if self._policy == "previous_day":
            for earlier in range(day, day - _LONGEST_CLOSURE, -1):
                if self.why(earlier) is None:
                    return earlier
        return day

    def _holds(self, slot: Instant) -> bool:
        """Whether a moved slot is still between the trigger's start and end."""
        end = self.trigger.end
        return slot >= self.trigger.start and (end is None or slot < end)

    def _is_edge(self, day: int, following: int) -> bool:
        """Whether one of the two open days may take over slots of a closed neighbour."""
        if self._policy == "skip" or self.why(day) is not None:
            return False
        return self.why(day - 1) is not None or self.why(following + 1) is not None

    def _shifted(self, source: int, target: int) -> Iterator[Instant]:
        """The slots of one day at the same time of another."""
        begin, end = day_begins(source, self.zone) - 1, day_begins(source + 1, self.zone) - 1
        if count_between(self.trigger, begin, end) <= _MOVED_AT_MOST:
            for slot in slots_between(self.trigger, begin, end):
                wall = to_wall(slot, self.zone) + (target - source) * _DAY
                yield from_wall(wall, self.zone)


def _next_open(view: _View, after: Instant) -> Instant | None:
    """The first slot on an open day."""
    slot = next_after(view.trigger, after)
    for _ in range(LOOK_AHEAD):
        if slot is None or view.why(day := day_of(slot, view.zone)) is None:
            return slot
        slot = next_after(view.trigger, day_begins(day + 1, view.zone) - 1)
    return None


def _next_moved(view: _View, after: Instant) -> Instant | None:
    """The first slot of an open day, its own or taken over from a closed one."""
    own = next_after(view.trigger, after)
    day = day_of(after, view.zone)
    for _ in range(LOOK_AHEAD):
        end = day_begins(day + 1, view.zone)
        if view.why(day) is not None:
            if own is not None and own < end:
                own = next_after(view.trigger, end - 1)
            day += 1
            continue
        found = [slot for slot in view.moved_to(day) if slot > after]
        if own is not None and own < end:
            found.append(own)
        if found:
            return min(found)
        if own is None:
            return None
        day = max(day + 1, view.taken_over_by(day_of(own, view.zone)))
    return None


def _open_parts(view: _View, day: int, begin: Instant, end: Instant) -> Iterator[Part]:
    """The parts of open days: the trigger's own slots, with those moved here in between."""
    trigger = view.trigger
    for slot in view.moved_to(day):
        if begin < slot <= end:
            if part := raw_part(trigger, begin, slot):
                yield part
            yield Part(slot, slot, 1, is_moved=True)
            begin = slot
    if part := raw_part(trigger, begin, end):
        yield part
