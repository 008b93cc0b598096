from datetime import date
from typing import Any

import pytest

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import end_pause, first_due, next_due
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import SECOND, Cron, Interval, Job, OneTime
from zato_lite.timetable.job_plan import Downtime, Entry, JobPlan, JobState, Start
from zato_lite.timetable.plan import plan
from zato_lite.timetable.planner import MAX_QUEUED, MAX_STARTS, ON_TIME
from zato_lite.timetable.zone import parse_moment

NOON = parse_moment("2026-11-23T12:00:00Z")
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def every_minute(**policies: Any) -> Job:
    return Job(name="m", service="s", trigger=Interval(start=NOON, minutes=1), **policies)


def plan_job(job: Job, cursor: int, now: int, **state: Any) -> JobPlan:
    return plan(JobState(7, job, cursor, **state), now, {})


def test_a_due_slot_starts_and_the_next_plan_is_at_the_next_slot() -> None:
    planned = plan_job(every_minute(), NOON - 1, NOON)

    assert planned == JobPlan((Start(NOON),), (), NOON, 1, NOON + MINUTE)


def test_no_slot_starts_early() -> None:
    planned = plan_job(every_minute(), NOON, NOON + MINUTE - 1)

    assert planned == JobPlan((), (), NOON, 0, NOON + MINUTE)


def test_a_one_time_job_runs_once_however_late() -> None:
    job = Job(name="o", service="s", trigger=OneTime(start=NOON))

    planned = plan_job(job, NOON - 1, NOON + 300 * DAY)

    assert planned.starts == (Start(NOON),)
    assert planned.next_at is None


def test_after_a_downtime_the_newest_slot_runs_and_the_others_are_in_the_ledger() -> None:
    downtime = Downtime(NOON + 1, NOON + 10 * MINUTE)

    planned = plan(JobState(7, every_minute(), NOON), NOON + 10 * MINUTE + 3, {}, downtime)

    assert planned.starts == (Start(NOON + 10 * MINUTE),)
    (entry,) = planned.entries
    assert (entry.outcome, entry.first, entry.last, entry.count) == (
        "missed",
        NOON + MINUTE,
        NOON + 9 * MINUTE,
        9,
    )
    assert entry.reason == (
        "coalesced into the run of 2026-11-23 12:10:00 UTC; the server was down "
        "from 2026-11-23 12:00:00 UTC to 2026-11-23 12:10:00 UTC"
    )


def test_a_reason_names_a_downtime_only_for_slots_within_it() -> None:
    downtime = Downtime(NOON - HOUR, NOON)

    planned = plan(JobState(7, every_minute(), NOON), NOON + 10 * MINUTE, {}, downtime)

    assert [entry.reason for entry in planned.entries] == [
        "coalesced into the run of 2026-11-23 12:10:00 UTC"
    ]


def test_skip_runs_no_late_slot() -> None:
    planned = plan_job(every_minute(on_missed="skip"), NOON, NOON + 3 * MINUTE + ON_TIME + 1)

    assert not planned.starts
    assert [(e.outcome, e.count) for e in planned.entries] == [("missed", 3)]
    assert planned.next_at == NOON + 4 * MINUTE


def test_skip_runs_a_slot_that_is_on_time() -> None:
    planned = plan_job(every_minute(on_missed="skip"), NOON, NOON + 3 * MINUTE + ON_TIME)

    assert planned.starts == (Start(NOON + 3 * MINUTE),)
    assert [(e.outcome, e.count) for e in planned.entries] == [("missed", 2)]


def test_run_all_runs_each_one_behind_the_other() -> None:
    planned = plan_job(every_minute(on_missed="run_all"), NOON, NOON + 3 * MINUTE + 2 * ON_TIME)

    assert planned.starts == (
        Start(NOON + MINUTE),
        Start(NOON + 2 * MINUTE, queued=True),
        Start(NOON + 3 * MINUTE, queued=True),
    )
    assert not planned.entries
    assert planned.next_at == NOON + 4 * MINUTE


