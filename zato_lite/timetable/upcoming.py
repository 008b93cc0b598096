"""Preview: the next slots of a job, or all slots of several jobs between two instants."""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice, takewhile

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import first_due
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import Instant, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.slots import calendar_of, next_slot, slot_ranges
from zato_lite.timetable.trigger import clock_remarks


class Upcoming(msgspec.Struct, frozen=True):
    """A future slot.

    Attributes:
        slot: the trigger's instant. at: the same with its jitter.
        remarks: notes on the slot, and on those left out before it.
        name: the job's name.
    """

    slot: Instant
    at: Instant
    remarks: tuple[str, ...] = ()
    name: str = ""


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


def upcoming_slots(
    job: Job, calendars: Mapping[str, Calendar], state: JobState, after: Instant
) -> Iterator[Instant]:
    """Iterate over the slots after an instant that will run; a pause is ignored."""
    for each in _coming(job, calendars, msgspec.structs.replace(state, cursor=after)):
        yield each.slot


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
    skipped: list[str] = []
    while left is None or left > 0:
        slot = next_slot(job, calendar, cursor)
        if slot is None:
            return
        remarks = _remarks(job, calendar, cursor, slot)
        cursor = slot
        if skips:
            skips -= 1
            skipped = ["the slots before it are skipped on request"]
            continue
        left = None if left is None else left - 1
        at = slot + jitter(state.id, slot, job.jitter_ms)
        yield Upcoming(slot, at, (*skipped, *remarks), job.name)
        skipped = []


def _remarks(
    job: Job, calendar: Calendar | None, cursor: Instant, slot: Instant
) -> tuple[str, ...]:
    """Return notes on clock changes and excluded slots between the slot before and this one."""
    remarks = [text for _, text in clock_remarks(job.trigger, cursor, slot)]
    for slots in slot_ranges(job, calendar, cursor, slot) if calendar is not None else ():
        if slots.is_moved:
            remarks.append("moved here from an excluded day")
        elif slots.reason is not None:
            remarks.append(f"{slots.count} before it excluded by {slots.reason}")
    return tuple(remarks)
