import pytest

from zato_lite.timetable.describe import describe, duration
from zato_lite.timetable.job import Cron, Interval, OneTime
from zato_lite.timetable.zone import parse_moment

NOON = parse_moment("2026-11-23T12:00:00Z")


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("0 2 * * mon-fri", "every weekday at 02:00"),
        ("0 9 * * mon", "every Monday at 09:00"),
        ("0 7 * * mon-sat", "every day from Monday to Saturday at 07:00"),
        ("0 7 * * fri-sun", "every day from Friday to Sunday at 07:00"),
        ("0 7 * * sun,mon", "every Monday and Sunday at 07:00"),
        ("0 7 * * mon,wed,fri", "every Monday, Wednesday and Friday at 07:00"),
        ("0 9 */2 * tue-thu", None),
        ("* * * * *", "every minute"),
        ("*/5 * * * *", "every 5 minutes"),
        ("@hourly", "every hour"),
        ("@daily", "every day at 00:00"),
        ("30 2,14 * * *", "every day at 02:30 and 14:30"),
        ("0 0 1 * *", "on day 1 of the month at 00:00"),
        ("0 0 1 1 *", "on day 1 of the month in January at 00:00"),
        ("0 9 L * *", "on the last day of the month at 09:00"),
        ("0 9 L-2 * *", "on the 3rd to last day of the month at 09:00"),
        ("0 9 LW * *", "on the last weekday of the month at 09:00"),
        ("0 9 15W * *", "on the weekday nearest to day 15 of the month at 09:00"),
        ("0 9 * * fri#2", "the 2nd Friday of the month at 09:00"),
        ("0 9 * * friL", "the last Friday of the month at 09:00"),
        ("0 9 13 * fri", "on day 13 of the month and every Friday at 09:00"),
        ("0 9 */2 * sat,sun", "every 2nd day of the month if it is a Saturday or Sunday at 09:00"),
        ("0 0 1,15 * *", "on days 1 and 15 of the month at 00:00"),
        ("30 */2 * * *", "at minute 30 of every 2nd hour"),
        ("1-5 * * * *", "at minutes 1 to 5 of every hour"),
        ("5/15 * * * *", "every 15 minutes from minute 5"),
        ("* 30 2 * * *", "every second of 02:30"),
        ("*/10 0-29 * * * *", "every 10 seconds, at minutes 0 to 29"),
        ("10 * * * * *", "every minute at second 10"),
        ("0 0 12 ? * 2#1 2027", "the 1st Tuesday of the month in 2027 at 12:00"),
        ("0 9 13,L * fri,mon#1", None),
        ("0 9-17 * * mon-fri", "at 09:00 to 17:00, every weekday"),
        ("*/10 9-17 * * *", "every 10 minutes from 09:00 to 17:59"),
        ("0 */6 * * *", "every 6 hours"),
        ("15 * * * *", "at minute 15 of every hour"),
        ("*/15 * * * * *", "every 15 seconds"),
        ("0 0 0 1 1 ? 2099", "on day 1 of the month in January in 2099 at 00:00"),
    ],
)
def test_a_cron_schedule_is_described(expression: str, words: str | None) -> None:
    said = describe(Cron(start=NOON, expression=expression, timezone="Europe/Warsaw"))

    if words is not None:
        assert said == f"{words}, Europe/Warsaw"
    assert "  " not in said


def test_other_schedules_are_described() -> None:
    assert describe(Interval(start=NOON, seconds=90)) == "every 1 minute 30 seconds"
    assert describe(Interval(start=NOON, hours=1)) == "every hour"
    assert describe(Cron(start=NOON, expression="@every 90s")) == "every 1 minute 30 seconds"
    assert describe(OneTime(start=NOON, timezone="Europe/Warsaw")) == (
        "once, at 2026-11-23 13:00:00 Europe/Warsaw"
    )


@pytest.mark.parametrize(
    ("milliseconds", "text"),
    [(0, "< 1ms"), (0.4, "< 1ms"), (1, "1ms"), (999, "999ms"), (1_000, "1.0s"), (61_250, "61.2s")],
)
def test_durations_have_zatos_format(milliseconds: float, text: str) -> None:
    assert duration(milliseconds) == text


@pytest.mark.parametrize(
    ("trigger", "words"),
    [
        (Interval(start=NOON, hours=1, end=NOON), "every hour"),
        (Cron(start=NOON, expression="@hourly", end=NOON), "every hour, UTC"),
        (Cron(start=NOON, expression="@every 1h", end=NOON), "every hour"),
    ],
)
def test_the_words_say_that_the_end_is_not_included(trigger: Interval | Cron, words: str) -> None:
    assert describe(trigger) == f"{words}, before 2026-11-23 12:00:00 UTC (not included)"
