"""Time zones: conversion between wall time and instants, with the clock changes of IANA zones."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import DAY, DAY_S, SECOND, FoldPolicy, GapPolicy, Instant

BLOCK = 366 * DAY_S
"""Seconds in a block; the clock changes of a zone are computed and cached block by block."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time
_MICROSECOND = timedelta(microseconds=1)
_LONGEST_NAME = 100
_SHORTEST_GUESS = 2


_NO_ZONES = frozenset({"localtime", "posixrules", "Factory"})
"""Names of zone files that are the machine's own, or a stand-in, and no zone to choose."""


class Stretch(NamedTuple):
    """A period of one UTC offset: between clock changes or the ends of a block, in whole seconds.

    Attributes:
        begin, end: UTC seconds since 1970, the end not included.
        offset: wall time minus UTC.
        before, after: the offsets of the neighbouring periods.
    """

    begin: int
    end: int
    before: int
    offset: int
    after: int


def check_zone(name: str) -> None:
    """Check that an IANA zone of this name exists.

    Raises:
        BadInputError: it does not exist; the message suggests similar names.
    """
    name = name if len(name) <= _LONGEST_NAME else f"{name[:20]}…"
    try:
        known = bool(name) and not name.startswith(("posix/", "right/")) and _zone(name).key
    except (ValueError, OSError, KeyError, TypeError):
        known = False
    if not known or name in _NO_ZONES:
        message = f"Unknown time zone `{name}`{_nearest(str(name))}"
        raise BadInputError.of([FieldError("timezone", name, message)])


def zone_names() -> set[str]:
    """Return the names of the zones that jobs can have."""
    return available_timezones() - _NO_ZONES


def to_datetime(instant: Instant, timezone: str | None = None) -> datetime:
    """Return the aware datetime of an instant, in a zone."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment if timezone is None else moment.astimezone(_zone(timezone))


def to_text(instant: Instant, timezone: str | None = None) -> str:
    """Return the instant as text, such as ``2027-03-28 03:00:00 Europe/Warsaw``."""
    moment = to_datetime(instant, timezone)
    return f"{moment.replace(tzinfo=None).isoformat(' ')} {timezone or 'UTC'}"


def parse_moment(
    text: str,
    timezone: str | None = None,
    *,
    gap: GapPolicy = "run_after",
    fold: FoldPolicy = "first",
) -> Instant:
    """Parse an instant: ISO 8601, date only, compact, or with a blank for the ``T``.

    A text without an offset is wall time in ``timezone``, or UTC. A wall time that a clock change
    leaves out becomes the first instant after the gap (``run_after``), is moved by the gap's
    length (``shift``), or is refused (``skip``); one that comes twice is the first or the last.

    Raises:
        BadInputError: the text is not a valid date and time.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
    except (ValueError, AttributeError, TypeError):
        message = f"`{text}` is not a valid date and time, such as 2027-07-29T11:35:49"
        raise BadInputError(message) from None
    try:
        if moment.tzinfo is not None:
            return (moment - _EPOCH) // _MICROSECOND
        wall = (moment - _NAIVE_EPOCH) // _MICROSECOND
        return wall if timezone is None else _from_wall(wall, timezone, gap, fold, text)
    except (ValueError, OverflowError):
        message = f"`{text}` is not a valid date and time: years are from 1 to 8999"
        raise BadInputError(message) from None


def stretches(timezone: str | None, block: int) -> tuple[Stretch, ...]:
    """Return the stretches that make up a block, in order."""
    begin = block * BLOCK
    if timezone is None:
        return (Stretch(begin, begin + BLOCK, 0, 0, 0),)
    return _stretches(timezone, block)


def day_of(instant: Instant, timezone: str | None) -> int:
    """Return an instant's day in a zone, counted from 1970-01-01."""
    return to_wall(instant, timezone) // DAY


def day_begins(day: int, timezone: str | None) -> Instant:
    """Return the first instant of a day in a zone, or the first after it if the zone skips it."""
    return from_wall(day * DAY, timezone)


def to_wall(instant: Instant, timezone: str | None) -> int:
    """Return the wall time of an instant, in microseconds since 1970 of that wall clock."""
    if timezone is None:
        return instant
    return instant + _offset(timezone, instant // SECOND) * SECOND


def from_wall(wall: int, timezone: str | None) -> Instant:
    """Return the first instant with this wall time, or the first after the gap it lies in."""
    if timezone is None:
        return wall
    return _from_wall(wall, timezone, "run_after", "first", "")


@lru_cache(maxsize=1_024)
def _stretches(timezone: str, block: int) -> tuple[Stretch, ...]:
    begin = block * BLOCK
    end = begin + BLOCK
    edges = [begin, *_changes(timezone, begin, end), end]
    offsets = [_offset(timezone, edge) for edge in edges[:-1]]
    around = [_offset(timezone, begin - 1), *offsets, _offset(timezone, end)]
    return tuple(
        Stretch(edges[i], edges[i + 1], around[i], offsets[i], around[i + 2])
        for i in range(len(offsets))
    )


def _changes(timezone: str, begin: int, end: int) -> Iterator[int]:
    """Iterate over the instants in (begin, end) at which the offset changes.

    zoneinfo does not expose its transitions: compare daily offsets, then bisect the day.
    """
    offset = _offset(timezone, begin)
    for day in range(begin + DAY_S, end + 1, DAY_S):
        if (later := _offset(timezone, day)) != offset:
            low, high = day - DAY_S, day
            while high - low > 1:
                middle = (low + high) // 2
                if _offset(timezone, middle) == offset:
                    low = middle
                else:
                    high = middle
            offset = later
            if high < end:
                yield high


@lru_cache(maxsize=256)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _offset(timezone: str, second: int) -> int:
    offset = datetime.fromtimestamp(second, _zone(timezone)).utcoffset()
    return 0 if offset is None else int(offset.total_seconds())


def _from_wall(wall: int, timezone: str, gap: GapPolicy, fold: FoldPolicy, text: str) -> Instant:
    """Return the instant of a wall time, from the offsets a day before and after it."""
    second = wall // SECOND
    before, after = _offset(timezone, second - DAY_S - 1), _offset(timezone, second + DAY_S)
    found = [
        wall - offset * SECOND
        for offset in sorted({before, after}, reverse=True)
        if _offset(timezone, second - offset) == offset
    ]
    if found:
        return found[0] if fold != "last" else found[-1]
    if gap == "skip":
        raise BadInputError(f"`{text}` does not exist in {timezone}; a clock change skips it")
    shifted = wall - before * SECOND
    if gap == "shift":
        return shifted
    change = next(_changes(timezone, second - after - DAY_S, second - before + DAY_S), None)
    return shifted if change is None else change * SECOND


def _nearest(name: str) -> str:
    """Return the end of a sentence about an unknown zone; ``new york`` is a city of one."""
    wanted, zones = name.strip().lower().replace(" ", "_"), sorted(zone_names())
    names = {zone.rpartition("/")[2].lower(): zone for zone in zones}
    names |= {zone.lower(): zone for zone in zones}
    near = get_close_matches(wanted, names, 3, 0.6) if len(wanted) > _SHORTEST_GUESS else []
    found = dict.fromkeys(names[each] for each in ([wanted] if wanted in names else near))
    return f"; did you mean {', '.join(found)}?" if found else "; use one such as Europe/Warsaw"