def test_run_all_keeps_to_its_rate() -> None:
    job = every_minute(on_missed="run_all", catch_up_rate=2.0, on_overlap="allow")
    now = NOON + 3 * HOUR

    planned = plan_job(job, NOON, now)

    assert planned.starts == (Start(NOON + MINUTE),)
    assert planned.cursor == NOON + 2 * MINUTE - 1
    assert planned.next_at == now + SECOND // 2


def test_a_fast_rate_starts_several_at_a_time() -> None:
    job = every_minute(on_missed="run_all", catch_up_rate=50.0, on_overlap="allow")

    planned = plan_job(job, NOON, NOON + 3 * HOUR)

    assert len(planned.starts) == 5
    assert planned.next_at == NOON + 3 * HOUR + SECOND // 10


def test_run_all_misses_slots_older_than_the_window() -> None:
    job = every_minute(on_missed="run_all", catch_up_window=120, on_overlap="allow")

    planned = plan_job(job, NOON, NOON + 10 * MINUTE + 1)

    assert [start.slot for start in planned.starts] == [NOON + 9 * MINUTE, NOON + 10 * MINUTE]
    assert planned.entries == (
        Entry(
            "missed",
            NOON + MINUTE,
            NOON + 8 * MINUTE,
            8,
            "older than the catch-up window of 120 s",
        ),
    )


def test_a_slot_as_old_as_the_window_is_not_too_old() -> None:
    job = every_minute(on_missed="run_all", catch_up_window=120, on_overlap="allow")

    planned = plan_job(job, NOON, NOON + 10 * MINUTE)

    assert [start.slot for start in planned.starts] == [NOON + n * MINUTE for n in (8, 9, 10)]
    assert [entry.count for entry in planned.entries] == [7]


def test_run_once_misses_slots_older_than_the_window() -> None:
    planned = plan_job(every_minute(catch_up_window=10), NOON, NOON + 2 * MINUTE + 11 * SECOND)

    assert not planned.starts
    assert [(e.outcome, e.count) for e in planned.entries] == [("missed", 2)]


def test_a_million_missed_slots_are_one_entry() -> None:
    job = Job(name="s", service="s", trigger=Interval(start=NOON, milliseconds=1))

    planned = plan_job(job, NOON, NOON + 10**6 * SECOND)

    assert [(e.outcome, e.count) for e in planned.entries] == [("missed", 10**9 - 1)]
    assert len(planned.starts) == 1


def test_a_month_of_missed_seconds_is_one_entry() -> None:
    trigger = Cron(start=NOON, expression="* * * * * *", timezone="Europe/Warsaw")

    planned = plan_job(Job(name="s", service="s", trigger=trigger), NOON, NOON + 30 * DAY)

    assert [(e.outcome, e.count) for e in planned.entries] == [("missed", 30 * 86_400 - 1)]


def test_a_catch_up_of_a_million_slots_is_bounded_and_continues() -> None:
    job = every_minute(on_missed="run_all")

    planned = plan_job(job, NOON, NOON + 10**6 * MINUTE)

    assert len(planned.starts) == MAX_STARTS
    assert planned.cursor == NOON + (MAX_STARTS + 1) * MINUTE - 1
    assert planned.next_at == NOON + 10**6 * MINUTE


def test_a_catch_up_waits_while_many_are_queued() -> None:
    job = every_minute(on_missed="run_all")
    now = NOON + 10**6 * MINUTE

    planned = plan_job(job, NOON, now, in_flight=1, queued=MAX_STARTS)

    assert not planned.starts
    assert planned.next_at == now + SECOND


