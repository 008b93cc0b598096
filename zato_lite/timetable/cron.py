"""Cron parser: turns the text of an expression into sets of numbers."""

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
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

_MAX_LENGTH = 1_000
_MORE_FIELDS = {
    6: "; with 6 fields the first is the second",
    7: "; with 7 fields the first is the second and the last is the year",
}
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_WEEKDAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_UNITS = {"ms": 1, "s": 1_000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 604_800_000}
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d|w)")
_HASH = re.compile(r"h(?:\((\w+)-(\w+)\))?")
_LAST_WEEKDAY = 7
"""Both 0 and 7 are Sunday."""


class _Field(NamedTuple):
    """One of the seven fields: its name, range of values and names of values."""

    name: str
    low: int
    high: int
    names: tuple[str, ...] = ()

    def number(self, text: str) -> int:
        """Parse one number or name."""
        if text in self.names:
            return self.names.index(text) + self.low
        if not (text.isascii() and text.isdigit()):
            words = f" or {self.names[0]}-{self.names[-1]}" if self.names else ""
            raise _Unreadable(
                f"`{text}` is not a valid {self.name}: {self.low}-{self.high}{words}"
            )
        value = int(text[:9])
        if not self.low <= value <= self.high:
            allowed = f"{self.low}-{self.high}"
            raise _Unreadable(f"`{text}` is out of range: {self.name} is {allowed}")
        return value


_SECOND = _Field("second", 0, 59)
_MINUTE = _Field("minute", 0, 59)
_HOUR = _Field("hour", 0, 23)
_DAY = _Field("day of month", 1, 31)
_MONTH = _Field("month", 1, 12, _MONTHS)
_WEEKDAY = _Field("day of week", 0, _LAST_WEEKDAY, _WEEKDAYS)
_YEAR = _Field("year", FIRST_YEAR, 2099)


class _Unreadable(Exception):  # noqa: N818 - never leaves this module
    """A field cannot be parsed; the message says why."""


@lru_cache(maxsize=4_096)
def every(expression: str) -> int | None:
    """Return the microseconds of ``@every 1h30m``; None for any other expression.

    Raises:
        BadInputError: ``@every`` is not followed by a duration of at least a millisecond.
    """
    words = expression.strip().lower().split(None, 1)
    if not words or words[0] != "@every":
        return None
    text = words[1].replace(" ", "") if len(words) > 1 else ""
    parts = _DURATION.findall(text)
    milliseconds = sum(int(number) * _UNITS[unit] for number, unit in parts)
    if not milliseconds or "".join(number + unit for number, unit in parts) != text:
        raise _error(expression, f"`{text}` is not a valid duration; examples: 90s, 5m, 1h30m")
    return milliseconds * 1_000


@lru_cache(maxsize=4_096)
def parse(expression: str, seed: str = "", day_and: bool = False) -> Expression:
    """Parse an expression; ``seed`` is hashed for its ``H``.

    Raises:
        BadInputError: the text is not valid; the message says which part and why.
    """
    if len(expression) > _MAX_LENGTH:
        raise _error(f"{expression[:20]}…", f"it is longer than {_MAX_LENGTH} characters")
    text = expression.strip().lower()
    if text.startswith("@"):
        text = _macro(expression, text)
    if text.startswith(("tz=", "cron_tz=")):
        raise _error(expression, "a time zone is the field `timezone` of the job")
    try:
        fields = _seven(text.split())
    except _Unreadable as why:
        raise _error(expression, str(why)) from None
    try:
        return _expression(fields, seed, day_and)
    except _Unreadable:
        sent = _MORE_FIELDS.get(len(text.split()), "")
        raise _error(expression, "; ".join(_faults(fields, seed)) + sent) from None


@lru_cache(maxsize=4_096)
def has_hash(expression: str) -> bool:
    """Return True if the expression has an ``H``, whose value depends on the job's name."""
    return bool(re.search(r"(?<![a-z])h(?![a-z])", expression.lower()))


def _error(expression: str, why: str) -> BadInputError:
    message = f"Cron definition `{expression}` cannot be read: {why}"
    return BadInputError.of([FieldError("cron_definition", expression, message)])


def _macro(expression: str, text: str) -> str:
    if text == "@reboot":
        raise _error(expression, "@reboot is not supported; let a service run at startup instead")
    if text not in MACROS:
        known = " ".join([*MACROS, "@every 90s"])
        raise _error(expression, f"unknown macro; use one of {known}")
    return MACROS[text]


