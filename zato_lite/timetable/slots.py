"""Slots of a job: its trigger's slots, with those excluded or moved by its calendar."""

from collections.abc import Iterator, Mapping

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import DAY, Instant, Job, Trigger
from zato_lite.timetable.job_plan import Entry, EntryOutcome
from zato_lite.timetable.trigger import count_between, next_after, previous_before, slots_between
from zato_lite.timetable.zone import day_begins, day_of, from_wall, to_wall

SEARCH_DAYS = 3_000
"""Days with slots that one search for a slot on an open day examines; then it gives up."""

_MAX_MOVED = 1_440
"""Slots of one excluded day that may be moved; of a day with more, none is moved."""

_MAX_CLOSURE = 366
"""Days in a row that may be excluded for their slots to be moved; others stay excluded."""

_MOVES = {
    "skip": "",
    "next_day": "; runs on the next open day",
    "previous_day": "; runs on the open day before",
}


class SlotRange(msgspec.Struct, frozen=True, gc=False):
    """Adjacent slots that are all excluded for one reason, or may all run.

    Attributes:
        first, last, count: which slots, and the number of them.
        reason: why they are excluded; None when they may run.
        is_moved: a single slot that was moved here and is not one of the trigger's own.
    """

    first: Instant
    last: Instant
    count: int
    reason: str | None = None
    is_moved: bool = False

    def slots(self, trigger: Trigger) -> Iterator[Instant]:
        """Iterate over the slots."""
        if self.count == 1:
            return iter((self.first,))
        return slots_between(trigger, self.first - 1, self.last)

    def without_last(self, trigger: Trigger) -> "SlotRange | None":
        """Return all but the last slot, or None when none is left."""
        before = previous_before(trigger, self.last) if self.count > 1 else None
        if before is None:
            return None
        return msgspec.structs.replace(self, last=before, count=self.count - 1)

    def entry(self, outcome: EntryOutcome, reason: str) -> Entry:
        """Return the ledger entry for these slots."""
        return Entry(outcome, self.first, self.last, self.count, reason)


def calendar_of(job: Job, calendars: Mapping[str, Calendar]) -> Calendar | None:
    """Return the job's calendar; None if the job names none or it no longer exists."""
    return None if job.calendar is None else calendars.get(job.calendar)


def trigger_range(trigger: Trigger, after: Instant, until: Instant) -> SlotRange | None:
    """Return all of the trigger's slots in (after, until] as one range; None if there are none."""
    first = next_after(trigger, after)
    if first is None or first > until:
        return None
    second = next_after(trigger, first)
    if second is None or second > until:
        return SlotRange(first, first, 1)
    last = previous_before(trigger, until + 1) or second
    return SlotRange(first, last, count_between(trigger, after, until))


def slot_ranges(
    job: Job, calendar: Calendar | None, after: Instant, until: Instant
) -> Iterator[SlotRange]:
    """Iterate over all slots in (after, until], in order, as ranges."""
    if calendar is None:
        slots = trigger_range(job.trigger, after, until)
        yield from () if slots is None else (slots,)
        return
    days = _Days(job, calendar)
    zone = job.trigger.timezone
    day, last_day = day_of(after, zone), day_of(until, zone)
    while day <= last_day:
        stop = days.end_of_streak(day, last_day)
        begin = max(day_begins(day, zone) - 1, after)
        end = min(day_begins(stop, zone) - 1, until)
        reason = days.why_excluded(day)
        if reason is None:
            yield from _open_ranges(days, day, begin, end)
        elif slots := trigger_range(job.trigger, begin, end):
            yield msgspec.structs.replace(
                slots, reason=f"calendar {calendar.name}: {reason}{_MOVES[job.on_excluded]}"
            )
        day = stop


def next_slot(job: Job, calendar: Calendar | None, after: Instant) -> Instant | None:
    """Return the first slot after an instant that may run, including moved slots."""
    if calendar is None:
        return next_after(job.trigger, after)
    days = _Days(job, calendar)
    return _next_open(days, after) if job.on_excluded == "skip" else _next_moved(days, after)


