"""Preview: the next slots of a job, or all slots of several jobs between two instants."""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice, takewhile
from typing import Literal

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import first_due
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import DAY, Instant, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.slots import SlotRange, calendar_of, next_slot, slot_ranges
from zato_lite.timetable.trigger import clock_effects, next_after
from zato_lite.timetable.zone import day_begins, day_of

YEAR_DAYS = 366
"""Days that a search for remarkable slots covers."""

_MAX_LEFT = 1_000
"""Runs that are left to a job with ``repeats`` up to which each of its slots is examined."""


NoteCode = Literal["clock_gap", "clock_fold", "excluded", "moved", "skipped_on_request"]


class Note(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """A note on a slot, or on slots that are left out before it.

    Attributes:
        text: the note in a sentence.
        wall: the wall time that does not exist or comes twice.
        first, last, count: the slots that are left out.
        reason: why these are excluded.
    """

    code: NoteCode
    text: str
    wall: str = ""
    first: Instant | None = None
    last: Instant | None = None
    count: int = 0
    reason: str = ""


class Upcoming(msgspec.Struct, frozen=True):
    """A future slot.

    Attributes:
        slot: the trigger's instant. at: the same with its jitter.
        notes: on the slot, and on those left out before it.
        name: the job's name.
    """

    slot: Instant
    at: Instant
    notes: tuple[Note, ...] = ()
    name: str = ""

    @property
    def remarks(self) -> tuple[str, ...]:
        """The notes in sentences."""
        return tuple(note.text for note in self.notes)


def upcoming(
    job: Job,
    after: Instant,
    n: int,
    calendars: Mapping[str, Calendar] | None = None,
    state: JobState | None = None,
) -> list[Upcoming]:
    """Return the next ``n`` slots after an instant that will run; a pause is ignored.

    Without ``state`` the job is treated as new. An overdue slot of a one-time job is included.
    """
    if state is None:
        state = JobState(0, job, first_due(job, after)[0])
    elif not isinstance(job.trigger, OneTime):
        state = msgspec.structs.replace(state, cursor=max(state.cursor, after))
    return list(islice(_coming(job, calendars or {}, state), n))


def remarkable(
    job: Job,
    after: Instant,
    n: int,
    calendars: Mapping[str, Calendar] | None = None,
    state: JobState | None = None,
) -> list[Upcoming]:
    """Return the first ``n`` slots within a year that have notes: clock changes and days off.

    Only the days of these are examined, however often the job runs. Of the slots that are moved to
    one day, the first is returned.
    """
    calendars = calendars or {}
    until = after + YEAR_DAYS * DAY
    started = 0 if state is None else state.started
    left = None if job.repeats is None else job.repeats - started
    if left is not None and left <= _MAX_LEFT:
        found = upcoming(job, after, max(left, 0), calendars, state)
        return [each for each in found if each.notes and each.slot <= until][:n]
    job_id = 0 if state is None else state.id
    calendar = calendar_of(job, calendars)
    coming = upcoming(job, after, 1, calendars, state)[:1] if job.skip_next else []
    begin = coming[0].slot if coming else after
    seen = begin
    for event in sorted({*_events(job, calendar, begin, until)}):
        slot = next_slot(job, calendar, event - 1)
        if slot is None or slot <= seen or len(coming) >= n:
            continue
        notes = _notes(job, calendar, max(begin, min(event, slot) - 1), slot)
        if notes:
            at = slot + jitter(job_id, slot, job.jitter_ms)
            coming.append(Upcoming(slot, at, notes, job.name))
            seen = slot
    return coming[:n]


def _events(
    job: Job, calendar: Calendar | None, after: Instant, until: Instant
) -> Iterator[Instant]:
    """Yield the instants in (after, until] whose next slot has a note."""
    yield from (effect.slot for effect in clock_effects(job.trigger, after, until))
    if calendar is None:
        return
    zone = job.trigger.timezone
    first, last = day_of(after, zone), day_of(until, zone)
    for day in range(first, last + 1):
        begin, end = day_begins(day, zone), day_begins(day + 1, zone)
        if calendar.why_excluded(day) is not None:
            slot = next_after(job.trigger, max(begin - 1, after))
            if slot is not None and slot < end:
                yield slot
        elif job.on_excluded != "skip":
            ranges = slot_ranges(job, calendar, max(begin - 1, after), end - 1)
            yield from islice((each.first for each in ranges if each.is_moved), 1)


def simulate(
    jobs: Iterable[Job],
    start: Instant,
    until: Instant,
    calendars: Mapping[str, Calendar] | None = None,
    errors: dict[str, str] | None = None,
) -> Iterator[Upcoming]:
    """Iterate over the slots of all the jobs in (start, until], in order of time.

    With ``errors``, a job whose slots cannot be computed is added there, by its name, and the
    slots of the others follow.
    """
    streams = (
        takewhile(
            lambda coming: coming.slot <= until,
            _guarded(job, _coming(job, calendars or {}, JobState(0, job, start)), errors),
        )
        for job in jobs
    )
    yield from merge(*streams, key=lambda coming: coming.slot)


def _guarded(
    job: Job, stream: Iterator[Upcoming], errors: dict[str, str] | None
) -> Iterator[Upcoming]:
    try:
        yield from stream
    except Exception as error:
        if errors is None:
            raise
        errors[job.name] = str(error)


def _coming(job: Job, calendars: Mapping[str, Calendar], state: JobState) -> Iterator[Upcoming]:
    cursor = state.cursor
    left = None if job.repeats is None else job.repeats - state.started
    calendar = calendar_of(job, calendars)
    skips = job.skip_next
    skipped: list[Instant] = []
    while left is None or left > 0:
        slot = next_slot(job, calendar, cursor)
        if slot is None:
            return
        notes = _notes(job, calendar, cursor, slot)
        cursor = slot
        if skips:
            skips -= 1
            skipped.append(slot)
            continue
        left = None if left is None else left - 1
        at = slot + jitter(state.id, slot, job.jitter_ms)
        yield Upcoming(slot, at, (*_skipped_note(skipped), *notes), job.name)
        skipped = []


def _skipped_note(skipped: list[Instant]) -> Iterator[Note]:
    if skipped:
        text = "the slots before it are skipped on request"
        first, last = skipped[0], skipped[-1]
        count = len(skipped)
        yield Note(code="skipped_on_request", text=text, first=first, last=last, count=count)


def _notes(
    job: Job, calendar: Calendar | None, cursor: Instant, slot: Instant
) -> tuple[Note, ...]:
    """Return notes on clock changes and excluded slots between the slot before and this one."""
    notes = [
        Note(code=each.code, text=each.words, wall=each.wall)
        for each in clock_effects(job.trigger, cursor, slot)
    ]
    for slots in slot_ranges(job, calendar, cursor, slot) if calendar is not None else ():
        if slots.is_moved:
            notes.append(Note(code="moved", text="moved here from an excluded day"))
        elif slots.reason is not None:
            notes.append(_excluded_note(slots, slots.reason))
    return tuple(notes)


def _excluded_note(slots: SlotRange, reason: str) -> Note:
    are = "slot before it is" if slots.count == 1 else "slots before it are"
    return Note(
        code="excluded",
        text=f"{slots.count} {are} excluded by {reason}",
        first=slots.first,
        last=slots.last,
        count=slots.count,
        reason=reason,
    )
