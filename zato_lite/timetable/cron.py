"""What a cron expression says: from its text to sets of numbers, and from a wall time to the next.

Wall times are whole seconds since 1970-01-01T00:00:00 on a clock that knows no zone.
"""

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple
from zlib import crc32

from zato_lite.errors import BadInputError, FieldError

DAY = 86_400
"""Seconds in a day."""

MACROS = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
    "@minutely": "* * * * *",
}

FIRST_YEAR, LAST_YEAR = 1970, 2199
_YEARS_WITHOUT = 41
"""No day that exists at all stays away longer: 29 February on a given weekday, around 2100."""

_LONGEST = 1_000
_REMEMBERED = 1_200
"""Months of which an expression remembers its days: a century's."""

_ORDINAL_1970 = date(1970, 1, 1).toordinal()
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_SPREAD = re.compile(r"h(?:\((\w+)-(\w+)\))?")
_LAST_WEEKDAY = 7
"""Both 0 and 7 are Sunday."""


class _Kind(NamedTuple):
    """One of the seven fields: what it is called, and from where to where it counts."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """The value of one number or name."""
        if text in self.names:
            return self.names.index(text) + self.low
        if not (text.isascii() and text.isdigit()):
            words = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
            raise _Unreadable(f"`{text}` is no {self.name}: {self.low}-{self.high}{words}")
        value = int(text[:9])
        if not self.low <= value <= self.high:
            allowed = f"{self.low}-{self.high}"
            raise _Unreadable(f"`{text}` is out of range: {self.name} is {allowed}")
        return value


_SECOND = _Kind("second", 0, 59)
_MINUTE = _Kind("minute", 0, 59)
_HOUR = _Kind("hour", 0, 23)
_DAY = _Kind("day of month", 1, 31)
_MONTH = _Kind("month", 1, 12, _MONTHS)
_WEEKDAY = _Kind("day of week", 0, _LAST_WEEKDAY, _WEEKDAYS)
_YEAR = _Kind("year", FIRST_YEAR, 2099)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """Why a field cannot be read, in words."""


class DayRule(NamedTuple):
    """A day of the month that depends on the month: ``L``, ``L-3``, ``LW``, ``15W``, ``fri#2``.

    Attributes:
        kind: ``last`` (number = days before the last), ``last_workday``, ``workday`` (nearest to
            the day number), ``nth`` (number of the weekday; ``which`` from 1 to 5, -1 = last).
    """

    kind: Literal["last", "last_workday", "workday", "nth"]
    number: int = 0
    which: int = 0


class Expression:
    """A cron expression that was read. It has no memory but a memo of the months it was asked."""

    __slots__ = (
        "_memo", "_next_hour", "_next_minute", "_next_second", "_previous_hour",
        "_previous_minute", "_previous_second", "both", "cadence", "days", "fields", "hours",
        "minutes", "months", "rules", "seconds", "weekday_rules", "weekdays", "years",
    )  # fmt: skip

    def __init__(self, fields: tuple[str, ...], seed: str, *, day_and: bool) -> None:
        second, minute, hour, day, month, weekday, year = fields
        self.fields = fields
        self.seconds = _values(_SECOND, second, seed)
        self.minutes = _values(_MINUTE, minute, seed)
        self.hours = _values(_HOUR, hour, seed)
        self.months = frozenset(_values(_MONTH, month, seed))
        self.years = None if year == "*" else frozenset(_values(_YEAR, year, seed))
        day, weekday = day.replace("?", "*"), weekday.replace("?", "*")
        self.days, self.rules = _days(day, seed)
        self.weekdays, self.weekday_rules = _weekdays(weekday, seed)
        self.both = day_and or day.startswith("*") or weekday.startswith("*")
        self.cadence = _is_cadence(minute) or _is_cadence(hour)
        self._memo: dict[int, int] = {}
        self._next_second, self._previous_second = _neighbours(self.seconds, 60)
        self._next_minute, self._previous_minute = _neighbours(self.minutes, 60)
        self._next_hour, self._previous_hour = _neighbours(self.hours, 24)

    def matches(self, wall: int) -> bool:
        """Whether the wall time is one of the expression's."""
        return self.next(wall) == wall

    def next(self, wall: int) -> int | None:
        """The first match at or after ``wall``, or None when there is never one again."""
        day, second = divmod(wall, DAY)
        found = self._next_day(day)
        if found == day:
            time = self._next_time(second)
            if time >= 0:
                return day * DAY + time
            found = self._next_day(day + 1)
        if found is None:
            return None
        return found * DAY + self._first_time

    def previous(self, wall: int) -> int | None:
        """The last match at or before ``wall``, or None when there was never one since 1970."""
        day, second = divmod(wall, DAY)
        found = self._previous_day(day)
        if found == day:
            time = self._previous_time(second)
            if time >= 0:
                return day * DAY + time
            found = self._previous_day(day - 1)
        if found is None:
            return None
        return found * DAY + self._last_time

    def count(self, first: int, stop: int) -> int:
        """How many matches there are in [first, stop), counted by whole months."""
        if stop <= first:
            return 0
        first_day, first_second = divmod(first, DAY)
        stop_day, stop_second = divmod(stop, DAY)
        whole = self._count_days(first_day, stop_day) * self._per_day
        before = self._times_before(first_second) if self._is_day(first_day) else 0
        after = self._times_before(stop_second) if self._is_day(stop_day) else 0
        return whole - before + after

    @property
    def _first_time(self) -> int:
        return self.hours[0] * 3600 + self.minutes[0] * 60 + self.seconds[0]

    @property
    def _last_time(self) -> int:
        return self.hours[-1] * 3600 + self.minutes[-1] * 60 + self.seconds[-1]

    @property
    def _per_day(self) -> int:
        return len(self.hours) * len(self.minutes) * len(self.seconds)

    def _next_time(self, time: int) -> int:
        hour, rest = divmod(time, 3600)
        if self._next_hour[hour] == hour:
            minute, second = divmod(rest, 60)
            if self._next_minute[minute] == minute and self._next_second[second] >= 0:
                return hour * 3600 + minute * 60 + self._next_second[second]
            if (minute := self._next_minute[minute + 1]) >= 0:
                return hour * 3600 + minute * 60 + self.seconds[0]
        hour = self._next_hour[hour + 1]
        return -1 if hour < 0 else hour * 3600 + self.minutes[0] * 60 + self.seconds[0]

    def _previous_time(self, time: int) -> int:
        hour, rest = divmod(time, 3600)
        if self._previous_hour[hour] == hour:
            minute, second = divmod(rest, 60)
            if self._previous_minute[minute] == minute and self._previous_second[second] >= 0:
                return hour * 3600 + minute * 60 + self._previous_second[second]
            if (minute := self._previous_minute[minute - 1]) >= 0:
                return hour * 3600 + minute * 60 + self.seconds[-1]
        hour = self._previous_hour[hour - 1]
        return -1 if hour < 0 else hour * 3600 + self.minutes[-1] * 60 + self.seconds[-1]

    def _times_before(self, time: int) -> int:
        hour, rest = divmod(time, 3600)
        minute, second = divmod(rest, 60)
        count = bisect_left(self.hours, hour) * len(self.minutes) * len(self.seconds)
        if self._next_hour[hour] == hour:
            count += bisect_left(self.minutes, minute) * len(self.seconds)
            if self._next_minute[minute] == minute:
                count += bisect_left(self.seconds, second)
        return count

    def _is_day(self, day: int) -> bool:
        there = date.fromordinal(day + _ORDINAL_1970)
        return bool(self._month(there.year * 12 + there.month - 1) >> there.day & 1)

    def _next_day(self, day: int) -> int | None:
        there = date.fromordinal(day + _ORDINAL_1970)
        month = there.year * 12 + there.month - 1
        if left := self._month(month) >> there.day:
            return day + _lowest(left)
        for later in range(month + 1, min(month + _YEARS_WITHOUT * 12, (LAST_YEAR + 1) * 12)):
            if days := self._month(later):
                return _ordinal(later) - 1 + _lowest(days)
        return None if self.years is None else self._next_far_day(month)

    def _next_far_day(self, month: int) -> int | None:
        """The same among the years named, however far away they are."""
        for year in sorted(self.years or ()):
            for later in range(max(year * 12, month + 1), year * 12 + 12):
                if days := self._month(later):
                    return _ordinal(later) - 1 + _lowest(days)
        return None

    def _previous_day(self, day: int) -> int | None:
        there = date.fromordinal(day + _ORDINAL_1970)
        month = there.year * 12 + there.month - 1
        if left := self._month(month) & ((2 << there.day) - 1):
            return day - there.day + left.bit_length() - 1
        for earlier in range(month - 1, FIRST_YEAR * 12 - 1, -1):
            if days := self._month(earlier):
                return _ordinal(earlier) - 1 + days.bit_length() - 1
        return None

    def _count_days(self, first: int, stop: int) -> int:
        """How many matching days there are from ``first`` up to and without ``stop``."""
        start, end = (date.fromordinal(day + _ORDINAL_1970) for day in (first, stop))
        first_month, last_month = (day.year * 12 + day.month - 1 for day in (start, end))
        whole = sum(self._month(month).bit_count() for month in range(first_month, last_month))
        before = self._month(first_month) & ((1 << start.day) - 1)
        after = self._month(last_month) & ((1 << end.day) - 1)
        return whole - before.bit_count() + after.bit_count()

    def _month(self, month: int) -> int:
        """The matching days of a month (year · 12 + month from 0), as bits 1 to 31."""
        days = self._memo.get(month)
        if days is None:
            if len(self._memo) >= _REMEMBERED:
                self._memo.clear()
            days = self._memo[month] = self._days_of(*divmod(month, 12))
        return days

    def _days_of(self, year: int, month: int) -> int:
        if month + 1 not in self.months or (self.years is not None and year not in self.years):
            return 0
        first = _ordinal(year * 12 + month)
        length = _ordinal(year * 12 + month + 1) - first
        weekday = (first + 4) % 7  # 1970-01-01 was a Thursday
        days = self.days
        for rule in self.rules:
            days |= _rule_days(rule, weekday, length)
        by_weekday = 0
        for day in self.weekdays:
            by_weekday |= _each_weekday(day, weekday, length)
        for rule in self.weekday_rules:
            by_weekday |= _rule_days(rule, weekday, length)
        found = days & by_weekday if self.both else days | by_weekday
        return found & ((2 << length) - 2)


