"""Properties that hold for all schedules, policies and instants."""

from datetime import date
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import end_pause, first_due
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import SECOND, Cron, Interval, Job, OneTime, Trigger
from zato_lite.timetable.job_plan import JobPlan, JobState
from zato_lite.timetable.plan import plan
from zato_lite.timetable.slots import next_slot, slot_ranges
from zato_lite.timetable.trigger import count_between, next_after, previous_before, slots_between
from zato_lite.timetable.zone import day_of, parse_moment

SPRING = parse_moment("2027-03-26T00:00:00Z")
AUTUMN = parse_moment("2027-10-29T00:00:00Z")
HOUR = 3_600 * SECOND
DAY = 24 * HOUR

ZONES = (
    None,
    "UTC",
    "Europe/Warsaw",
    "America/New_York",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "America/Santiago",
)
EXPRESSIONS = (
    "* * * * *",
    "*/7 * * * *",
    "30 2 * * *",
    "0,30 1-3 * * *",
    "15,45 0,2,3 * * *",
    "0 */5 * * mon-fri",
    "0 0 L * *",
    "5 4 13 * fri",
    "10 30 1,2 * * *",
    "0 9 15W * *",
    "@hourly",
    "@every 47m",
    "H H * * *",
)

RULES = settings(max_examples=70, suppress_health_check=list(HealthCheck))

moments = st.one_of(st.integers(SPRING, SPRING + 7 * DAY), st.integers(AUTUMN, AUTUMN + 7 * DAY))
crons = st.builds(
    Cron,
    start=st.just(0) | moments,
    end=st.none() | st.integers(SPRING + DAY, AUTUMN + 7 * DAY),
    expression=st.sampled_from(EXPRESSIONS),
    timezone=st.sampled_from(ZONES),
    gap=st.sampled_from(["run_after", "skip", "shift"]),
    fold=st.sampled_from(["first", "last", "both"]),
    seed=st.sampled_from(["a", "b"]),
)
intervals = st.builds(
    Interval,
    start=moments,
    end=st.none() | st.integers(SPRING + DAY, AUTUMN + 7 * DAY),
    timezone=st.sampled_from(ZONES),
    hours=st.integers(0, 3),
    minutes=st.integers(7, 90),
    milliseconds=st.integers(0, 999),
)
triggers: st.SearchStrategy[Trigger] = st.one_of(
    crons, intervals, st.builds(OneTime, start=moments)
)
calendars = st.builds(
    Calendar,
    name=st.just("c"),
    weekdays=st.sets(st.integers(0, 6), max_size=4).map(lambda days: tuple(sorted(days))),
    dates=st.sets(st.dates(date(2027, 3, 26), date(2027, 4, 2)), max_size=3).map(tuple),
    yearly=st.sampled_from([(), ("03-28", "easter+1"), ("10-31", "11-01")]),
)
jobs = st.builds(
    Job,
    name=st.just("j"),
    service=st.just("s"),
    trigger=triggers,
    repeats=st.none() | st.integers(1, 20),
    on_missed=st.sampled_from(["run_once", "run_all", "skip"]),
    catch_up_window=st.none() | st.integers(0, 100_000),
    catch_up_rate=st.none() | st.sampled_from([0.001, 0.5, 3.0, 100.0]),
    on_overlap=st.sampled_from(["skip", "queue_one", "queue_all", "cancel_running", "allow"]),
    max_parallel=st.none() | st.integers(1, 4),
    jitter_ms=st.sampled_from([0, 0, 1_000, 7_200_000]),
    skip_next=st.sampled_from([0, 0, 0, 1, 5]),
    calendar=st.sampled_from([None, None, "c"]),
    on_excluded=st.sampled_from(["skip", "next_day", "previous_day"]),
)


