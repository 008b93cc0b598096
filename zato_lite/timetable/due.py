"""Due times of a job: the first, the next, and the one after a pause."""

from collections.abc import Mapping

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import DAY, Instant, Job, OneTime
from zato_lite.timetable.job_plan import Entry, JobPlan, JobState
from zato_lite.timetable.pauses import JOB_PAUSED, with_author
from zato_lite.timetable.slots import SEARCH_DAYS, calendar_of, next_slot, trigger_range
from zato_lite.timetable.trigger import next_after, previous_before


def first_due(
    job: Job, now: Instant, calendars: Mapping[str, Calendar] | None = None, job_id: int = 0
) -> tuple[Instant, Instant | None]:
    """Return the cursor and the first due instant of a job that is new or has a new trigger.

    Slots before ``now`` are not missed, because the job did not exist. A slot equal to ``now`` is
    skipped too; otherwise a microsecond would decide whether it runs. Only a one-time job whose
    slot has come or passed is due immediately.
    """
    start = job.trigger.start
    is_past = now >= start and not isinstance(job.trigger, OneTime)
    state = JobState(job_id, job, now if is_past else start - 1)
    return state.cursor, next_due(state, calendars or {})


def next_due(state: JobState, calendars: Mapping[str, Calendar]) -> Instant | None:
    """Return the instant at which the job must be planned next, as it stands."""
    job = state.job
    if not job.is_active:
        return job.pause_until
    if is_exhausted(state):
        return None
    calendar = calendar_of(job, calendars)
    slot = next_slot(job, calendar, state.cursor)
    if slot is not None:
        return slot + jitter(state.id, slot, job.jitter_ms)
    if calendar is None:
        return None
    # Nothing will run, but the remaining slots must still be recorded as excluded.
    if job.trigger.end is None:
        later = next_after(job.trigger, state.cursor)
        return None if later is None else max(later, state.cursor + SEARCH_DAYS * DAY)
    last = previous_before(job.trigger, job.trigger.end)
    return last if last is not None and last > state.cursor else None


def end_pause(
    state: JobState,
    now: Instant,
    calendars: Mapping[str, Calendar],
    reason: str = "",
    by: str = "",
) -> JobPlan:
    """Plan the end of a pause: record its slots as paused and continue after ``now``.

    ``by`` is the author of the job's pause; ``reason`` is that of another pause.

    A one-time job whose slot came during the pause runs now, unless ``on_missed`` is ``skip``.
    """
    job = msgspec.structs.replace(state.job, is_active=True, pause_note=None, pause_until=None)
    entries: tuple[Entry, ...] = ()
    cursor = state.cursor
    if not (isinstance(job.trigger, OneTime) and job.on_missed != "skip") and not is_exhausted(
        state
    ):
        if paused := trigger_range(job.trigger, cursor, now):
            reason = reason or with_author(JOB_PAUSED, by, state.job.pause_note or "")
            entries = (paused.entry("paused", reason),)
        cursor = max(cursor, now)
    active = msgspec.structs.replace(state, job=job, cursor=cursor)
    return JobPlan((), entries, cursor, state.started, next_due(active, calendars), job=job)


def is_exhausted(state: JobState) -> bool:
    """Return True if the job has had all runs that ``repeats`` allows."""
    repeats = state.job.repeats
    return repeats is not None and state.started >= repeats
