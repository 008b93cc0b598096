from itertools import islice

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import SECOND, Cron, Interval, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.upcoming import simulate, upcoming
from zato_lite.timetable.zone import parse_moment, to_text

NOON = parse_moment("2026-11-23T12:00:00Z")
HOUR = 3_600 * SECOND


def test_upcoming_slots_have_remarks_on_clock_changes() -> None:
    trigger = Cron(start=0, expression="30 2 * * *", timezone="Europe/Warsaw")
    job = Job(name="j", service="s", trigger=trigger)

    coming = upcoming(job, parse_moment("2027-03-26T12:00:00Z"), 3)

    assert [to_text(slot.at, "Europe/Warsaw") for slot in coming] == [
        "2027-03-27 02:30:00 Europe/Warsaw",
        "2027-03-28 03:00:00 Europe/Warsaw",
        "2027-03-29 02:30:00 Europe/Warsaw",
    ]
    assert [slot.remarks for slot in coming] == [
        (),
        ("2027-03-28 02:30:00 does not exist in Europe/Warsaw: runs at 03:00:00",),
        (),
    ]


def test_upcoming_slots_have_remarks_on_excluded_slots() -> None:
    job = Job(
        name="j", service="s", trigger=Cron(start=0, expression="0 9 * * *"), calendar="work"
    )
    friday = parse_moment("2026-11-27T12:00:00Z")

    (monday,) = upcoming(job, friday, 1, {"work": Calendar(name="work", weekdays=(5, 6))})

    assert to_text(monday.slot) == "2026-11-30 09:00:00 UTC"
    assert monday.remarks == (
        "1 before it excluded by calendar work: Saturday",
        "1 before it excluded by calendar work: Sunday",
    )


def test_a_moved_slot_has_a_remark() -> None:
    trigger = Cron(start=0, expression="0 9 28 11 *")
    job = Job(name="j", service="s", trigger=trigger, calendar="work", on_excluded="next_day")

    (monday,) = upcoming(job, NOON, 1, {"work": Calendar(name="work", weekdays=(5, 6))})

    assert to_text(monday.slot) == "2026-11-30 09:00:00 UTC"
    assert monday.remarks[-1] == "moved here from an excluded day"


def test_upcoming_respects_repeats_skips_and_jitter() -> None:
    job = Job(
        name="j",
        service="s",
        trigger=Interval(start=NOON, hours=1),
        repeats=5,
        skip_next=2,
        jitter_ms=1_000,
    )

    coming = upcoming(job, NOON, 10, state=JobState(7, job, NOON, started=3))

    assert [slot.slot for slot in coming] == [NOON + 3 * HOUR, NOON + 4 * HOUR]
    assert [slot.at - slot.slot for slot in coming] == [
        jitter(7, slot.slot, 1_000) for slot in coming
    ]
    assert coming[0].remarks == ("the slots before it are skipped on request",)


def test_a_one_time_job_has_one_upcoming_slot() -> None:
    job = Job(name="j", service="s", trigger=OneTime(start=NOON))

    assert [slot.slot for slot in upcoming(job, NOON - HOUR, 10)] == [NOON]


def test_a_simulation_merges_all_jobs_in_order_and_lazily() -> None:
    fast = Job(name="fast", service="s", trigger=Interval(start=NOON, milliseconds=1))
    slow = Job(name="slow", service="s", trigger=Interval(start=NOON, hours=1))

    first = list(islice(simulate([slow, fast], NOON - 1, NOON + 10**6 * HOUR), 3))
    first_hours = list(simulate([slow], NOON - 1, NOON + 3 * HOUR))

    assert [coming.name for coming in first] == ["slow", "fast", "fast"]
    assert [coming.slot for coming in first_hours] == [NOON + n * HOUR for n in range(4)]


def test_a_long_paused_job_has_only_future_upcoming_slots() -> None:
    job = Job(name="j", service="s", trigger=Interval(start=NOON, hours=1), is_active=False)

    (coming,) = upcoming(job, NOON + 99 * HOUR, 1, state=JobState(7, job, NOON))

    assert coming.slot == NOON + 100 * HOUR


def test_an_overdue_one_time_job_is_upcoming() -> None:
    job = Job(name="j", service="s", trigger=OneTime(start=NOON))

    (coming,) = upcoming(job, NOON + HOUR, 3, state=JobState(7, job, NOON - 1))

    assert coming.slot == NOON


def test_a_simulation_omits_slots_before_its_start() -> None:
    once = Job(name="once", service="s", trigger=OneTime(start=NOON))

    assert list(simulate([once], NOON, NOON + HOUR)) == []
    assert [coming.slot for coming in simulate([once], NOON - 1, NOON)] == [NOON]
