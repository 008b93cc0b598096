from typing import Any

import pytest

from zato_lite.errors import BadInputError
from zato_lite.timetable.job import SECOND, Cron, Interval, OneTime
from zato_lite.timetable.trigger import (
    check,
    count_between,
    next_after,
    previous_before,
    slots_between,
)
from zato_lite.timetable.zone import parse_moment, to_text

NOON = parse_moment("2026-11-23T12:00:00Z")
MINUTE = 60 * SECOND
YEAR = 366 * 86_400 * SECOND


def test_a_one_time_trigger_has_one_slot() -> None:
    trigger = OneTime(start=NOON)

    assert next_after(trigger, NOON - 1) == NOON
    assert next_after(trigger, NOON) is None
    assert previous_before(trigger, NOON + 1) == NOON
    assert previous_before(trigger, NOON) is None
    assert count_between(trigger, NOON - 1, NOON) == 1
    assert count_between(trigger, NOON, NOON + 1) == 0


@pytest.mark.parametrize(
    "trigger",
    [
        Interval(start=NOON, minutes=1, seconds=30, end=NOON + 30 * MINUTE),
        Cron(start=NOON, expression="@every 1m30s", end=NOON + 30 * MINUTE),
    ],
    ids=["interval", "@every"],
)
def test_a_grid_goes_from_its_start_to_its_end(trigger: Interval | Cron) -> None:
    slots = list(slots_between(trigger, 0, NOON + YEAR))

    assert slots == [NOON + n * 90 * SECOND for n in range(20)]
    assert count_between(trigger, 0, NOON + YEAR) == 20
    assert count_between(trigger, NOON, NOON + 3 * MINUTE) == 2
    assert previous_before(trigger, NOON + YEAR) == slots[-1]
    assert previous_before(trigger, NOON) is None
    assert next_after(trigger, slots[-1]) is None


def test_an_interval_is_the_sum_of_its_parts() -> None:
    trigger = Interval(start=0, weeks=1, days=1, hours=1, minutes=1, seconds=1, milliseconds=1)

    assert next_after(trigger, 0) == (8 * 86_400 + 3_661) * SECOND + 1_000


def test_cron_has_no_slot_before_its_start_nor_at_its_end() -> None:
    trigger = Cron(start=NOON + 1, expression="0 * * * *", end=NOON + 180 * MINUTE)

    assert list(slots_between(trigger, 0, NOON + YEAR)) == [
        NOON + 60 * MINUTE,
        NOON + 120 * MINUTE,
    ]
    assert count_between(trigger, 0, NOON + YEAR) == 2
    assert previous_before(trigger, NOON + 60 * MINUTE) is None


@pytest.mark.parametrize(
    ("macro", "slot"),
    [
        ("@minutely", "2026-11-23 12:01:00 UTC"),
        ("@hourly", "2026-11-23 13:00:00 UTC"),
        ("@daily", "2026-11-24 00:00:00 UTC"),
        ("@midnight", "2026-11-24 00:00:00 UTC"),
        ("@weekly", "2026-11-29 00:00:00 UTC"),
        ("@monthly", "2026-12-01 00:00:00 UTC"),
        ("@yearly", "2027-01-01 00:00:00 UTC"),
        (" @Annually ", "2027-01-01 00:00:00 UTC"),
    ],
)
def test_macros(macro: str, slot: str) -> None:
    found = next_after(Cron(start=NOON, expression=macro), NOON)

    assert found is not None
    assert to_text(found) == slot


def test_days_that_are_far_apart_are_found() -> None:
    leap_monday = Cron(start=NOON, expression="0 0 29 2 mon", day_and=True)
    in_2098 = Cron(start=NOON, expression="0 0 0 1 1 ? 2098", timezone="Europe/Warsaw")

    found = [next_after(trigger, NOON) for trigger in (leap_monday, in_2098)]

    assert [to_text(slot, "Europe/Warsaw")[:10] for slot in found if slot is not None] == [
        "2044-02-29",
        "2098-01-01",
    ]
    assert found[1] is not None
    assert next_after(in_2098, found[1]) is None
    assert previous_before(in_2098, found[1] + YEAR) == found[1]
    assert previous_before(leap_monday, NOON + 30 * YEAR) == found[0]


