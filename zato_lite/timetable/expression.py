"""Parsed cron expression: finds and counts matching wall times.

Wall times are whole seconds since 1970-01-01T00:00:00, without a zone.
"""

from array import array
from bisect import bisect_left
from datetime import date
from functools import lru_cache
from typing import Literal, NamedTuple

from zato_lite.timetable.job import DAY_S

FIRST_YEAR, LAST_YEAR = 1970, 2199
_MAX_YEARS_BETWEEN = 41
"""Years between two matches at most: 29 February on a given weekday, around 2100."""

_MAX_CACHED_MONTHS = 1_200
"""Months whose days an expression caches: a century's."""

_ORDINAL_1970 = date(1970, 1, 1).toordinal()


class DayRule(NamedTuple):
    """Rule for a day that depends on the month: ``L``, ``L-3``, ``LW``, ``15W``, ``fri#2``.

    Attributes:
        kind: ``last`` (number = days before the last), ``last_workday``, ``workday`` (nearest to
            the day number), ``nth`` (number of the weekday; ``which`` from 1 to 5, -1 = last).
    """

    kind: Literal["last", "last_workday", "workday", "nth"]
    number: int = 0
    which: int = 0


class DaySet(NamedTuple):
    """The matching days of an expression.

    Attributes:
        days: days of the month, as bits. rules: days that depend on the month.
        weekdays: from Sunday = 0. weekday_rules: weekdays that depend on the month.
        both: a day must match by date and by weekday, instead of by either.
    """

    days: int
    rules: tuple[DayRule, ...]
    weekdays: tuple[int, ...]
    weekday_rules: tuple[DayRule, ...]
    both: bool


