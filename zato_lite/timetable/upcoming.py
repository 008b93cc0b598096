"""What is to come: the next slots of one job, or of a whole set between two instants."""

from collections.abc import Iterable, Iterator, Mapping
from heapq import merge
from itertools import islice, takewhile

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Job, OneTime
from zato_lite.timetable.plan import JobState, first, jitter
from zato_lite.timetable.slots import next_slot, own_calendar, parts
from zato_lite.timetable.trigger import clock_remarks


class Upcoming(msgspec.Struct, frozen=True):
    """A slot that is to come.

    Attributes:
        slot: the instant that the schedule names; at: the same with its jitter.
        remarks: what is worth knowing of it, or of what was left out before it.
        name: of the job.
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
    """The next ``n`` slots after a moment that will run; of a paused job: as if it were not.

    Without ``state`` the job is taken for a new one. A one-time job that is overdue is to come.
    """
    if state is None:
        state = JobState(0, job, first(job, after)[0])
    elif not isinstance(job.trigger, OneTime):
        state = msgspec.structs.replace(state, cursor=max(state.cursor, after))
    return list(islice(_coming(job, calendars or {}, state), n))


def simulate(
    jobs: Iterable[Job],
    start: Instant,
    until: Instant,
    calendars: Mapping[str, Calendar] | None = None,
) -> Iterator[Upcoming]:
    """Every slot in (start, until] of all the jobs, in order of time, one by one."""
    streams = (
        takewhile(
            lambda coming: coming.slot <= until,
            _coming(job, calendars or {}, JobState(0, job, start)),
        )
        for job in jobs
    )
    yield from merge(*streams, key=lambda coming: coming.slot)


def _coming(job: Job, calendars: Mapping[str, Calendar], state: JobState) -> Iterator[Upcoming]:
    cursor = state.cursor
    left = None if job.repeats is None else job.repeats - state.started
    calendar = own_calendar(job, calendars)
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
    """What happens between the slot before and this one."""
    remarks = [text for _, text in clock_remarks(job.trigger, cursor, slot)]
    for part in parts(job, calendar, cursor, slot) if calendar is not None else ():
        if part.is_moved:
            remarks.append("moved here from an excluded day")
        elif part.reason is not None:
            remarks.append(f"{part.count} before it excluded by {part.reason}")
    return tuple(remarks)