class _Days:
    """One job's days: open, or excluded by its calendar."""

    def __init__(self, job: Job, calendar: Calendar) -> None:
        self.trigger, self._policy = job.trigger, job.on_excluded
        self.zone = job.trigger.timezone
        self.why_excluded = calendar.why_excluded

    def end_of_streak(self, day: int, last: int) -> int:
        """Return the first day after ``day`` that is treated differently.

        An open day that may take over slots of an excluded one is a streak alone.
        """
        reason = self.why_excluded(day)
        stop = day + 1
        while (
            stop <= last
            and self.why_excluded(stop) == reason
            and not self._may_take_over(stop - 1, stop)
        ):
            stop += 1
        return stop

    def moved_to(self, day: int) -> list[Instant]:
        """Return slots of excluded days that run on this open day, unless it has them itself."""
        if self._policy == "skip":
            return []
        step = -1 if self._policy == "next_day" else 1
        found: set[Instant] = set()
        for excluded in range(day + step, day + step * _MAX_CLOSURE, step):
            if self.why_excluded(excluded) is None:
                break
            found.update(self._shifted(excluded, day))
        begin, end = day_begins(day, self.zone) - 1, day_begins(day + 1, self.zone) - 1
        own = set(slots_between(self.trigger, begin, end)) if found else set()
        return sorted(slot for slot in found - own if begin < slot <= end and self._is_valid(slot))

    def earliest_target(self, day: int) -> int:
        """Return the earliest day on which the slots of ``day`` may run."""
        if self._policy == "previous_day":
            for earlier in range(day, day - _MAX_CLOSURE, -1):
                if self.why_excluded(earlier) is None:
                    return earlier
        return day

    def _is_valid(self, slot: Instant) -> bool:
        """Return True if a moved slot is still between the trigger's start and end."""
        end = self.trigger.end
        return slot >= self.trigger.start and (end is None or slot < end)

    def _may_take_over(self, day: int, following: int) -> bool:
        """Return True if one of two open days may take over slots of an excluded neighbour."""
        if self._policy == "skip" or self.why_excluded(day) is not None:
            return False
        return self.why_excluded(day - 1) is not None or (
            self.why_excluded(following + 1) is not None
        )

    def _shifted(self, source: int, target: int) -> Iterator[Instant]:
        """Iterate over the slots of one day, moved to the same time of another."""
        begin, end = day_begins(source, self.zone) - 1, day_begins(source + 1, self.zone) - 1
        if count_between(self.trigger, begin, end) <= _MAX_MOVED:
            for slot in slots_between(self.trigger, begin, end):
                wall = to_wall(slot, self.zone) + (target - source) * DAY
                yield from_wall(wall, self.zone)


def _next_open(days: _Days, after: Instant) -> Instant | None:
    """Return the first slot on an open day."""
    slot = next_after(days.trigger, after)
    for _ in range(SEARCH_DAYS):
        if slot is None or days.why_excluded(day := day_of(slot, days.zone)) is None:
            return slot
        slot = next_after(days.trigger, day_begins(day + 1, days.zone) - 1)
    return None


def _next_moved(days: _Days, after: Instant) -> Instant | None:
    """Return the first slot on an open day, its own or moved there from an excluded day."""
    own = next_after(days.trigger, after)
    day = day_of(after, days.zone)
    for _ in range(SEARCH_DAYS):
        end = day_begins(day + 1, days.zone)
        if days.why_excluded(day) is not None:
            if own is not None and own < end:
                own = next_after(days.trigger, end - 1)
            day += 1
            continue
        found = [slot for slot in days.moved_to(day) if slot > after]
        if own is not None and own < end:
            found.append(own)
        if found:
            return min(found)
        if own is None:
            return None
        day = max(day + 1, days.earliest_target(day_of(own, days.zone)))
    return None


def _open_ranges(days: _Days, day: int, begin: Instant, end: Instant) -> Iterator[SlotRange]:
    """Iterate over the ranges of open days: the trigger's own slots and, in order, moved ones."""
    trigger = days.trigger
    for slot in days.moved_to(day):
        if begin < slot <= end:
            if slots := trigger_range(trigger, begin, slot):
                yield slots
            yield SlotRange(slot, slot, 1, is_moved=True)
            begin = slot
    if slots := trigger_range(trigger, begin, end):
        yield slots
