"""Calendars: named sets of days on which jobs do not run, as data that the store saves."""

import re
from calendar import monthrange
from collections.abc import Iterator
from datetime import date, timedelta
from functools import lru_cache

import msgspec

from zato_lite.errors import BadInputError, FieldError

_EPOCH = date(1970, 1, 1).toordinal()
_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_FULL = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_FIXED = re.compile(r"(\d{2})-(\d{2})")
_EASTER = re.compile(r"easter(?:([+-])(\d{1,3}))?")
_NTH = re.compile(rf"({'|'.join(_WEEKDAYS)})(?:#([1-5])|l) ({'|'.join(_MONTHS)})")


class DateRange(msgspec.Struct, frozen=True, omit_defaults=True):
    """A period of excluded days, the first and the last included."""

    first: date
    last: date
    reason: str = ""


class Calendar(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A set of excluded days; a day is one in the job's time zone.

    Attributes:
        name: the name by which jobs refer to it.
        dates: single days.
        weekdays: 0 is Monday and 6 is Sunday.
        yearly: rules for a day of each year: ``12-25``, ``easter``, ``easter+1``, ``thu#4 nov``
            (the fourth Thursday), ``monL may`` (the last Monday).
        ranges: periods of days, such as a release freeze.
        included: open days; they take precedence over all others.
    """

    name: str
    description: str = ""
    dates: tuple[date, ...] = ()
    weekdays: tuple[int, ...] = ()
    yearly: tuple[str, ...] = ()
    ranges: tuple[DateRange, ...] = ()
    included: tuple[date, ...] = ()

    def why_excluded(self, day: int) -> str | None:
        """Return why a day (counted from 1970-01-01) is excluded; None if it is open."""
        day_date = date.fromordinal(day + _EPOCH)
        if day_date in self.included:
            return None
        if day_date in self.dates:
            return day_date.isoformat()
        if day_date.weekday() in self.weekdays:
            return _FULL[day_date.weekday()]
        if self.yearly and (rule := _rules_of(self.yearly, day_date.year).get(day_date)):
            return rule
        for span in self.ranges:
            if span.first <= day_date <= span.last:
                return span.reason or f"{span.first} to {span.last}"
        return None


def check_calendar(calendar: Calendar) -> None:
    """Check that the calendar's rules are valid and leave a weekday open.

    Raises:
        BadInputError: names every wrong field.
    """
    if errors := list(_mistakes(calendar)):
        raise BadInputError.of(errors)


def _mistakes(calendar: Calendar) -> Iterator[FieldError]:
    if not calendar.name.strip():
        yield FieldError("name", calendar.name, "A calendar needs a name")
    for day in calendar.weekdays:
        if not 0 <= day < len(_WEEKDAYS):
            message = f"`{day}` is not a valid weekday; 0 is Monday and 6 is Sunday"
            yield FieldError("weekdays", day, message)
    if len(set(calendar.weekdays)) == len(_WEEKDAYS):
        yield FieldError("weekdays", calendar.weekdays, "At least one weekday must stay open")
    for rule in calendar.yearly:
        if not _is_rule(rule):
            message = f"`{rule}` is not a valid rule; use 12-25, easter+1, thu#4 nov or monL may"
            yield FieldError("yearly", rule, message)
    for span in calendar.ranges:
        if span.last < span.first:
            message = f"{span.last} is before {span.first}"
            yield FieldError("ranges", f"{span.first}/{span.last}", message)


def _is_rule(rule: str) -> bool:
    """Return True if the text names a day in at least one year."""
    text = rule.strip().lower()
    known = any(form.fullmatch(text) for form in (_FIXED, _EASTER, _NTH))
    return known and any(_day_of(text, year) for year in range(2024, 2052))


@lru_cache(maxsize=256)
def _rules_of(rules: tuple[str, ...], year: int) -> dict[date, str]:
    """Return the days of a year that the rules name, each with its rule."""
    found = {_day_of(rule.strip().lower(), year): rule for rule in reversed(rules)}
    return {day: rule for day, rule in found.items() if day is not None}


def _day_of(rule: str, year: int) -> date | None:
    """Return the day that a rule names in a year, or None if that year lacks it."""
    if fixed := _FIXED.fullmatch(rule):
        month, day = int(fixed[1]), int(fixed[2])
        exists = 1 <= month <= len(_MONTHS) and 1 <= day <= monthrange(year, month)[1]
        return date(year, month, day) if exists else None
    if easter := _EASTER.fullmatch(rule):
        days = int(easter[2] or 0)
        return _easter(year) + timedelta(days if easter[1] != "-" else -days)
    if nth := _NTH.fullmatch(rule):
        month = _MONTHS.index(nth[3]) + 1
        weekday, length = _WEEKDAYS.index(nth[1]), monthrange(year, month)[1]
        first = (weekday - date(year, month, 1).weekday()) % 7 + 1
        days_found = range(first, length + 1, 7)
        index = int(nth[2]) - 1 if nth[2] else -1
        return date(year, month, days_found[index]) if index < len(days_found) else None
    return None


def _easter(year: int) -> date:
    """Return Easter Sunday of the western churches (algorithm of Meeus, Jones and Butcher)."""
    a, (b, c) = year % 19, divmod(year, 100)
    d, e = divmod(b, 4)
    g = (8 * b + 13) // 25
    h = (19 * a + b - d - g + 15) % 30
    i, k = divmod(c, 4)
    weekday = (32 + 2 * e + 2 * i - h - k) % 7
    m = (a + 11 * h + 22 * weekday) // 451
    month, day = divmod(h + weekday - 7 * m + 114, 31)
    return date(year, month, day + 1)
