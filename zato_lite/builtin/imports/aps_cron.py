"""Cron triggers of APScheduler 3: their fields, pickled or written, as a cron expression.

Weekdays count from Monday = 0, steps included; both day fields must match; fields before the
first given one match any value, those after the last one only their lowest.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import NoEquivalentError, cron_fields, quoted
from zato_lite.builtin.imports.numbers import Kind
from zato_lite.builtin.imports.pickles import Instance

FIELD_NAMES = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_POSITIONS = ("1st", "2nd", "3rd", "4th", "5th", "last")
_LAST_POSITION = 5
_LOWEST = {"month": "1", "day": "1", "hour": "0", "minute": "0", "second": "0"}
_WEEK = Kind("week", 0, 1, 53)
_FROM_MONDAY = Kind("day of week", 5, 0, 6)
_LAST_YEAR = 9999
_KINDS: Mapping[str, Kind] = {
    "year": numbers.YEAR,
    "month": numbers.MONTH,
    "day": numbers.DAY,
    "week": _WEEK,
    "day_of_week": _FROM_MONDAY,
    "hour": numbers.HOUR,
    "minute": numbers.MINUTE,
    "second": numbers.SECOND,
}
_ALL = re.compile(r"\*(?:/(\d{1,9}))?")
_RANGE = re.compile(r"(\d{1,9})(?:-(\d{1,9}))?(?:/(\d{1,9}))?")
_NAMED = re.compile(r"([a-z]+)(?:-([a-z]+))?")
_POSITION = re.compile(rf"({'|'.join(_POSITIONS)}) +([a-z]+)")


class Piece(NamedTuple):
    """One expression of a field.

    Attributes:
        kind: ``range``; ``nth`` with a weekday and a position; ``last`` day of the month.
        first, last, step: of a range. first: a weekday. last: a position.
        is_all: the range was written as ``*``.
    """

    kind: str
    first: int = 0
    last: int = 0
    step: int = 1
    is_all: bool = False


Fields = Mapping[str, Sequence[Piece]]


def pickled_fields(sent: Sequence[Any]) -> Fields:
    """Return the expressions of pickled fields."""
    found: dict[str, list[Piece]] = {}
    for field in sent:
        if not isinstance(field, Instance) or field.state.get("name") not in _KINDS:
            raise NoEquivalentError("the cron trigger has an unknown field")
        name = field.state["name"]
        found[name] = [_pickled(_KINDS[name], each) for each in field.state["expressions"]]
    if set(found) != set(FIELD_NAMES):
        raise NoEquivalentError("the cron trigger does not have all its fields")
    return found


def _pickled(kind: Kind, expression: Any) -> Piece:
    if not isinstance(expression, Instance):
        raise NoEquivalentError(f"the {kind.name} field has an unknown expression")
    state = expression.state
    match expression.cls:
        case "AllExpression":
            return _all(kind, state.get("step"))
        case "RangeExpression" | "MonthRangeExpression" | "WeekdayRangeExpression":
            return _range(kind, state["first"], state.get("last"), state.get("step"))
        case "WeekdayPositionExpression":
            return Piece("nth", _whole(state["weekday"]), _whole(state["option_num"]))
        case "LastDayOfMonthExpression":
            return Piece("last")
        case other:
            raise NoEquivalentError(f"the {kind.name} field has an unknown expression, {other}")


def written_fields(given: Mapping[str, Any]) -> Fields:
    """Return the expressions of the arguments of a cron trigger, with APScheduler's defaults."""
    left = [name for name in FIELD_NAMES if given.get(name) is not None]
    lowest = _LOWEST if left else {}
    found: dict[str, Sequence[Piece]] = {}
    for name in FIELD_NAMES:
        text = "*" if left else lowest.get(name, "*")
        if name in left:
            left.remove(name)
            text = str(given[name]).strip().lower()
        found[name] = [_written(name, item.strip(" ")) for item in text.split(",")]
    return found


def _written(name: str, item: str) -> Piece:
    kind = _KINDS[name]
    if (match := _ALL.fullmatch(item)) is not None:
        return _all(kind, match[1])
    if (match := _RANGE.fullmatch(item)) is not None:
        return _range(kind, *match.groups())
    if name == "day" and item == "last":
        return Piece("last")
    match = _POSITION.fullmatch(item) if name == "day" else None
    if match is not None and match[2] in _WEEKDAYS:
        return Piece("nth", _WEEKDAYS.index(match[2]), _POSITIONS.index(match[1]))
    names = {"month": numbers.MONTH_NAMES, "day_of_week": _WEEKDAYS}.get(name, ())
    if (match := _NAMED.fullmatch(item)) is not None and {match[1], match[2] or match[1]} <= {
        *names
    }:
        first = names.index(match[1]) + kind.low
        return _range(kind, first, names.index(match[2]) + kind.low if match[2] else None, None)
    raise NoEquivalentError(f"{quoted(item)} in the field {name} is not valid in APScheduler")