@pytest.mark.parametrize(
    ("policies", "state", "starts", "cancels", "reason"),
    [
        ({}, {"run_number": 812}, (), False, "run 812 was still in flight"),
        ({}, {}, (), False, "the run before was still in flight"),
        ({"on_overlap": "queue_one"}, {}, (Start(NOON, queued=True),), False, None),
        ({"on_overlap": "queue_one"}, {"queued": 1}, (), False, "a run was queued already"),
        ({"on_overlap": "queue_all"}, {"queued": 9}, (Start(NOON, queued=True),), False, None),
        (
            {"on_overlap": "queue_all"},
            {"queued": MAX_QUEUED},
            (),
            False,
            f"{MAX_QUEUED} runs were queued already",
        ),
        ({"on_overlap": "cancel_running"}, {}, (Start(NOON),), True, None),
        ({"on_overlap": "allow"}, {"in_flight": 99}, (Start(NOON),), False, None),
        (
            {"on_overlap": "allow", "max_parallel": 3},
            {"in_flight": 2},
            (Start(NOON),),
            False,
            None,
        ),
        (
            {"on_overlap": "allow", "max_parallel": 3},
            {"in_flight": 3},
            (),
            False,
            "3 runs were still in flight",
        ),
    ],
    ids=str,
)
def test_overlap(
    policies: dict[str, Any],
    state: dict[str, int],
    starts: tuple[Start, ...],
    cancels: bool,
    reason: str | None,
) -> None:
    planned = plan_job(every_minute(**policies), NOON - 1, NOON, **{"in_flight": 1, **state})

    assert planned.starts == starts
    assert planned.cancel_running is cancels
    assert [entry.reason for entry in planned.entries] == ([reason] if reason else [])
    assert all(entry.outcome == "skipped_already_in_flight" for entry in planned.entries)


def test_repeats_count_runs_and_end_the_job() -> None:
    job = every_minute(repeats=2)

    last = plan_job(job, NOON, NOON + MINUTE, started=1)
    over = plan_job(job, NOON + MINUTE, NOON + 2 * MINUTE, started=2)

    assert last.starts == (Start(NOON + MINUTE),)
    assert last.next_at is None
    assert over == JobPlan((), (), NOON + MINUTE, 2, None)


def test_run_all_stops_at_the_last_repeat() -> None:
    job = every_minute(repeats=3, on_missed="run_all", on_overlap="allow")

    planned = plan_job(job, NOON - 1, NOON + HOUR)

    assert [start.slot for start in planned.starts] == [NOON, NOON + MINUTE, NOON + 2 * MINUTE]
    assert planned.cursor == NOON + 2 * MINUTE
    assert planned.next_at is None


def test_skips_on_request_are_used_up() -> None:
    planned = plan_job(every_minute(skip_next=2), NOON - 1, NOON)

    assert planned.entries == (Entry("paused", NOON, NOON, 1, "skipped on request"),)
    assert planned.job is not None
    assert planned.job.skip_next == 1
    assert planned.next_at == NOON + MINUTE


def test_skips_on_request_apply_before_slots_are_missed() -> None:
    planned = plan_job(every_minute(skip_next=2), NOON - 1, NOON + 4 * MINUTE)

    assert [(e.outcome, e.count) for e in planned.entries] == [("paused", 2), ("missed", 2)]
    assert planned.starts == (Start(NOON + 4 * MINUTE),)


def test_a_paused_job_is_left_alone() -> None:
    planned = plan_job(every_minute(is_active=False), NOON, NOON + HOUR)

    assert planned == JobPlan((), (), NOON, 0, None)


def test_a_pause_ends_at_its_pause_until() -> None:
    until = NOON + 30 * MINUTE
    job = every_minute(is_active=False, pause_until=until, pause_note="waiting for the bank")

    assert plan_job(job, NOON, NOON + MINUTE).next_at == until
    planned = plan_job(job, NOON, until + 1)

    assert planned.entries == (
        Entry("paused", NOON + MINUTE, until - MINUTE, 29, "paused: waiting for the bank"),
    )
    assert planned.starts == (Start(until),)
    assert planned.job == every_minute()


def test_a_resumed_job_continues_with_the_next_slot() -> None:
    state = JobState(7, every_minute(is_active=False), NOON)

    planned = end_pause(state, NOON + 10 * MINUTE, {}, "paused by ann")

    assert planned.entries == (
        Entry("paused", NOON + MINUTE, NOON + 10 * MINUTE, 10, "paused by ann"),
    )
    assert planned.next_at == NOON + 11 * MINUTE
    assert planned.job == every_minute()


