"""Planning: a job's state and the time in, everything that happens to its slots out.

Every slot of a definition is accounted for exactly once: by a run or by a ledger entry.
This module is the fast path for a job with one slot due; ``planner`` handles every case.
"""

from collections.abc import Mapping

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Interval, OneTime
from zato_lite.timetable.job_plan import Downtime, JobPlan, JobState, Start
from zato_lite.timetable.planner import ON_TIME, Planner
from zato_lite.timetable.trigger import next_after


def plan(
    state: JobState,
    now: Instant,
    calendars: Mapping[str, Calendar],
    downtime: Downtime | None = None,
) -> JobPlan:
    """Decide what happens to the slots of ``state`` in (cursor, now], and when to plan again."""
    job = state.job
    if (
        not job.is_active
        or state.in_flight
        or state.queued
        or job.calendar is not None
        or job.jitter_ms
        or job.skip_next
        or job.repeats is not None
        or job.catch_up_window is not None
    ):
        return Planner(state, now, calendars, downtime).plan()
    cursor, trigger = state.cursor, job.trigger
    # The usual case: one slot is due, and no policy has a say. ``next_after`` for an interval is
    # inlined for speed.
    if type(trigger) is Interval and cursor >= trigger.start and trigger.end is None:
        period = trigger.period
        on_grid = cursor + period - (cursor - trigger.start) % period
        slot: Instant | None = on_grid
        following: Instant | None = on_grid + period
    else:
        slot = next_after(trigger, cursor)
        following = None
        if slot is not None and type(trigger) is not OneTime:
            following = next_after(trigger, slot)
    if slot is None or slot > now:
        return JobPlan((), (), cursor, state.started, slot)
    if (following is None or following > now) and (
        slot + ON_TIME >= now or job.on_missed == "run_once"
    ):
        return JobPlan((Start(slot),), (), slot, state.started + 1, following)
    return Planner(state, now, calendars, downtime).plan()
