"""Coming slots: the same as the preview's, or their numbers."""

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.coming import coming
from zato_lite.timetable.job import DAY, SECOND, Cron, Interval, Job
from zato_lite.timetable.job_plan import JobState
from zato_lite.timetable.upcoming import simulate

START = 1_800_000_000 * SECOND
CALENDARS = {"PL": Calendar(name="PL", weekdays=(5, 6), dates=(date(2027, 1, 18),))}

triggers = st.one_of(
    st.builds(
        lambda minutes, shift: Interval(start=START - shift * SECOND, minutes=minutes),
        st.integers(1, 3_000),
        st.integers(0, 10_000),
    ),
    st.sampled_from(["7 * * * *", "*/20 9-17 * * mon-fri", "0 2 * * *", "30 4 1 * *"]).map(
        lambda text: Cron(start=START - DAY, expression=text, timezone="Europe/Warsaw")
    ),
)
jobs = st.builds(
    lambda trigger, calendar, policy, skip, repeats: Job(
        name="j",
        service="s",
        trigger=trigger,
        calendar=calendar,
        on_excluded=policy,
        skip_next=skip,
        repeats=repeats,
    ),
    triggers,
    st.sampled_from([None, "PL"]),
    st.sampled_from(["skip", "next_day", "previous_day"]),
    st.sampled_from([0, 0, 2]),
    st.sampled_from([None, 3]),
)


@given(jobs, st.integers(0, 3 * 86_400), st.integers(1, 7 * 86_400))
def test_the_coming_slots_are_those_of_a_simulation(job: Job, wait: int, length: int) -> None:
    after = START + wait * SECOND
    until = after + length * SECOND

    found = coming(JobState(1, job, after), after, until, CALENDARS, 100_000)

    assert [*found.slots] == [each.slot for each in simulate([job], after, until, CALENDARS)]
    assert found.parts == ()


@given(jobs, st.integers(1, 7 * 86_400))
def test_parts_count_every_slot_once(job: Job, length: int) -> None:
    until = START + length * SECOND
    state = JobState(1, job, START)
    everything = coming(state, START, until, CALENDARS, 100_000)

    counted = coming(state, START, until, CALENDARS, 0)

    assert counted.excluded == everything.excluded
    if job.skip_next == 0 and job.repeats is None:
        assert sum(part.slots for part in counted.parts) == len(everything.slots)


def test_a_paused_job_has_no_coming_slots_before_its_pause_ends() -> None:
    hourly = Interval(start=START, hours=1)
    end = START + 2 * 3_600 * SECOND
    paused = Job(name="j", service="s", trigger=hourly, is_active=False)
    ending = Job(name="j", service="s", trigger=hourly, is_active=False, pause_until=end)

    until = START + 3 * 3_600 * SECOND

    assert coming(JobState(1, paused, START), START, until, {}, 9).slots == ()
    assert coming(JobState(1, ending, START), START, until, {}, 9).slots == (end, until)