def test_a_job_that_has_had_its_runs_misses_nothing_in_a_pause() -> None:
    state = JobState(7, every_minute(is_active=False, repeats=3), NOON, started=3)

    planned = end_pause(state, NOON + HOUR, {})

    assert planned.entries == ()
    assert planned.next_at is None


def test_a_one_time_job_that_was_paused_at_its_moment_runs_when_it_is_end_pause() -> None:
    job = Job(name="o", service="s", trigger=OneTime(start=NOON), is_active=False)

    planned = end_pause(JobState(7, job, NOON - 1), NOON + HOUR, {})

    assert planned.entries == ()
    assert planned.next_at == NOON


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (NOON - HOUR, (NOON - 1, NOON)),
        (NOON, (NOON, NOON + MINUTE)),
        (NOON + 1, (NOON + 1, NOON + MINUTE)),
        (NOON + MINUTE, (NOON + MINUTE, NOON + 2 * MINUTE)),
    ],
)
def test_slots_before_the_creation_are_not_missed(now: int, expected: tuple[int, int]) -> None:
    assert first_due(every_minute(), now) == expected


def test_a_new_one_time_job_in_the_past_is_due_immediately() -> None:
    job = Job(name="o", service="s", trigger=OneTime(start=NOON))

    assert first_due(job, NOON + DAY) == (NOON - 1, NOON)


def test_a_new_paused_job_is_not_due() -> None:
    assert first_due(every_minute(is_active=False), NOON) == (NOON, None)


def test_jitter_delays_a_slot_by_the_same_time_on_each_call() -> None:
    job = every_minute(jitter_ms=30_000)
    delay = jitter(7, NOON, 30_000)

    early, due = plan_job(job, NOON - 1, NOON + delay - 1), plan_job(job, NOON - 1, NOON + delay)

    assert 0 < delay < 30 * SECOND
    assert early.starts == ()
    assert early.next_at == NOON + delay
    assert due.starts == (Start(NOON),)


def test_with_jitter_longer_than_the_interval_no_slot_overtakes_another() -> None:
    job = every_minute(jitter_ms=600_000, on_missed="run_all", on_overlap="allow")
    cursor, now = NOON - 1, NOON
    slots: list[int] = []

    while len(slots) < 50:
        planned = plan_job(job, cursor, now)
        slots += [start.slot for start in planned.starts]
        assert planned.next_at is not None
        cursor, now = planned.cursor, max(planned.next_at, now)

    assert slots == [NOON + n * MINUTE for n in range(len(slots))]


def test_with_jitter_no_slot_is_early_when_others_are_due() -> None:
    job = every_minute(jitter_ms=600_000, on_missed="run_all", on_overlap="allow")

    for second in range(0, 3_600, 7):
        now = NOON + second * SECOND
        for start in plan_job(job, NOON - 1, now).starts:
            assert start.slot + jitter(7, start.slot, 600_000) <= now


WEEKENDS = Calendar(name="work", weekdays=(5, 6))
FRIDAY = parse_moment("2026-11-27T09:00:00", "Europe/Warsaw")


def daily(**policies: Any) -> Job:
    trigger = Cron(start=NOON, expression="0 9 * * *", timezone="Europe/Warsaw")
    return Job(name="d", service="s", trigger=trigger, calendar="work", **policies)


def test_excluded_slots_are_in_the_ledger_and_the_next_is_on_an_open_day() -> None:
    state = JobState(7, daily(), FRIDAY - 1)

    friday = plan(state, FRIDAY, {"work": WEEKENDS})
    monday = plan(JobState(7, daily(), friday.cursor), FRIDAY + 3 * DAY, {"work": WEEKENDS})

    assert friday.next_at == FRIDAY + 3 * DAY
    assert monday.starts == (Start(FRIDAY + 3 * DAY),)
    assert monday.entries == (
        Entry("excluded", FRIDAY + DAY, FRIDAY + DAY, 1, "calendar work: Saturday"),
        Entry("excluded", FRIDAY + 2 * DAY, FRIDAY + 2 * DAY, 1, "calendar work: Sunday"),
    )


