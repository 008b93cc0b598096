"""What a cron expression says: from its text to sets of numbers."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple
from zlib import crc32

from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.expression import FIRST_YEAR, DayRule, DaySet, Expression

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

_LONGEST = 1_000
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
        return _expression(_seven(text.split()), seed, day_and)
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


def _expression(fields: tuple[str, ...], seed: str, day_and: bool) -> Expression:
    second, minute, hour, day, month, weekday, year = fields
    day, weekday = day.replace("?", "*"), weekday.replace("?", "*")
    return Expression(
        fields,
        times=(
            _values(_HOUR, hour, seed),
            _values(_MINUTE, minute, seed),
            _values(_SECOND, second, seed),
        ),
        days=DaySet(
            *_days(day, seed),
            *_weekdays(weekday, seed),
            both=day_and or day.startswith("*") or weekday.startswith("*"),
        ),
        months=frozenset(_values(_MONTH, month, seed)),
        years=None if year == "*" else frozenset(_values(_YEAR, year, seed)),
        cadence=_is_cadence(minute) or _is_cadence(hour),
    )


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
