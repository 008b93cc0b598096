"""Trigger evaluation: the slots before and after an instant. Only module that imports croniter.

croniter stays as the second reader of every cron expression at creation: an expression that two
independent parsers read differently is refused, because its author may mean either.

All functions are pure. The slots of a cron expression lie in *spans*, between two clock changes.
Within a span, wall time and UTC run in parallel; where two spans meet, the policies ``gap`` and
``fold`` decide about the wall times that the clock change leaves out or repeats.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Literal, NamedTuple

from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable import cron
from zato_lite.timetable.expression import Expression
from zato_lite.timetable.job import (
    DAY,
    DAY_S,
    SECOND,
    Cron,
    FoldPolicy,
    GapPolicy,
    Instant,
    Interval,
    OneTime,
    Trigger,
)
from zato_lite.timetable.zone import BLOCK, Stretch, check_zone, stretches, to_datetime, to_text

_MIN_PERIOD = 1_000
_MAX_PERIOD = 36_525 * DAY
"""Limits of an interval in microseconds: a millisecond and a century."""

_END = 221_845_392_000 * SECOND
"""9000-01-01 in microseconds: every trigger ends before it."""

_START = -62_135_596_800 * SECOND
"""0001-01-01 in microseconds: the first instant that a datetime can represent."""

_CRON_END_S = 7_258_118_400
"""2200-01-01 in seconds: slots of cron expressions lie between 1970 and this."""

_RANGES = re.compile(r"(\w+)-(\w+)")

_MARGIN = 2 * DAY_S
"""Maximum of seconds between a wall time read as UTC and the slot that results from it."""


class _Span(NamedTuple):
    """Slots under one UTC offset: matches in [first, stop), and ``extras`` that a gap causes."""

    end: int
    first: int
    stop: int
    offset: int
    extras: tuple[int, ...]


def next_after(trigger: Trigger, moment: Instant) -> Instant | None:
    """Return the first slot strictly after ``moment``, or None if no slot follows."""
    slot = _next_after(trigger, moment)
    if slot is None or slot >= _END or (trigger.end is not None and slot >= trigger.end):
        return None
    return slot


def previous_before(trigger: Trigger, moment: Instant) -> Instant | None:
    """Return the last slot strictly before ``moment``, or None if no slot precedes it."""
    if trigger.end is not None and moment > trigger.end:
        moment = trigger.end
    match trigger:
        case OneTime():
            return trigger.start if trigger.start < moment else None
        case Interval():
            return _grid_before(trigger.start, trigger.period, moment)
        case Cron():
            if period := cron.every(trigger.expression):
                return _grid_before(trigger.start, period, moment)
            found = _cron_before(_key(trigger), -(-moment // SECOND))
            return found if found is not None and found >= trigger.start else None


def count_between(trigger: Trigger, after: Instant, until: Instant) -> int:
    """Count the slots in (after, until]: in O(1) for a grid, by whole months for cron."""
    after = max(after, trigger.start - 1)
    if trigger.end is not None:
        until = min(until, trigger.end - 1)
    if until <= after:
        return 0
    match trigger:
        case OneTime():
            return int(after < trigger.start)
        case Interval():
            return _grid_count(trigger.start, trigger.period, after, until)
        case Cron():
            if period := cron.every(trigger.expression):
                return _grid_count(trigger.start, period, after, until)
            return _cron_count(_key(trigger), after // SECOND + 1, until // SECOND + 1)


def slots_between(trigger: Trigger, after: Instant, until: Instant) -> Iterator[Instant]:
    """Iterate over the slots in (after, until], in order."""
    slot = next_after(trigger, after)
    while slot is not None and slot <= until:
        yield slot
        slot = next_after(trigger, slot)


def check(trigger: Trigger, now: Instant) -> None:
    """Check that the trigger is valid and has at least one slot from ``now`` on.

    Raises:
        BadInputError: names every wrong field.
    """
    errors: list[FieldError] = []
    for part in (_check_timezone, _check_moments, _check_interval, _check_expression):
        try:
            part(trigger)
        except BadInputError as error:
            errors.extend(error.errors)
    errors.extend(() if errors else _never(trigger, now))
    if errors:
        raise BadInputError.of(errors)


class ClockEffect(NamedTuple):
    """An effect of a clock change on a fixed time of day.

    Attributes:
        slot: the affected slot; of a time that is skipped, the instant that it would have had.
        code: the wall time does not exist (``clock_gap``), or comes twice (``clock_fold``).
        wall: the wall time.
        words: the effect in a sentence.
    """

    slot: Instant
    code: Literal["clock_gap", "clock_fold"]
    wall: str
    words: str


def clock_effects(trigger: Trigger, after: Instant, until: Instant) -> Iterator[ClockEffect]:
    """Iterate over the effects of clock changes on fixed times of day in (after, until]."""
    if not isinstance(trigger, Cron) or trigger.timezone is None:
        return
    if cron.every(trigger.expression):
        return
    expression, zone, _, _ = _key(trigger)
    if expression.cadence:
        return
    first, last = after // SECOND - DAY_S, until // SECOND + DAY_S
    for block in range(first // BLOCK, last // BLOCK + 1):
        for stretch in stretches(zone, block):
            if first < stretch.begin <= last and stretch.begin >= block * BLOCK:
                for effect in _effects_of(expression, trigger, stretch):
                    if after < effect.slot <= until:
                        yield effect


def clear_cache() -> None:
    """Clear the cache of next slots: for measurements, as no result depends on it."""
    _cron_after.cache_clear()


# ---- grids


def _next_after(trigger: Trigger, moment: Instant) -> Instant | None:
    start = trigger.start
    match trigger:
        case Interval():
            if moment < start:
                return start
            period = trigger.period
            return moment + period - (moment - start) % period
        case OneTime():
            return start if moment < start else None
        case Cron():
            if each := cron.every(trigger.expression):
                return start if moment < start else moment + each - (moment - start) % each
            second = (moment if moment >= start else start - 1) // SECOND + 1
            return _cron_after(
                _parsed(trigger), trigger.timezone, trigger.gap, trigger.fold, second
            )


def _grid_before(start: Instant, period: int, moment: Instant) -> Instant | None:
    return moment - 1 - (moment - 1 - start) % period if moment > start else None


def _grid_count(start: Instant, period: int, after: Instant, until: Instant) -> int:
    return (until - start) // period - (after - start) // period


# ---- cron

_Key = tuple[Expression, str | None, GapPolicy, FoldPolicy]


def _key(trigger: Cron) -> _Key:
    """Return all that the slots depend on: jobs with equal keys share cached spans."""
    return _parsed(trigger), trigger.timezone, trigger.gap, trigger.fold


def _parsed(trigger: Cron) -> Expression:
    text = trigger.expression
    return cron.parse(text, trigger.seed if cron.has_hash(text) else "", trigger.day_and)


@lru_cache(maxsize=8_192)
def _cron_after(
    expression: Expression, zone: str | None, gap: GapPolicy, fold: FoldPolicy, second: int
) -> Instant | None:
    """Return the first slot at or after a second, in microseconds."""
    second = max(second, 0)
    while second < _CRON_END_S:
        block = second // BLOCK
        wall: int | None = second
        for span in _spans(expression, zone, gap, fold, block):
            if span.end <= second and span.stop <= second and not span.extras:
                continue
            found = next((extra for extra in span.extras if extra >= second), None)
            if (begin := max(span.first, second)) < span.stop:
                wall = expression.next(begin + span.offset)
                if wall is not None and wall - span.offset < span.stop:
                    slot = wall - span.offset
                    found = slot if found is None else min(slot, found)
            if found is not None:
                return found * SECOND
        if wall is None:
            return None
        second = max((block + 1) * BLOCK, wall - _MARGIN)
    return None


def _cron_before(key: _Key, second: int) -> Instant | None:
    """Return the last slot before a second, in microseconds."""
    expression, zone, gap, fold = key
    second = min(second, _CRON_END_S)
    while second > 0:
        block = (second - 1) // BLOCK
        wall: int | None = second
        for span in reversed(_spans(expression, zone, gap, fold, block)):
            found = next((extra for extra in reversed(span.extras) if extra < second), None)
            if (end := min(span.stop, second)) > span.first:
                wall = expression.previous(end - 1 + span.offset)
                if wall is not None and wall - span.offset >= span.first:
                    slot = wall - span.offset
                    found = slot if found is None else max(slot, found)
            if found is not None:
                return found * SECOND
        if wall is None:
            return None
        second = min(block * BLOCK, wall + _MARGIN)
    return None


def _cron_count(key: _Key, first: int, stop: int) -> int:
    """Count the slots in the seconds [first, stop)."""
    expression, zone, gap, fold = key
    first, stop = max(first, 0), min(stop, _CRON_END_S)
    count = 0
    for block in range(first // BLOCK, (stop - 1) // BLOCK + 1):
        for span in _spans(expression, zone, gap, fold, block):
            begin, end = max(span.first, first), min(span.stop, stop)
            count += expression.count(begin + span.offset, end + span.offset)
            count += sum(first <= extra < stop for extra in span.extras)
    return count


@lru_cache(maxsize=2_048)
def _spans(
    expression: Expression, zone: str | None, gap: GapPolicy, fold: FoldPolicy, block: int
) -> tuple[_Span, ...]:
    """Return the spans of a block, in order, under the policies for clock changes."""
    return tuple(
        _span(expression, gap, "both" if expression.cadence else fold, stretch)
        for stretch in stretches(zone, block)
    )


def _span(expression: Expression, gap: GapPolicy, fold: FoldPolicy, stretch: Stretch) -> _Span:
    begin, end, before, offset, after = stretch
    first, stop = begin, end
    if fold == "first" and before > offset:
        first = min(begin + before - offset, end)
    if fold == "last" and after < offset:
        stop = max(end - (offset - after), begin)
    extras: tuple[int, ...] = ()
    if before < offset and not expression.cadence:
        slots = _gap_slots(expression, gap, stretch)
        extras = tuple(slot for slot in slots if not expression.matches(slot + offset))
    return _Span(end, first, stop, offset, extras)


def _gap_slots(expression: Expression, gap: GapPolicy, stretch: Stretch) -> Iterator[int]:
    """Iterate over the slots that replace wall times left out at ``stretch.begin``."""
    wall = expression.next(stretch.begin + stretch.before)
    while gap != "skip" and wall is not None and wall < stretch.begin + stretch.offset:
        if gap == "run_after":
            yield stretch.begin
            return
        yield wall - stretch.before
        wall = expression.next(wall + 1)


def _effects_of(expression: Expression, trigger: Cron, stretch: Stretch) -> Iterator[ClockEffect]:
    """Iterate over the effects of the clock change at ``stretch.begin``."""
    begin, _, before, offset, _ = stretch
    low, high = sorted((begin + before, begin + offset))
    wall = expression.next(low)
    while wall is not None and wall < high:
        text = to_text(wall * SECOND).removesuffix(" UTC")
        code: Literal["clock_gap", "clock_fold"] = "clock_fold"
        if before < offset:
            code = "clock_gap"
            slot = begin if trigger.gap == "run_after" else wall - before
            words = f"{text} does not exist in {trigger.timezone}: "
            when = to_text(slot * SECOND, trigger.timezone).split()[1]
            words += "skipped" if trigger.gap == "skip" else f"runs at {when}"
        else:
            slot = wall - (offset if trigger.fold == "last" else before)
            which = {"first": "the first time", "last": "the second time", "both": "both times"}
            words = f"{text} comes twice in {trigger.timezone}: runs {which[trigger.fold]}"
        yield ClockEffect(slot * SECOND, code, text, words)
        wall = expression.next(wall + 1)


# ---- checks


def _check_timezone(trigger: Trigger) -> None:
    if trigger.timezone is not None:
        check_zone(trigger.timezone)


def _check_moments(trigger: Trigger) -> None:
    """Check the range of dates: slots are stored as 64 bits and shown as datetimes."""
    moments = {"start_date": trigger.start, "end_date": trigger.end}
    errors = [
        FieldError(field, moment, f"`{field}` must be from 0001 to 8999")
        for field, moment in moments.items()
        if moment is not None and not _START <= moment < _END
    ]
    if errors:
        raise BadInputError.of(errors)


def _check_interval(trigger: Trigger) -> None:
    if not isinstance(trigger, Interval):
        return
    units = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds")
    errors = [
        FieldError(unit, getattr(trigger, unit), f"`{unit}` must not be negative")
        for unit in units
        if getattr(trigger, unit) < 0
    ]
    if not errors and trigger.period < _MIN_PERIOD:
        message = f"At least one of {list(units[:5])} must be given"
        errors = [FieldError("seconds", trigger.seconds, message)]
    if not errors and trigger.period > _MAX_PERIOD:
        errors = [FieldError("weeks", trigger.weeks, "An interval is at most a century")]
    if errors:
        raise BadInputError.of(errors)


def _check_expression(trigger: Trigger) -> None:
    """Parse the expression with two parsers; refuse it if they disagree."""
    if not isinstance(trigger, Cron):
        return
    if each := cron.every(trigger.expression):
        if each > _MAX_PERIOD:
            message = f"`{trigger.expression}`: an interval is at most a century"
            raise BadInputError.of([FieldError("cron_definition", trigger.expression, message)])
        return
    expression = _key(trigger)[0]
    other = _second_reading(expression.fields)
    if other is not None and other != _first_reading(expression):
        message = f"Cron definition `{trigger.expression}` is ambiguous; write it out"
        raise BadInputError.of([FieldError("cron_definition", trigger.expression, message)])


def _first_reading(expression: Expression) -> tuple[frozenset[int], ...]:
    days = frozenset(day for day in range(1, 32) if expression.days >> day & 1)
    own = (expression.seconds, expression.minutes, expression.hours, days)
    return (*map(frozenset, own), expression.months, frozenset(expression.weekdays))


@lru_cache(maxsize=1_024)
def _second_reading(fields: tuple[str, ...]) -> tuple[frozenset[int], ...] | None:
    """Parse a plain expression with croniter; None if it uses what croniter cannot parse.

    These are ``L``, ``W``, ``#``, ``?`` and ``H``, ranges that wrap around, and ranges of one
    value (croniter 7 reads ``5-5`` as every value, and restarts a step after the wrap).
    """
    second, minute, hour, day, month, weekday, _ = fields
    plain = f"{minute} {hour} {day} {month} {weekday} {second}"
    special = any(mark in field for field in (day, weekday) for mark in "lw#?")
    if special or "h" in plain or not all(map(_rises, _RANGES.findall(plain))):
        return None
    # Imported here to keep it out of the server's start-up time: only job creation needs it.
    from croniter.croniter import CroniterError, croniter  # noqa: PLC0415

    try:
        sets, _ = croniter.expand(plain)
    except CroniterError:
        return None
    minutes, hours, days, months, weekdays, seconds = (
        frozenset(range(low, high + 1)) if "*" in values else frozenset(map(int, values))
        for values, (low, high) in zip(sets, croniter.RANGES, strict=False)
    )
    return seconds, minutes, hours, days, months, frozenset(day % 7 for day in weekdays)


def _rises(ends: tuple[str, str]) -> bool:
    """Return True if a range is of numbers and ascends; ranges of names count as wrapping."""
    first, last = ends
    return first.isdigit() and last.isdigit() and int(first) < int(last)


def _never(trigger: Trigger, now: Instant) -> Iterator[FieldError]:
    """Yield the error of a trigger without any future slot."""
    if trigger.end is not None and trigger.end <= trigger.start:
        message = "`end_date` must be later than `start_date`"
        if trigger.end < now <= trigger.start:
            message = f"`end_date` has passed: {to_text(trigger.end, trigger.timezone)}"
        yield FieldError("end_date", to_text(trigger.end), message)
    elif isinstance(trigger, Cron) and _next_after(trigger, min(now, trigger.start) - 1) is None:
        message = f"Cron definition `{trigger.expression}` never matches: {_no_date(trigger, now)}"
        yield FieldError("cron_definition", trigger.expression, message)
    elif trigger.end is not None and next_after(trigger, _counted_after(trigger, now)) is None:
        text = to_text(trigger.end, trigger.timezone)
        message = f"It would never run: no slot lies between now and `end_date`, {text}"
        yield FieldError("end_date", to_text(trigger.end), message)


def _no_date(trigger: Cron, now: Instant) -> str:
    years = _key(trigger)[0].years
    if years and max(years) < to_datetime(now, trigger.timezone).year:
        return f"its last year, {max(years)}, has passed"
    return "no such date exists"


def _counted_after(trigger: Trigger, now: Instant) -> Instant:
    """Return the instant after which a new job's slots count; a one-time slot may be past."""
    return trigger.start - 1 if isinstance(trigger, OneTime) else max(trigger.start, now) - 1
