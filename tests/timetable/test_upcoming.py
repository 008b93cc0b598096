from itertools import islice

from hypothesis import given, settings
from hypothesis import strategies as st

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import DAY, SECOND, Cron, ExcludedPolicy, Interval, Job, OneTime
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.upcoming import remarkable, simulate, upcoming
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
        "1 slot before it is excluded by calendar work: Saturday",
        "1 slot before it is excluded by calendar work: Sunday",
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


def test_notes_have_codes_and_values() -> None:
    calendar = Calendar(name="work", weekdays=(5, 6))
    trigger = Cron(start=0, expression="30 2 * * *", timezone="Europe/Warsaw")
    job = Job(name="j", service="s", trigger=trigger, calendar="work")

    (monday,) = upcoming(job, parse_moment("2027-03-26T12:00:00Z"), 1, {"work": calendar})

    saturday = parse_moment("2027-03-27T01:30:00Z")
    assert [
        (note.code, note.wall, note.first, note.count, note.reason) for note in monday.notes
    ] == [
        ("clock_gap", "2027-03-28 02:30:00", None, 0, ""),
        ("excluded", "", saturday, 1, "calendar work: Saturday"),
        ("excluded", "", parse_moment("2027-03-28T01:00:00Z"), 1, "calendar work: Sunday"),
    ]


def test_the_remarkable_slots_of_a_year_are_around_clock_changes_and_days_off() -> None:
    calendar = Calendar(name="off", yearly=("12-25", "12-26"))
    trigger = Cron(start=0, expression="30 2 * * *", timezone="Europe/Warsaw")
    job = Job(name="j", service="s", trigger=trigger, calendar="off")

    found = remarkable(job, parse_moment("2027-01-01"), 10, {"off": calendar})

    assert [to_text(each.slot, "Europe/Warsaw")[:16] for each in found] == [
        "2027-03-28 03:00",
        "2027-10-31 02:30",
        "2027-12-27 02:30",
    ]
    assert [[note.code for note in each.notes] for each in found] == [
        ["clock_gap"],
        ["clock_fold"],
        ["excluded", "excluded"],
    ]


def test_a_job_of_each_millisecond_has_few_remarkable_slots() -> None:
    calendar = Calendar(name="work", weekdays=(5, 6))
    trigger = Interval(start=NOON, milliseconds=1)
    policies: tuple[ExcludedPolicy, ...] = ("skip", "next_day", "previous_day")
    for policy in policies:
        job = Job(name="j", service="s", trigger=trigger, calendar="work", on_excluded=policy)

        found = remarkable(job, NOON, 1_000, {"work": calendar})

        assert len(found) == 52
        assert all(each.notes for each in found)


def test_a_moved_slot_is_remarkable_whichever_day_it_moves_to() -> None:
    calendar = Calendar(name="off", yearly=("12-25",))
    trigger = Cron(start=0, expression="0 9 25 * *")
    days: dict[ExcludedPolicy, str] = {"next_day": "2027-12-26", "previous_day": "2027-12-24"}
    for policy, day in days.items():
        job = Job(name="j", service="s", trigger=trigger, calendar="off", on_excluded=policy)

        found = remarkable(job, parse_moment("2027-01-01"), 10, {"off": calendar})

        moved = [each for each in found if any(note.code == "moved" for note in each.notes)]
        assert [to_text(each.slot)[:10] for each in moved] == [day]


def test_remarkable_slots_respect_repeats_and_skips() -> None:
    calendar = Calendar(name="work", weekdays=(5, 6))
    trigger = Cron(start=0, expression="0 9 * * *")
    few = Job(name="j", service="s", trigger=trigger, calendar="work", repeats=6, skip_next=2)

    found = remarkable(few, NOON, 10, {"work": calendar}, JobState(7, few, NOON))

    assert [each.notes[0].code for each in found] == ["skipped_on_request", "excluded"]
    assert found[0].notes[0].count == 2


@settings(max_examples=20)
@given(
    st.sampled_from(["30 2 * * *", "0 9 * * mon", "*/7 * * * *", "15 2,3 * * *"]),
    st.sampled_from(["skip", "next_day", "previous_day"]),
    st.integers(0, 400),
)
def test_the_slots_with_notes_are_those_of_the_whole_preview(
    expression: str, policy: ExcludedPolicy, day: int
) -> None:
    calendar = Calendar(name="off", weekdays=(6,), yearly=("12-25", "12-26", "easter+1"))
    trigger = Cron(start=0, expression=expression, timezone="Europe/Warsaw")
    job = Job(name="j", service="s", trigger=trigger, calendar="off", on_excluded=policy)
    after = NOON + day * 24 * HOUR
    calendars = {"off": calendar}

    coming = upcoming(job, after, 30, calendars)
    whole = [each for each in coming if each.notes and each.slot < after + 366 * DAY]
    found = remarkable(job, after, 30, calendars)

    slots = {each.slot: each for each in found}
    days_of_moved = set()
    for each in whole:
        day_number = each.slot // DAY
        if any(note.code == "moved" for note in each.notes):
            if day_number in days_of_moved:
                continue
            days_of_moved.add(day_number)
        assert each.slot in slots
        assert set(each.notes) <= set(slots[each.slot].notes) or day_number in days_of_moved