@pytest.mark.parametrize(
    ("policy", "runs"),
    [
        ("skip", []),
        ("next_day", ["2026-11-30 09:30:00"]),
        ("previous_day", ["2026-11-27 09:30:00"]),
    ],
)
def test_a_slot_on_an_excluded_day_is_moved(policy: Any, runs: list[str]) -> None:
    begin = parse_moment("2026-11-25", "Europe/Warsaw")
    trigger = Cron(start=begin, expression="30 9 28 11 *", timezone="Europe/Warsaw")
    job = Job(name="d", service="s", trigger=trigger, calendar="work", on_excluded=policy)
    state = JobState(7, job, begin)

    planned = plan(state, begin + 7 * DAY, {"work": WEEKENDS})

    assert [start.slot for start in planned.starts] == [
        parse_moment(text, "Europe/Warsaw") for text in runs
    ]
    assert [(entry.outcome, entry.count) for entry in planned.entries] == [("excluded", 1)]
    if runs:
        assert next_due(state, {"work": WEEKENDS}) == planned.starts[0].slot


def test_two_slots_moved_to_one_moment_are_one_run() -> None:
    job = daily(on_excluded="next_day", on_missed="run_all", on_overlap="allow")

    planned = plan(JobState(7, job, FRIDAY), FRIDAY + 3 * DAY, {"work": WEEKENDS})

    assert planned.starts == (Start(FRIDAY + 3 * DAY),)
    assert [entry.count for entry in planned.entries] == [1, 1]


def test_a_moved_slot_is_a_separate_entry() -> None:
    trigger = Interval(start=FRIDAY + 7 * MINUTE, minutes=37, timezone="Europe/Warsaw")
    policies: dict[str, Any] = {"calendar": "work", "on_excluded": "next_day"}
    job = Job(name="d", service="s", trigger=trigger, **policies)
    state = JobState(7, job, FRIDAY + 3 * DAY, in_flight=1)

    planned = plan(state, FRIDAY + 3 * DAY + HOUR, {"work": WEEKENDS})

    own = [
        entry for entry in planned.entries if (entry.first - trigger.start) % (37 * MINUTE) == 0
    ]
    moved = [entry for entry in planned.entries if entry not in own]
    assert len(own) >= 1
    assert len(moved) > 1
    assert all(entry.count == 1 for entry in moved)


def test_the_last_business_day_of_the_month_is_expressible() -> None:
    trigger = Cron(start=NOON, expression="0 9 L * *", timezone="Europe/Warsaw")
    job = Job(name="d", service="s", trigger=trigger, calendar="pl", on_excluded="previous_day")
    holidays = Calendar(name="pl", weekdays=(5, 6), dates=(date(2026, 12, 31),))

    at = next_due(JobState(7, job, NOON + 10 * DAY), {"pl": holidays})

    assert at == parse_moment("2026-12-30 09:00:00", "Europe/Warsaw")


def test_excluded_slots_before_the_end_are_accounted_for() -> None:
    end = FRIDAY + 2 * DAY
    trigger = Interval(start=FRIDAY, hours=1, end=end)
    job = Job(name="d", service="s", trigger=trigger, calendar="work", on_missed="run_all")
    state = JobState(7, job, FRIDAY + 15 * HOUR)  # 2026-11-27 23:00 UTC

    asked_again = next_due(state, {"work": WEEKENDS})
    assert asked_again is not None
    planned = plan(state, asked_again, {"work": WEEKENDS})

    assert sum(entry.count for entry in planned.entries) == 48 - 16
    assert planned.next_at is None


def test_a_job_whose_calendar_never_opens_is_planned_seldom() -> None:
    every_day = Calendar(name="work", weekdays=(0, 1, 2, 3, 4, 5, 6))

    at = next_due(JobState(7, daily(), FRIDAY), {"work": every_day})

    assert at is not None
    assert at > FRIDAY + 1_000 * DAY


def test_a_deleted_calendar_excludes_no_slot() -> None:
    assert next_due(JobState(7, daily(), FRIDAY), {}) == FRIDAY + DAY