@lru_cache(maxsize=4_096)
def every(expression: str) -> int | None:
    """Microseconds of ``@every 1h30m``; None when the expression is none of that kind.

    Raises:
        BadInputError: it is one, and what follows is no duration of at least a millisecond.
    """
    words = expression.strip().lower().split(None, 1)
    if not words or words[0] != "@every":
        return None
    text = words[1].replace(" ", "") if len(words) > 1 else ""
    parts = _DURATION.findall(text)
    milliseconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not milliseconds or "".join(number + unit for number, unit in parts) != text:
        raise _refused(expression, f"`{text}` is no duration such as 90s, 5m or 1h30m")
    return milliseconds * 1_000


@lru_cache(maxsize=4_096)
def read(expression: str, seed: str = "", day_and: bool = False) -> Expression:
    """The expression that a text stands for; ``seed`` spreads its ``H``.

    Raises:
        BadInputError: it cannot be read; the words say which part and why.
    """
    if len(expression) > _LONGEST:
        raise _refused(f"{expression[:20]}…", f"it is longer than {_LONGEST} characters")
    text = expression.strip().lower()
    if text.startswith("@"):
        text = _macro(expression, text)
    try:
        return Expression(_seven(text.split()), seed, day_and=day_and)
    except _Unreadable as why:
        raise _refused(expression, str(why)) from None


