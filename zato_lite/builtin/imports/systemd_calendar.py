"""Calendar expressions of systemd.time(7) as cron expressions of ours."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import NoEquivalentError, cron_fields, quoted
from zato_lite.builtin.imports.numbers import Kind
from zato_lite.errors import BadInputError
from zato_lite.timetable.zone import check_zone

_SHORTHANDS: Mapping[str, str] = {
    "minutely": "*-*-* *:*:00",
    "hourly": "*-*-* *:00:00",
    "daily": "*-*-* 00:00:00",
    "monthly": "*-*-01 00:00:00",
    "weekly": "Mon *-*-* 00:00:00",
    "yearly": "*-01-01 00:00:00",
    "annually": "*-01-01 00:00:00",
    "quarterly": "*-01,04,07,10-01 00:00:00",
    "semiannually": "*-01,07-01 00:00:00",
    "semi-annually": "*-01,07-01 00:00:00",
    "biannually": "*-01,07-01 00:00:00",
    "bi-annually": "*-01,07-01 00:00:00",
}
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_WEEKDAY_ITEM = re.compile(r"([a-z]+)(?:(?:\.\.|-)([a-z]+))?")
_DATE = re.compile(
    r"(?:(?P<year>[\d*.,/]+)-)?(?P<month>[\d*.,/]+)(?P<mark>[-~])(?P<day>[\d*.,/]+)"
)
_SHORT_DATE = re.compile(r"(?P<year>[\d*.,/]+)-(?P<month>[\d*.,/]+)")
_TIME = re.compile(r"(?P<hour>[\d*.,/]+):(?P<minute>[\d*.,/]+)(?::(?P<second>[\d*.,/]+))?")
_ITEM = re.compile(r"(\d{1,4})(?:\.\.(\d{1,4}))?(?:/(\d{1,4}))?")
_CENTURY = 100
_FIRST_SHORT_YEAR = 70
_LAST_DAY_FROM_END = 28


class Calendar(NamedTuple):
    """A calendar expression: the fields of a cron job, and its time zone if it has one."""

    fields: dict[str, Any]
    timezone: str | None


def convert(expression: str) -> Calendar:
    """Return an expression of ``OnCalendar`` as a cron expression.

    Raises:
        NoEquivalentError: systemd refuses it, or it is finer than a second.
    """
    words = expression.split()
    timezone = _timezone(words)
    if len(words) == 1 and words[0].lower() in _SHORTHANDS:
        words = _SHORTHANDS[words[0].lower()].split()
    weekdays = numbers.WEEKDAY.all if not words or not words[0][0].isalpha() else None
    days = {*weekdays} if weekdays is not None else {*_weekdays(words.pop(0))}
    date = {"year": "*", "month": "*", "mark": "-", "day": "*"}
    time = {"hour": "00", "minute": "00", "second": "00"}
    if words and (match := _DATE.fullmatch(words[0]) or _SHORT_DATE.fullmatch(words[0])):
        date |= {key: text for key, text in match.groupdict().items() if text is not None}
        words.pop(0)
    if words and (match := _TIME.fullmatch(words[0])):
        time |= {key: text for key, text in match.groupdict().items() if text is not None}
        words.pop(0)
    if words or not expression.strip():
        raise NoEquivalentError(f"{quoted(expression)} is not valid in OnCalendar=")
    return Calendar(_cron(date, time, days), timezone)


def _timezone(words: list[str]) -> str | None:
    """Remove a time zone at the end of the words, and return it."""
    if len(words) < 2 or not words[-1][0].isalpha():  # noqa: PLR2004
        return None
    try:
        check_zone(words[-1])
    except BadInputError as error:
        raise NoEquivalentError(str(error)) from error
    return words.pop()


def _weekdays(text: str) -> Iterator[int]:
    """Yield weekdays, Sunday = 0; in systemd a week begins with Monday, and ranges do not wrap."""
    for item in text.removesuffix(",").lower().split(","):
        match = _WEEKDAY_ITEM.fullmatch(item)
        first, last = (match[1], match[2] or match[1]) if match else ("", "")
        places = [at for each in (first, last) for at in _places(each)]
        if len(places) != 2 or places[0] > places[1]:  # noqa: PLR2004
            raise NoEquivalentError(f"{quoted(item)} is not a valid day of week in OnCalendar=")
        yield from ((day + 1) % 7 for day in range(places[0], places[1] + 1))


def _places(name: str) -> list[int]:
    return [at for at, full in enumerate(_WEEKDAYS) if name in (full, full[:3])]


def _cron(date: Mapping[str, str], time: Mapping[str, str], days: set[int]) -> dict[str, Any]:
    clock = [
        _field(numbers.SECOND, time["second"]),
        _field(numbers.MINUTE, time["minute"]),
        _field(numbers.HOUR, time["hour"]),
    ]
    day = _from_end(date["day"]) if date["mark"] == "~" else _field(numbers.DAY, date["day"])
    weekday = numbers.written(numbers.WEEKDAY, days)
    expression = [*clock, day, _field(numbers.MONTH, date["month"]), weekday]
    if date["year"] != "*":
        expression.append(numbers.written(numbers.YEAR, _years(date["year"])))
    both = {"cron_day_and": True} if day != "*" and weekday != "*" else {}
    return cron_fields(" ".join(expression)) | both


def _field(kind: Kind, text: str) -> str:
    if text == "*":
        return "*"
    return numbers.written(kind, {n for item in text.split(",") for n in _item(kind, item)})


def _item(kind: Kind, item: str) -> range:
    match = _ITEM.fullmatch(item)
    if match is None:
        finer = "; parts of a second have no equivalent" if kind is numbers.SECOND else ""
        raise NoEquivalentError(f"{quoted(item)} is not a valid {kind.name}{finer}")
    first = int(match[1])
    last = int(match[2]) if match[2] else kind.high if match[3] else first
    step = int(match[3]) if match[3] else 1
    if not kind.low <= first <= last <= kind.high or step < 1:
        allowed = f"{kind.low}..{kind.high}"
        raise NoEquivalentError(f"{quoted(item)} is out of range: {kind.name} is {allowed}")
    if match[3] and not match[2] and first + step > kind.high:
        raise NoEquivalentError(
            f"{quoted(item)}: no second {kind.name} follows; systemd refuses it"
        )
    return range(first, last + 1, step)


def _from_end(text: str) -> str:
    """Return days that are counted from the end of the month: ``~07/1`` are the last seven."""
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None or (match[2] and match[3]):
            raise NoEquivalentError(f"~{item} in OnCalendar= has no equivalent")
        first, step = int(match[1]), int(match[3] or 0)
        last = int(match[2] or first)
        if not 1 <= first <= last <= _LAST_DAY_FROM_END:
            raise NoEquivalentError(f"~{item}: a day from the end is 1 to {_LAST_DAY_FROM_END}")
        if step >= first and step:
            raise NoEquivalentError(f"~{item}: no second day follows; systemd refuses it")
        found.update(range(first, 0, -step) if step else range(first, last + 1))
    return ",".join(f"L-{day - 1}" if day > 1 else "L" for day in sorted(found, reverse=True))


def _years(text: str) -> set[int]:
    found: set[int] = set()
    for item in text.split(","):
        match = _ITEM.fullmatch(item)
        if match is None:
            raise NoEquivalentError(f"{quoted(item)} is not a valid year")
        first = _full_year(int(match[1]))
        last = _full_year(int(match[2])) if match[2] else first
        if match[3] and not match[2]:
            last = numbers.YEAR.high
        found.update(range(first, last + 1, int(match[3] or 1) or 1))
    if not found or not found <= {*numbers.YEAR.all}:
        raise NoEquivalentError(f"years are from {numbers.YEAR.low} to {numbers.YEAR.high}")
    return found


def _full_year(year: int) -> int:
    if year >= _CENTURY:
        return year
    return year + (1900 if year >= _FIRST_SHORT_YEAR else 2000)
