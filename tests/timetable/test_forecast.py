"""Forecast: loads that can be counted by hand, and proposals that lower the peak."""

import itertools
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.forecast import (
    MINUTE,
    Forecast,
    ForecastJob,
    find_collisions,
    forecast,
    proposals,
    share_of,
    spread,
)
from zato_lite.timetable.job import DAY, SECOND, Cron, Interval, Job, OneTime, Trigger
from zato_lite.timetable.job_plan import JobState

START = 1_800_000_000 * SECOND
"""2027-01-15 08:00:00, a Friday."""

_ids = itertools.count(1)


def job(trigger: Trigger, *took: float, **policies: Any) -> ForecastJob:
    """Return a job whose runs took so many seconds."""
    made = Job(name="j", service="s", trigger=trigger, **policies)
    return ForecastJob(JobState(next(_ids), made, START), [round(each * SECOND) for each in took])


def every(minutes: float, begin: float = 0) -> Interval:
    """Return an interval that began days ago, so many minutes after the hour."""
    shift = 30 * DAY - round(begin * MINUTE)
    return Interval(start=START - shift, seconds=round(minutes * 60))


def hours(jobs: Sequence[ForecastJob], number: int = 3, **calendars: Calendar) -> Forecast:
    """Return the forecast of some hours, hour by hour."""
    return forecast(jobs, START, number * 60, 60, calendars)


def test_runs_and_mean_of_runs_in_flight_are_those_of_the_slots() -> None:
    found = hours([job(every(10), 60), job(every(60, begin=30), 1_800)])

    assert found.load.runs == [7, 7, 7]
    assert found.load.concurrent == pytest.approx([0.6, 0.6, 0.6])
    assert found.load.peak == pytest.approx([2, 2, 2])


def test_a_run_that_began_before_the_span_reaches_into_it() -> None:
    found = hours([job(every(24 * 60, begin=-30), 3_600)])

    assert found.load.concurrent == pytest.approx([0.5, 0, 0])


def test_a_slot_a_second_is_counted_without_being_visited() -> None:
    found = hours([job(every(1 / 60), 0.5)])

    assert found.load.runs == pytest.approx([3_600] * 3)
    assert found.load.concurrent == pytest.approx([0.5] * 3)
    assert found.groups[0].slots.minutes == ()


def test_excluded_days_pauses_and_repeats_have_no_load() -> None:
    weekend = Calendar(name="W", weekdays=(4,))  # Friday
    jobs = [
        job(every(10), 60, calendar="W"),
        job(every(10), 60, is_active=False),
        job(every(10), 60, is_active=False, pause_until=START + 2 * 60 * MINUTE),
        job(every(10), 60, repeats=3),
        job(OneTime(start=START + 90 * MINUTE), 60),
    ]

    assert hours(jobs, W=weekend).load.runs == [3, 1, 6]


@pytest.mark.parametrize(
    ("policies", "runs", "duration"),
    [
        ({}, 1 / 2, 90),
        ({"on_overlap": "allow"}, 1, 90),
        ({"on_overlap": "cancel_running"}, 1, 60),
        ({"on_overlap": "queue_all"}, 2 / 3, 90),
        ({"on_overlap": "allow", "max_parallel": 1}, 2 / 3, 90),
    ],
    ids=str,
)
def test_a_job_that_overlaps_itself_has_the_runs_that_its_policy_leaves(
    policies: dict[str, Any], runs: float, duration: float
) -> None:
    slow = Job(name="j", service="s", trigger=every(1), **policies)

    share = share_of(slow, [90 * SECOND] * 3, MINUTE)

    assert [share.runs, share.duration] == pytest.approx([runs, duration * SECOND])
    assert share.overlapping == 1


def test_jobs_that_overlap_themselves_are_named_with_the_share_of_such_runs() -> None:
    found = hours([job(every(10), 60, 700, 60, 60), job(every(60), 60, 700)])

    [overlap] = found.overlaps
    assert (overlap.gap, overlap.share) == (10 * MINUTE, 0.25)


def test_jobs_that_start_in_the_same_minute_collide_by_hour_or_by_day() -> None:
    hourly = [job(Cron(start=0, expression="0 * * * *"), 1) for _ in range(6)]
    daily = [job(Cron(start=0, expression="30 2 * * *"), 1) for _ in range(5)]
    spread_out = [job(every(60, begin=minute), 1) for minute in range(1, 60)]

    found = hours([*hourly, *daily, *spread_out], 48)

    collisions = find_collisions(found.groups, START)
    assert [(it.minute, it.is_hourly, len(it.jobs)) for it in collisions] == [
        (0, True, 6),
        (150, False, 5),
    ]


@given(st.integers(8, 40), st.sampled_from(["0 * * * *", "30 2 * * *", "@hourly", "0 0 * * * *"]))
def test_the_proposals_lower_the_peak_and_keep_the_runs(number: int, expression: str) -> None:
    jobs = [
        ForecastJob(
            JobState(
                place,
                Job(
                    name=f"j{place}",
                    service="s",
                    trigger=Cron(start=0, expression=expression, seed=f"j{place}"),
                ),
                START,
            ),
            [SECOND],
        )
        for place in range(1, number + 1)
    ]
    before = hours(jobs, 48)
    [collision, *_] = find_collisions(before.groups, START)

    moved = [_moved(it.job, it.after) for it in proposals(collision.jobs)]

    after = hours(moved, 48)
    assert len(moved) == number
    assert max(after.load.peak) < max(before.load.peak) / 2 + 3
    assert sum(after.load.runs) == pytest.approx(sum(before.load.runs))


def _moved(found: ForecastJob, expression: str) -> ForecastJob:
    state = found.state
    trigger = replace(state.job.trigger, expression=expression)
    return found._replace(state=replace(state, job=replace(state.job, trigger=trigger)))


@pytest.mark.parametrize(
    ("expression", "moved"),
    [
        ("0 3 * * mon", "H 3 * * mon"),
        ("@daily", "H 0 * * *"),
        ("0 0 * * * *", "0 H * * * *"),
        ("*/5 * * * *", None),
        ("H * * * *", None),
        ("0,30 * * * *", None),
        ("@every 1h", None),
        ("@weekly", None),
    ],
)
def test_only_a_fixed_minute_is_spread(expression: str, moved: str | None) -> None:
    assert spread(expression) == moved