@lru_cache(maxsize=4_096)
def is_spread(expression: str) -> bool:
    """Whether what the expression says depends on the job's name."""
    return bool(re.search(r"(?<![a-z])h(?![a-z])", expression.lower()))


def _refused(expression: str, why: str) -> BadInputError:
    message = f"Cron definition `{expression}` cannot be read: {why}"
    return BadInputError.of([FieldError("cron_definition", expression, message)])


def _macro(expression: str, text: str) -> str:
    if text == "@reboot":
        raise _refused(expression, "@reboot is no time; let a service run at startup instead")
    if text not in MACROS:
        known = " ".join([*MACROS, "@every 90s"])
        raise _refused(expression, f"there is no macro of this name, only {known}")
    return MACROS[text]


def _seven(fields: list[str]) -> tuple[str, ...]:
    """All seven fields, from second to year."""
    match len(fields):
        case 5:
            return ("0", *fields, "*")
        case 6:
            return (*fields, "*")
        case 7:
            return tuple(fields)
        case count:
            raise _Unreadable(f"it has {count} fields, and 5, 6 or 7 are expected")


def _is_cadence(field: str) -> bool:
    """Whether it is a rhythm rather than a time: then it goes on through a clock change."""
    return any(mark in re.sub(r"\(.*?\)(?!/)", "", field) for mark in "*-/")