def test_h_depends_on_the_name_only() -> None:
    def slot(expression: str, seed: str) -> int | None:
        return next_after(Cron(start=NOON, expression=expression, seed=seed), NOON)

    for expression in ("H H * * *", "H H H * *", "0 0 * * H", "H/15 * * * *", "H(0-29) * * * *"):
        slots = {slot(expression, f"job-{number}") for number in range(200)}
        assert len(slots) > 5
        assert slots == {slot(expression, f"job-{number}") for number in range(200)}


def test_h_keeps_to_its_range_and_step() -> None:
    for number in range(50):
        trigger = Cron(start=NOON, expression="H(30-49)/10 * * * *", seed=str(number))
        minutes = [
            slot // MINUTE % 60 for slot in slots_between(trigger, NOON, NOON + 60 * MINUTE)
        ]
        assert len(minutes) == 2
        assert all(30 <= minute <= 49 for minute in minutes)
        assert abs(minutes[1] - minutes[0]) == 10


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("", "it has 0 fields, and 5, 6 or 7 are expected"),
        ("* * * *", "it has 4 fields"),
        ("* * * * * * * *", "it has 8 fields"),
        ("61 * * * *", "`61` is out of range: minute is 0-59"),
        (
            "99 25 32 * ?",
            (
                "`99` is out of range: minute is 0-59; `25` is out of range: hour is 0-23; "
                "`32` is out of range: day of month is 1-31"
            ),
        ),
        ("* 24 * * *", "`24` is out of range: hour is 0-23"),
        ("* * 0 * *", "`0` is out of range: day of month is 1-31"),
        ("* * * 13 *", "`13` is out of range: month is 1-12"),
        ("* * * * 8", "`8` is out of range: day of week is 0-7"),
        ("* * * * funday", "`funday` is not a valid day of week: 0-7 or sun-sat"),
        ("fri * * * *", "`fri` is not a valid minute: 0-59"),
        ("*/0 * * * *", "a step of minute is from 1 to 60"),
        ("*/x * * * *", "a step of minute is from 1 to 60"),
        ("*/61 * * * *", "a step of minute is from 1 to 60"),
        ("1,,2 * * * *", "`` is not a valid minute"),
        ("-5 * * * *", "`` is not a valid minute"),
        ("1-2-3 * * * *", "`2-3` is not a valid minute"),
        ("? * * * *", "`?` is not a valid minute"),
        ("* * L-31 * *", "before the first day of every month"),
        ("* * 32W * *", "`32` is out of range: day of month is 1-31"),
        ("* * * * L", "`friL` is the last Friday"),
        ("* * * * fri#6", "a weekday comes from 1 to 5 times"),
        ("0 0 0 1 1 ? 2030-2027", "years do not start again"),
        ("0 0 0 1 1 ? 1969", "`1969` is out of range: year is 1970-2099"),
        ("0 0 0 1 1 ? H", "`H` cannot be spread over this year"),
        ("H(30-10) * * * *", "`H` cannot be spread over this minute"),
        ("@reboot", "let a service run at startup"),
        ("@fortnightly", "unknown macro; use one of @yearly"),
        ("@every", "is not a valid duration; examples: 90s"),
        ("@every 0s", "is not a valid duration; examples: 90s"),
        ("@every five minutes", "is not a valid duration; examples: 90s"),
        ("\u0661 * * * *", "is not a valid minute"),
        ("0 0 31 2 *", "never matches"),
        ("0 0 30 2 *", "never matches"),
        ("0 0 31 4,6,9,11 *", "never matches"),
        ("0 0 31W 2 *", "never matches"),
        ("0 0 0 1 1 ? 2020", "never matches: its last year, 2020, has passed"),
        ("0 0 0 30 2 ? 2099", "never matches: no such date exists"),
        ("daily", "it has 1 field, and 5, 6 or 7 are expected"),
        ("* * * * * 2030", "day of week is 0-7; with 6 fields the first is the second"),
        ("* * * * * 9 2030", "with 7 fields the first is the second and the last is the year"),
        ("TZ=UTC 0 2 * * *", "a time zone is the field `timezone` of the job"),
        ("CRON_TZ=UTC 0 2 * * *", "a time zone is the field `timezone` of the job"),
    ],
)
def test_an_invalid_expression_is_refused_with_the_reason(expression: str, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check(Cron(start=NOON, expression=expression), NOON)

    assert words in str(caught.value)
    assert [error.field for error in caught.value.errors] == ["cron_definition"]


@pytest.mark.parametrize(
    ("trigger", "field", "words"),
    [
        (Interval(start=NOON), "seconds", "At least one of ['weeks', 'days', 'hours', 'minutes'"),
        (Interval(start=NOON, minutes=-1), "minutes", "`minutes` must not be negative"),
        (Interval(start=NOON, hours=1, end=NOON), "end_date", "must be later than `start_date`"),
        (
            Interval(start=NOON, hours=1, end=NOON - MINUTE, timezone="Asia/Tokyo"),
            "end_date",
            "`end_date` has passed: 2026-11-23 20:59:00 Asia/Tokyo",
        ),
        (
            Interval(start=NOON - 9 * MINUTE, hours=1, end=NOON + MINUTE),
            "end_date",
            "It would never run",
        ),
        (
            Cron(start=NOON, expression="0 0 1 * *", end=NOON + 24 * 60 * MINUTE),
            "end_date",
            "It would never run: no slot lies between now and `end_date`",
        ),
        (
            Cron(start=NOON, expression="@daily", timezone="Mars/Olympus"),
            "timezone",
            "Mars/Olympus",
        ),
    ],
)
def test_a_trigger_without_a_future_slot_is_refused(trigger: Any, field: str, words: str) -> None:
    with pytest.raises(BadInputError) as caught:
        check(trigger, NOON)

    assert words in str(caught.value)
    assert caught.value.errors[0].field == field


def test_all_wrong_fields_are_named() -> None:
    trigger = Cron(start=NOON, expression="nonsense", timezone="Nowhere")

    with pytest.raises(BadInputError) as caught:
        check(trigger, NOON)

    assert [error.field for error in caught.value.errors] == ["timezone", "cron_definition"]


@pytest.mark.parametrize(
    "trigger",
    [
        OneTime(start=NOON - YEAR),
        Interval(start=NOON, milliseconds=1),
        Cron(start=NOON, expression="0 0 29 2 *", timezone="Europe/Warsaw"),
        Cron(start=NOON, expression="*/2 5-7,9 1,15 jan-mar mon", timezone="Asia/Kathmandu"),
        Cron(start=NOON, expression="0 9 LW * friL"),
        Cron(start=NOON, expression="5-5 22-2 * * fri-mon"),
        Cron(start=NOON, expression="@every 500ms"),
    ],
    ids=str,
)
def test_a_valid_trigger_is_accepted(trigger: Any) -> None:
    check(trigger, NOON)

    assert next_after(trigger, trigger.start - 1) is not None


@pytest.mark.parametrize(
    ("field", "after", "slot"),
    [
        ("1W", "2026-07-31", "2026-08-03"),  # the 1st is a Saturday
        ("31W", "2026-05-20", "2026-05-29"),  # the 31st is a Sunday
        ("15W", "2026-08-10", "2026-08-14"),  # the 15th is a Saturday
        ("16W", "2026-08-10", "2026-08-17"),  # the 16th is a Sunday
        ("31W", "2026-06-01", "2026-07-31"),  # June has no 31st
        ("LW", "2026-05-20", "2026-05-29"),
        ("L", "2028-02-10", "2028-02-29"),
        ("L-30", "2026-02-01", "2026-03-01"),
    ],
)
def test_days_that_depend_on_the_month(field: str, after: str, slot: str) -> None:
    trigger = Cron(start=0, expression=f"0 0 {field} * *")

    assert next_after(trigger, parse_moment(after)) == parse_moment(slot)