class Expression:
    """A parsed cron expression; immutable but for a cache of the days of months.

    Attributes:
        fields: the seven fields as text, from second to year.
        hours, minutes, seconds, months, years: the matching numbers; years is None for all.
        days, rules, weekdays, weekday_rules, both: see ``DaySet``.
        cadence: minute or hour begins with ``*``, so it continues through a clock change.
    """

    __slots__ = (
        "_cached_days", "_next_hour", "_next_minute", "_next_second", "_previous_hour",
        "_previous_minute", "_previous_second", "both", "cadence", "days", "fields", "hours",
        "minutes", "months", "rules", "seconds", "weekday_rules", "weekdays", "years",
    )  # fmt: skip

    def __init__(
        self,
        fields: tuple[str, ...],
        *,
        times: tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...]],
        days: DaySet,
        months: frozenset[int],
        years: frozenset[int] | None,
        cadence: bool,
    ) -> None:
        self.fields, self.cadence = fields, cadence
        self.hours, self.minutes, self.seconds = times
        self.days, self.rules, self.weekdays, self.weekday_rules, self.both = days
        self.months, self.years = months, years
        self._cached_days: dict[int, int] = {}
        self._next_second, self._previous_second = _neighbours(self.seconds, 60)
        self._next_minute, self._previous_minute = _neighbours(self.minutes, 60)
        self._next_hour, self._previous_hour = _neighbours(self.hours, 24)

    def matches(self, wall: int) -> bool:
        """Return True if the wall time matches."""
        return self.next(wall) == wall

    def next(self, wall: int) -> int | None:
        """Return the first match at or after ``wall``, or None if no match follows."""
        day, second = divmod(wall, DAY_S)
        found = self._next_day(day)
        if found == day:
            time = self._next_time(second)
            if time >= 0:
                return day * DAY_S + time
            found = self._next_day(day + 1)
        if found is None:
            return None
        return found * DAY_S + self._first_time

    def previous(self, wall: int) -> int | None:
        """Return the last match at or before ``wall``, or None if there was none since 1970."""
        day, second = divmod(wall, DAY_S)
        found = self._previous_day(day)
        if found == day:
            time = self._previous_time(second)
            if time >= 0:
                return day * DAY_S + time
            found = self._previous_day(day - 1)
        if found is None:
            return None
        return found * DAY_S + self._last_time

    def count(self, first: int, stop: int) -> int:
        """Count the matches in [first, stop), by whole months."""
        if stop <= first:
            return 0
        first_day, first_second = divmod(first, DAY_S)
        stop_day, stop_second = divmod(stop, DAY_S)
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
        current = date.fromordinal(day + _ORDINAL_1970)
        return bool(self._month(current.year * 12 + current.month - 1) >> current.day & 1)

    def _next_day(self, day: int) -> int | None:
        current = date.fromordinal(day + _ORDINAL_1970)
        month = current.year * 12 + current.month - 1
        if left := self._month(month) >> current.day:
            return day + _lowest(left)
        for later in range(month + 1, min(month + _MAX_YEARS_BETWEEN * 12, (LAST_YEAR + 1) * 12)):
            if days := self._month(later):
                return _ordinal(later) - 1 + _lowest(days)
        return None if self.years is None else self._next_far_day(month)

    def _next_far_day(self, month: int) -> int | None:
        """Return the next day within the years that the expression names, however distant."""
        for year in sorted(self.years or ()):
            for later in range(max(year * 12, month + 1), year * 12 + 12):
                if days := self._month(later):
                    return _ordinal(later) - 1 + _lowest(days)
        return None

    def _previous_day(self, day: int) -> int | None:
        current = date.fromordinal(day + _ORDINAL_1970)
        month = current.year * 12 + current.month - 1
        if left := self._month(month) & ((2 << current.day) - 1):
            return day - current.day + left.bit_length() - 1
        for earlier in range(month - 1, FIRST_YEAR * 12 - 1, -1):
            if days := self._month(earlier):
                return _ordinal(earlier) - 1 + days.bit_length() - 1
        return None

    def _count_days(self, first: int, stop: int) -> int:
        """Count the matching days in [first, stop)."""
        start, end = (date.fromordinal(day + _ORDINAL_1970) for day in (first, stop))
        first_month, last_month = (day.year * 12 + day.month - 1 for day in (start, end))
        whole = sum(self._month(month).bit_count() for month in range(first_month, last_month))
        before = self._month(first_month) & ((1 << start.day) - 1)
        after = self._month(last_month) & ((1 << end.day) - 1)
        return whole - before.bit_count() + after.bit_count()

    def _month(self, month: int) -> int:
        """Return the matching days of a month (year · 12 + month from 0), as bits 1 to 31."""
        days = self._cached_days.get(month)
        if days is None:
            if len(self._cached_days) >= _MAX_CACHED_MONTHS:
                self._cached_days.clear()
            days = self._cached_days[month] = self._days_of(*divmod(month, 12))
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


def _neighbours(values: tuple[int, ...], size: int) -> tuple["array[int]", "array[int]"]:
    """Return, for each number, the value at or after it and the value at or before it; -1 if none.

    Both arrays have a place for one past either end: the last is index ``size`` as well as -1.
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
    """Return the days from 1970-01-01 to the first of a month (year · 12 + month from 0)."""
    return date(month // 12, month % 12 + 1, 1).toordinal() - _ORDINAL_1970


def _each_weekday(day: int, weekday: int, length: int) -> int:
    """Return all days of a weekday, in a month whose first day is ``weekday``, as bits."""
    return sum(1 << number for number in range((day - weekday) % 7 + 1, length + 1, 7))


def _rule_days(rule: DayRule, weekday: int, length: int) -> int:
    """Return the day that a rule names in a month, as a bit, or 0."""
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
    """Return the nearest day from Monday to Friday in the same month; 0 for no such day."""
    if day > length:
        return 0
    match (weekday + day - 1) % 7:
        case 6:  # Saturday
            return day - 1 if day > 1 else day + 2
        case 0:  # Sunday
            return day + 1 if day < length else day - 2
        case _:
            return day