def _all(kind: Kind, step: Any) -> Piece:
    return Piece("range", kind.low, _highest(kind), _step(step), step is None or step == 1)


def _range(kind: Kind, first: Any, last: Any, step: Any) -> Piece:
    low = _whole(first)
    high = _whole(last) if last is not None else low if step is None else _highest(kind)
    if not kind.low <= low <= high <= _highest(kind):
        raise NoEquivalentError(
            f"{low}-{high} is not a range of the field {kind.name}, {kind.low}-{_highest(kind)}"
        )
    return Piece("range", low, high, _step(step))


def _highest(kind: Kind) -> int:
    return _LAST_YEAR if kind is numbers.YEAR else kind.high


def _step(step: Any) -> int:
    found = 1 if step is None else _whole(step)
    if found < 1:
        raise NoEquivalentError("a step must be higher than 0")
    return found


def _whole(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int | str):
        raise NoEquivalentError(f"{quoted(value)} is not a whole number")
    return int(value)


# ---- from fields to an expression


def cron(fields: Fields, notes: list[str]) -> dict[str, Any]:
    """Return the fields of a cron job; slots after 2099 end up in a difference."""
    if set(_numbers(_WEEK, fields["week"])) != set(_WEEK.all):
        raise NoEquivalentError(
            "a week of the year has no equivalent; a calendar, or days and months, may describe it"
        )
    days, weekdays = _day_fields(fields["day"], fields["day_of_week"])
    clock = [
        _text(kind, fields[kind.name]) for kind in (numbers.SECOND, numbers.MINUTE, numbers.HOUR)
    ]
    expression = [*clock, days, _text(numbers.MONTH, fields["month"]), weekdays]
    if any(not piece.is_all for piece in fields["year"]):
        expression.append(_years(fields["year"], notes))
    is_both = days != "*" and weekdays != "*" and not _has_positions(fields["day"])
    return cron_fields(" ".join(expression)) | ({"cron_day_and": True} if is_both else {})


def _text(kind: Kind, pieces: Sequence[Piece]) -> str:
    first = pieces[0]
    is_star = len(pieces) == 1 and (first.first, first.last) == (kind.low, _highest(kind))
    text = f"*/{first.step}" if is_star and first.step > 1 else ""
    return numbers.written(kind, set(_numbers(kind, pieces)), text)


def _numbers(kind: Kind, pieces: Sequence[Piece]) -> Iterator[int]:
    for piece in pieces:
        if piece.kind != "range":
            raise NoEquivalentError(f"the field {kind.name} has no positions in a month")
        yield from range(piece.first, min(piece.last, kind.high) + 1, piece.step)


def _day_fields(days: Sequence[Piece], weekdays: Sequence[Piece]) -> tuple[str, str]:
    """Return both day fields; positions as «3rd fri» belong to the day of the week here.

    Days and positions are alternatives there, and so they are here; a day of the week beside them
    would have to match as well, which one expression cannot say.
    """
    allowed = {(day + 1) % 7 for day in _numbers(_FROM_MONDAY, weekdays)}
    ranges = {*_numbers(numbers.DAY, [piece for piece in days if piece.kind == "range"])}
    positions = [piece for piece in days if piece.kind == "nth"]
    last = ["l"] if any(piece.kind == "last" for piece in days) else []
    if ranges == {*numbers.DAY.all} or not positions:
        text = numbers.written(numbers.DAY, ranges) if ranges else ""
        text = text if text == "*" else ",".join(filter(None, (text, *last)))
        return text, numbers.written(numbers.WEEKDAY, allowed)
    is_any_day = len(allowed) == len(numbers.WEEKDAY.all)
    if not is_any_day and (ranges or last):
        raise NoEquivalentError(
            "days of the month and positions in it, on certain days of the week only, have no "
            "equivalent; create a job for each"
        )
    found = [_position(piece) for piece in positions if (piece.first + 1) % 7 in allowed]
    if not found:
        raise NoEquivalentError("the positions in the month are never on the given days of week")
    text = numbers.written(numbers.DAY, ranges, has_star=False) if ranges else ""
    return ",".join(filter(None, (text, *last))) or "*", ",".join(dict.fromkeys(found))


def _position(piece: Piece) -> str:
    weekday = (piece.first + 1) % 7
    if not 0 <= piece.last <= _LAST_POSITION:
        raise NoEquivalentError("a position in the month is from 1st to 5th, or last")
    return f"{weekday}l" if piece.last == _LAST_POSITION else f"{weekday}#{piece.last + 1}"


def _has_positions(pieces: Sequence[Piece]) -> bool:
    return any(piece.kind == "nth" for piece in pieces)


def _years(pieces: Sequence[Piece], notes: list[str]) -> str:
    found = set(_numbers(numbers.YEAR, pieces))
    if not found:
        raise NoEquivalentError(f"years are from 1970 to {numbers.YEAR.high}")
    if any(piece.last > numbers.YEAR.high for piece in pieces):
        notes.append(f"no runs after {numbers.YEAR.high}")
    return numbers.written(numbers.YEAR, found)