def _seven(fields: list[str]) -> tuple[str, ...]:
    """Return all seven fields, from second to year, with defaults for missing ones."""
    match len(fields):
        case 5:
            return ("0", *fields, "*")
        case 6:
            return (*fields, "*")
        case 7:
            return tuple(fields)
        case count:
            noun = "field" if count == 1 else "fields"
            raise _Unreadable(f"it has {count} {noun}, and 5, 6 or 7 are expected")


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
        cadence=minute.startswith("*") or hour.startswith("*"),
    )


def _faults(fields: tuple[str, ...], seed: str) -> Iterator[str]:
    """Yield the faults of the fields, in their order."""
    second, minute, hour, day, month, weekday, year = fields
    readers: Sequence[Callable[[], object]] = (
        partial(_values, _SECOND, second, seed),
        partial(_values, _MINUTE, minute, seed),
        partial(_values, _HOUR, hour, seed),
        partial(_days, day.replace("?", "*"), seed),
        partial(_values, _MONTH, month, seed),
        partial(_weekdays, weekday.replace("?", "*"), seed),
        partial(_values, _YEAR, year, seed),
    )
    for read in readers:
        try:
            read()
        except _Unreadable as why:
            yield str(why)


def _days(field: str, seed: str) -> tuple[int, tuple[DayRule, ...]]:
    """Return the days of a month as bits, and the rules for days that depend on the month."""
    days, rules = _values_and_rules(_DAY, field, seed, _day_rule)
    return sum(1 << day for day in days), rules


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
    """Return the weekdays from Sunday = 0, and the rules for days that depend on the month."""
    days, rules = _values_and_rules(_WEEKDAY, field, seed, _weekday_rule)
    return tuple(sorted({day % 7 for day in days})), rules


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


def _values_and_rules(
    kind: _Field, field: str, seed: str, parse_rule: Callable[[str], DayRule | None]
) -> tuple[tuple[int, ...], tuple[DayRule, ...]]:
    items = field.split(",")
    rules = [parse_rule(item) for item in items]
    plain = [item for item, rule in zip(items, rules, strict=True) if rule is None]
    values = _values(kind, ",".join(plain), seed) if plain else ()
    return values, tuple(rule for rule in rules if rule is not None)


def _values(kind: _Field, field: str, seed: str) -> tuple[int, ...]:
    """Return the values of a field's items, sorted and without duplicates."""
    found: set[int] = set()
    for item in field.split(","):
        found.update(_item(kind, item, seed))
    return tuple(sorted(found))


def _item(kind: _Field, item: str, seed: str) -> Iterator[int]:
    """Iterate over the values of ``*``, ``7``, ``mon-fri``, ``*/5``, ``h`` or ``h(0-29)/10``."""
    body, slash, text = item.partition("/")
    step = _step(kind, item, text) if slash else None
    if hashed := _HASH.fullmatch(body):
        return _hashed(kind, seed, hashed[1], hashed[2], step)
    high = 6 if kind is _WEEKDAY else kind.high
    if body == "*":
        return iter(range(kind.low, high + 1, step or 1))
    first, dash, last = body.partition("-")
    if dash:
        return _range(kind, kind.number(first), kind.number(last), step or 1)
    number = kind.number(first)
    return iter(range(number, max(number, high) + 1, step)) if step else iter((number,))


def _step(kind: _Field, item: str, text: str) -> int:
    size = kind.high - kind.low + 1
    if not (text.isascii() and text.isdigit()) or not 1 <= int(text[:9]) <= size:
        raise _Unreadable(f"`{item}`: a step of {kind.name} is from 1 to {size}")
    return int(text)


def _range(kind: _Field, first: int, last: int, step: int) -> Iterator[int]:
    """Iterate from the first to the last, wrapping around if the last is before the first."""
    if kind is _WEEKDAY and first == _LAST_WEEKDAY:
        first = 0
    if first <= last:
        return iter(range(first, last + 1, step))
    if kind is _YEAR:
        raise _Unreadable(f"`{first}-{last}`: years do not start again")
    size = kind.high - kind.low + 1 if kind is not _WEEKDAY else 7
    return ((value - kind.low) % size + kind.low for value in range(first, last + size + 1, step))


def _hashed(
    kind: _Field, seed: str, low: str | None, high: str | None, step: int | None
) -> Iterator[int]:
    """Iterate over the values of ``H``: one by the seed's hash, or steps from there.

    Days end at 28, which every month has.
    """
    first = kind.low if low is None else kind.number(low)
    last = 28 if kind is _DAY else min(kind.high, 6) if kind is _WEEKDAY else kind.high
    last = last if high is None else kind.number(high)
    if kind is _YEAR or last < first:
        raise _Unreadable(f"`H` cannot be spread over this {kind.name}")
    number = crc32(f"{kind.name}\0{seed}".encode())
    if step is None:
        return iter((first + number % (last - first + 1),))
    return iter(range(first + number % min(step, last - first + 1), last + 1, step))