@RULES
@given(trigger=triggers, moment=moments)
def test_the_next_slot_is_later_and_the_same_for_every_moment_before_it(
    trigger: Trigger, moment: int
) -> None:
    slot = next_after(trigger, moment)
    assume(slot is not None)
    assert slot is not None

    assert slot > moment
    assert slot >= trigger.start
    assert trigger.end is None or slot < trigger.end
    assert next_after(trigger, slot - 1) == slot
    assert next_after(trigger, (moment + slot) // 2) == slot
    before = previous_before(trigger, slot)
    assert before is None or before <= moment
    assert previous_before(trigger, slot + 1) == slot


@RULES
@given(trigger=triggers, moment=moments, length=st.integers(0, 3 * DAY))
def test_counting_forwards_and_backwards_agree(trigger: Trigger, moment: int, length: int) -> None:
    until = moment + length

    forwards = list(slots_between(trigger, moment, until))
    backwards: list[int] = []
    slot = previous_before(trigger, until + 1)
    while slot is not None and slot > moment:
        backwards.append(slot)
        slot = previous_before(trigger, slot)

    assert forwards == backwards[::-1]
    assert forwards == sorted(set(forwards))
    assert count_between(trigger, moment, until) == len(forwards)


@RULES
@given(
    trigger=intervals,
    moment=moments,
)
def test_an_interval_is_on_its_grid_and_within_one_period(trigger: Interval, moment: int) -> None:
    slot = next_after(msgspec.structs.replace(trigger, end=None), moment)

    assert slot is not None
    assert (slot - trigger.start) % trigger.period == 0
    assert slot == trigger.start or slot - moment <= trigger.period


def slots_of(trigger: Trigger, planned: JobPlan) -> list[tuple[int, str]]:
    """Return each slot that the plan decides, with its outcome."""
    fates = [(start.slot, "run") for start in planned.starts]
    for entry in planned.entries:
        slots = list(slots_between(trigger, entry.first - 1, entry.last))
        if entry.count == 1 and not slots:
            slots = [entry.first]  # moved here
        assert len(slots) == entry.count, entry
        assert (slots[0], slots[-1]) == (entry.first, entry.last)
        fates.extend((slot, entry.outcome) for slot in slots)
    return sorted(fates)


@RULES
@given(job=jobs, calendar=calendars, moment=moments, data=st.data())
def test_every_slot_is_accounted_for_exactly_once(
    job: Job, calendar: Calendar, moment: int, data: st.DataObject
) -> None:
    known = {"c": calendar}
    cursor, next_at = first_due(job, moment, known)
    state = JobState(7, job, cursor)
    fates: list[tuple[int, str]] = []
    now = moment

    for _ in range(data.draw(st.integers(1, 6))):
        now += data.draw(st.integers(0, DAY) | st.sampled_from([0, 1, SECOND]))
        if data.draw(st.integers(0, 5)) == 0:
            planned = end_pause(state, now, known, "paused by ann")
        else:
            busy = data.draw(st.integers(0, 2))
            state = msgspec.structs.replace(state, in_flight=busy, queued=busy // 2)
            planned = plan(state, now, known)
        assert all(
            start.slot + jitter(7, start.slot, job.jitter_ms) <= now for start in planned.starts
        )
        assert planned.cursor >= state.cursor
        fates += slots_of(job.trigger, planned)
        state = msgspec.structs.replace(
            state,
            job=planned.job or state.job,
            cursor=planned.cursor,
            started=planned.started,
        )
        next_at = planned.next_at

    slots = [slot for slot, _ in fates]
    assert len(slots) == len(set(slots))
    runs = sum(fate == "run" for _, fate in fates)
    assert runs == state.started
    assert job.repeats is None or runs <= job.repeats
    own = set(slots_between(job.trigger, cursor, state.cursor))
    is_over = job.repeats is not None and runs >= job.repeats
    accounted = {slot for slot in slots if slot in own}
    assert accounted == own or (is_over and accounted <= own)
    moved = set(slots) - own
    assert not moved or (job.calendar == "c" and job.on_excluded != "skip")
    assert is_over or next_at is None or next_at >= min(state.cursor, now)
    if not is_over and next_slot(job, calendar if job.calendar else None, state.cursor):
        assert next_at is not None


@RULES
@given(
    trigger=triggers,
    calendar=calendars,
    moment=moments,
    steps=st.lists(st.integers(0, DAY), min_size=1, max_size=5),
    policies=st.fixed_dictionaries(
        {
            "calendar": st.sampled_from([None, "c"]),
            "on_excluded": st.sampled_from(["skip", "next_day", "previous_day"]),
            "jitter_ms": st.sampled_from([0, 1_000, 7_200_000]),
            "skip_next": st.sampled_from([0, 3]),
            "repeats": st.sampled_from([None, 7]),
        }
    ),
)
def test_planning_in_steps_equals_planning_in_one_step(
    trigger: Trigger, calendar: Calendar, moment: int, steps: list[int], policies: dict[str, Any]
) -> None:
    job = Job(
        name="j", service="s", trigger=trigger, on_missed="run_all", on_overlap="allow", **policies
    )
    known = {"c": calendar}

    def planned_at(moments: list[int]) -> tuple[list[tuple[int, str]], int | None]:
        state = JobState(7, job, first_due(job, moment, known)[0])
        fates: list[tuple[int, str]] = []
        next_at = None
        for now in moments:
            planned = plan(state, now, known)
            while planned.starts or planned.entries:
                fates += slots_of(trigger, planned)
                state = msgspec.structs.replace(
                    state,
                    job=planned.job or state.job,
                    cursor=planned.cursor,
                    started=planned.started,
                )
                planned = plan(state, now, known)
            next_at = planned.next_at
        return sorted(fates), next_at

    stops = [moment + sum(steps[: n + 1]) for n in range(len(steps))]

    assert planned_at(stops) == planned_at(stops[-1:])


@pytest.mark.parametrize("policy", ["skip", "next_day", "previous_day"])
@RULES
@given(trigger=triggers, calendar=calendars, moment=moments)
def test_no_slot_runs_on_an_excluded_day(
    policy: Any, trigger: Trigger, calendar: Calendar, moment: int
) -> None:
    job = Job(name="j", service="s", trigger=trigger, calendar="c", on_excluded=policy)

    slot = next_slot(job, calendar, moment)

    if slot is not None:
        assert slot > moment
        assert calendar.why_excluded(day_of(slot, trigger.timezone)) is None


@RULES
@given(job=jobs, calendar=calendars, moment=moments)
def test_the_next_slot_is_the_first_range_that_may_run(
    job: Job, calendar: Calendar, moment: int
) -> None:
    own = calendar if job.calendar else None
    until = moment + 10 * DAY

    slot = next_slot(job, own, moment)

    runnable = [part.first for part in slot_ranges(job, own, moment, until) if part.reason is None]
    assert runnable[:1] == ([slot] if slot is not None and slot <= until else [])