def _days(field: str, seed: str) -> tuple[int, tuple[DayRule, ...]]:
    """The days of a month as bits, and the rules for those that depend on the month."""
    plain, rules = [], []
    for item in field.split(","):
        if rule := _day_rule(item):
            rules.append(rule)
        else:
            plain.append(item)
    days = _values(_DAY, ",".join(plain), seed) if plain else ()
    return sum(1 << day for day in days), tuple(rules)


def _day_rule(item: str) -> DayRule | None:
    if item == "lw":
        return DayRule("last_workday")
    if found := re.fullmatch(r"l(?:-(\d{1,2}))?", item):
        before = int(found[1] or 0)
        if before >= _DAY.high:
            raise _Unreadable(f"`{item}` is before the first day of every month")
        return DayRule("last", before)
    if found := re.fullmatch(r"(\d{1,9})w", item):
        return DayRule("workday", _DAY.number(found[1]))
    return None


def _weekdays(field: str, seed: str) -> tuple[tuple[int, ...], tuple[DayRule, ...]]:
    """The weekdays from Sunday = 0, and the rules for those that depend on the month."""
    plain, rules = [], []
    for item in field.split(","):
        if rule := _weekday_rule(item):
            rules.append(rule)
        else:
            plain.append(item)
    days = _values(_WEEKDAY, ",".join(plain), seed) if plain else ()
    return tuple(sorted({day % 7 for day in days})), tuple(rules)


def _weekday_rule(item: str) -> DayRule | None:
    if item == "l":
        raise _Unreadable("`L` as day of week does not say which one; `friL` is the last Friday")
    if found := re.fullmatch(r"(\w+)#(\w+)", item):
        which = found[2]
        if which not in {"1", "2", "3", "4", "5"}:
            raise _Unreadable(f"`{item}`: a weekday comes from 1 to 5 times in a month")
        return DayRule("nth", _WEEKDAY.number(found[1]) % 7, int(which))
    if found := re.fullmatch(r"l([0-7])|([0-7]|[a-z]{3})l", item):
        return DayRule("nth", _WEEKDAY.number(found[1] or found[2]) % 7, -1)
    return None


def _values(kind: _Kind, field: str, seed: str) -> tuple[int, ...]:
    """What the items of a field name, in order, each once."""
    found: set[int] = set()
    for item in field.split(","):
        found.update(_item(kind, item, seed))
    return tuple(sorted(found))


def _item(kind: _Kind, item: str, seed: str) -> Iterator[int]:
    """The values of one of ``*``, ``7``, ``mon-fri``, ``*/5``, ``h`` and ``h(0-29)/10``."""
    body, slash, text = item.partition("/")
    step = _step(kind, item, text) if slash else None
    if spread := _SPREAD.fullmatch(body):
        return _spread(kind, seed, spread[1], spread[2], step)
    high = 6 if kind is _WEEKDAY else kind.high
    if body == "*":
        return iter(range(kind.low, high + 1, step or 1))
    first, dash, last = body.partition("-")
    if dash:
        return _range(kind, kind.number(first), kind.number(last), step or 1)
    number = kind.number(first)
    return iter(range(number, max(number, high) + 1, step)) if step else iter((number,))


