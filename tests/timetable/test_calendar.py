from datetime import date

import msgspec
import pytest

from zato_lite.errors import BadInputError
from zato_lite.timetable.calendar import Calendar, DateRange, check_calendar


def why(calendar: Calendar, day: date) -> str | None:
    return calendar.why_excluded((day - date(1970, 1, 1)).days)


POLAND = Calendar(
    name="PL",
    weekdays=(5, 6),
    dates=(date(2027, 5, 4),),
    yearly=("01-01", "easter+1", "easter+60", "12-25", "thu#4 nov", "monL may", "02-29"),
    ranges=(DateRange(date(2027, 7, 1), date(2027, 7, 14), "freeze"),),
    included=(date(2027, 12, 25),),
)


@pytest.mark.parametrize(
    ("day", "reason"),
    [
        (date(2027, 1, 1), "01-01"),
        (date(2027, 3, 29), "easter+1"),
        (date(2026, 6, 4), "easter+60"),
        (date(2026, 11, 26), "thu#4 nov"),
        (date(2027, 5, 31), "monL may"),
        (date(2027, 5, 4), "2027-05-04"),
        (date(2027, 7, 1), "freeze"),
        (date(2027, 7, 14), "freeze"),
        (date(2027, 7, 15), None),
        (date(2027, 1, 2), "Saturday"),
        (date(2027, 12, 25), None),
        (date(2027, 1, 4), None),
        (date(2028, 2, 29), "02-29"),
        (date(2027, 3, 1), None),
    ],
)
def test_a_calendar_says_why_a_day_is_excluded(day: date, reason: str | None) -> None:
    assert why(POLAND, day) == reason


@pytest.mark.parametrize(
    ("year", "easter"), [(1961, "04-02"), (2000, "04-23"), (2026, "04-05"), (2038, "04-25")]
)
def test_easter_falls_on_the_known_dates(year: int, easter: str) -> None:
    day = date.fromisoformat(f"{year}-{easter}")

    assert why(Calendar(name="e", yearly=("easter",)), day) == "easter"


def test_a_calendar_survives_the_store() -> None:
    kept = msgspec.json.encode(POLAND)

    assert msgspec.json.decode(kept, type=Calendar) == POLAND


def test_all_mistakes_of_a_calendar_are_named() -> None:
    calendar = Calendar(
        name=" ",
        weekdays=(0, 1, 2, 3, 4, 5, 6, 7),
        yearly=("02-30", "someday", "13-01", "12-25"),
        ranges=(DateRange(date(2027, 2, 1), date(2027, 1, 1)),),
    )

    with pytest.raises(BadInputError) as caught:
        check_calendar(calendar)

    fields = [error.field for error in caught.value.errors]
    assert fields == ["name", "weekdays", "yearly", "yearly", "yearly", "ranges"]


def test_a_calendar_without_mistakes_is_accepted() -> None:
    check_calendar(POLAND)  # raises if it is not