def _step(kind: _Kind, item: str, text: str) -> int:
    size = kind.high - kind.low + 1
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= size:
        raise _Unreadable(f"`{item}`: a step of {kind.name} is from 1 to {size}")
    return int(text)


def _range(kind: _Kind, first: int, last: int, step: int) -> Iterator[int]:
    """From the first to the last, over the end when the last comes before the first."""
    if kind is _WEEKDAY and first == _LAST_WEEKDAY:
        first = 0
    if first <= last:
        return iter(range(first, last + 1, step))
    if kind is _YEAR:
        raise _Unreadable(f"`{first}-{last}`: years do not start again")
    size = kind.high - kind.low + 1 if kind is not _WEEKDAY else 7
    return ((value - kind.low) % size + kind.low for value in range(first, last + size + 1, step))


def _spread(
    kind: _Kind, seed: str, low: str | None, high: str | None, step: int | None
) -> Iterator[int]:
    """``H``: one value for each name, or a step that begins at one; day 28 is the last for all."""
    first = kind.low if low is None else kind.number(low)
    last = 28 if kind is _DAY else min(kind.high, 6) if kind is _WEEKDAY else kind.high
    last = last if high is None else kind.number(high)
    if kind is _YEAR or last < first:
        raise _Unreadable(f"`H` cannot be spread over this {kind.name}")
    number = crc32(f"{kind.name}\0{seed}".encode())
    if step is None:
        return iter((first + number % (last - first + 1),))
    return iter(range(first + number % min(step, last - first + 1), last + 1, step))


def _neighbours(values: tuple[int, ...], size: int) -> tuple["array[int]", "array[int]"]:
    """For each number the value at or after it, and the one at or before it; -1 for none.

    Both may be asked one past either end: the last place stands for ``size`` and for -1.
    """
    after, before = [-1] * (size + 1), [-1] * (size + 1)
    for number in range(size):
        after[number] = next((value for value in values if value >= number), -1)
        before[number] = next((value for value in reversed(values) if value <= number), -1)
    return array("b", after), array("b", before)


def _lowest(bits: int) -> int:
    return (bits & -bits).bit_length() - 1


@lru_cache(maxsize=4_096)
def _ordinal(month: int) -> int:
    """Days from 1970-01-01 to the first of a month (year · 12 + month from 0)."""
    return date(month // 12, month % 12 + 1, 1).toordinal() - _ORDINAL_1970


def _each_weekday(day: int, weekday: int, length: int) -> int:
    """All days of a weekday, in a month whose first is ``weekday``, as bits."""
    return sum(1 << number for number in range((day - weekday) % 7 + 1, length + 1, 7))


def _rule_days(rule: DayRule, weekday: int, length: int) -> int:
    """The day that a rule names in a month, as a bit, or 0."""
    day = 0
    match rule.kind:
        case "last":
            day = length - rule.number
        case "last_workday":
            day = _nearest_workday(length, weekday, length)
        case "workday":
            day = _nearest_workday(rule.number, weekday, length)
        case "nth":
            days = list(range((rule.number - weekday) % 7 + 1, length + 1, 7))
            index = rule.which - 1 if rule.which > 0 else -1
            day = days[index] if index < len(days) else 0
    return 1 << day if day > 0 else 0


def _nearest_workday(day: int, weekday: int, length: int) -> int:
    """The day from Monday to Friday that is nearest and in the same month; 0 if none is there."""
    if day > length:
        return 0
    match (weekday + day - 1) % 7:
        case 6:  # Saturday
            return day - 1 if day > 1 else day + 2
        case 0:  # Sunday
            return day + 1 if day < length else day - 2
        case _:
            return day
