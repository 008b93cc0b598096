"""Between wall time and instants: IANA zones, and what a clock change does to a time of day."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from difflib import get_close_matches
from functools import lru_cache
from typing import NamedTuple
from zoneinfo import ZoneInfo, available_timezones

from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import SECOND, FoldPolicy, GapPolicy, Instant

BLOCK = 366 * 86_400
"""Seconds in one block of time; a zone is looked at one block at a time."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_NAIVE_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - wall time
_MICROSECOND = timedelta(microseconds=1)
_DAY = 86_400
_LONGEST_NAME = 100


class Stretch(NamedTuple):
    """Time between two clock changes (or the ends of a block), in whole seconds since 1970.

    Attributes:
        begin, end: UTC, the end not included.
        offset: what is added to UTC for wall time.
        before, after: the offsets next to it, before its begin and after its end.
    """

    begin: int
    end: int
    before: int
    offset: int
    after: int


def check_zone(name: str) -> None:
    """Make sure that there is an IANA zone of this name.

    Raises:
        BadInputError: there is none; the words name the nearest.
    """
    name = name if len(name) <= _LONGEST_NAME else f"{name[:20]}…"
    try:
        known = bool(name) and not name.startswith(("posix/", "right/")) and _zone(name).key
    except (ValueError, OSError, KeyError, TypeError):
        known = False
    if not known or name in {"localtime", "posixrules", "Factory"}:
        message = f"There is no time zone `{name}`{_nearest(str(name))}"
        raise BadInputError.of([FieldError("timezone", name, message)])


def to_datetime(instant: Instant, timezone: str | None = None) -> datetime:
    """The aware datetime of an instant, in a zone."""
    moment = _EPOCH + timedelta(microseconds=instant)
    return moment if timezone is None else moment.astimezone(_zone(timezone))


def to_text(instant: Instant, timezone: str | None = None) -> str:
    """The instant as people read it: ``2027-03-28 03:00:00 Europe/Warsaw``, no needless zeros."""
    moment = to_datetime(instant, timezone)
    return f"{moment.replace(tzinfo=None).isoformat(' ')} {timezone or 'UTC'}"


def parse_moment(
    text: str,
    timezone: str | None = None,
    *,
    gap: GapPolicy = "run_after",
    fold: FoldPolicy = "first",
) -> Instant:
    """The instant that a text names: ISO 8601, date only, compact, or with a blank for the ``T``.

    A text without an offset is wall time in ``timezone``, or UTC. If that wall time is left out
    by a clock change it is the first instant after (``run_after``), as much later (``shift``), or
    refused (``skip``); if it comes twice it is the first or the last.

    Raises:
        BadInputError: the text is no such moment.
    """
    try:
        moment = datetime.fromisoformat(text.strip())
        if moment.tzinfo is not None:
            return (moment - _EPOCH) // _MICROSECOND
        wall = (moment - _NAIVE_EPOCH) // _MICROSECOND
        return wall if timezone is None else _from_wall(wall, timezone, gap, fold, text)
    except (ValueError, OverflowError, AttributeError, TypeError):
        message = f"`{text}` is no moment such as 2027-07-29T11:35:49 or 2027-07-29 11:35:49"
        raise BadInputError(message) from None


def stretches(timezone: str | None, block: int) -> tuple[Stretch, ...]:
    """The stretches of one offset that a block of time consists of, in order."""
    begin = block * BLOCK
    if timezone is None:
        return (Stretch(begin, begin + BLOCK, 0, 0, 0),)
    return _stretches(timezone, block)


def day_of(instant: Instant, timezone: str | None) -> int:
    """The day on which an instant lies in a zone, counted from 1970-01-01."""
    return to_wall(instant, timezone) // (_DAY * SECOND)


def day_begins(day: int, timezone: str | None) -> Instant:
    """The first instant of a day in a zone; of one that does not exist, what comes after it."""
    return from_wall(day * _DAY * SECOND, timezone)


def to_wall(instant: Instant, timezone: str | None) -> int:
    """What the clock on the wall shows, in microseconds since its own 1970."""
    if timezone is None:
        return instant
    return instant + _offset(timezone, instant // SECOND) * SECOND


def from_wall(wall: int, timezone: str | None) -> Instant:
    """The first instant at which the clock on the wall shows this, or the first after a gap."""
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
    """The instants in (begin, end) at which the offset changes: a look each day, then halving."""
    offset = _offset(timezone, begin)
    for day in range(begin + _DAY, end + 1, _DAY):
        if (later := _offset(timezone, day)) != offset:
            low, high = day - _DAY, day
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
    """The instant of a wall time in microseconds, by the offsets of a day before and after."""
    second = wall // SECOND
    before, after = _offset(timezone, second - _DAY - 1), _offset(timezone, second + _DAY)
    found = [
        wall - offset * SECOND
        for offset in sorted({before, after}, reverse=True)
        if _offset(timezone, second - offset) == offset
    ]
    if found:
        return found[0] if fold != "last" else found[-1]
    if gap == "skip":
        raise BadInputError(f"`{text}` does not exist in {timezone}: the clock is put forward")
    shifted = wall - before * SECOND
    if gap == "shift":
        return shifted
    change = next(_changes(timezone, second - after - _DAY, second - before + _DAY), None)
    return shifted if change is None else change * SECOND


def _nearest(name: str) -> str:
    names = {zone.lower(): zone for zone in available_timezones()}
    found = get_close_matches(name.lower(), names, 3, 0.6)
    return f"; did you mean {', '.join(names[near] for near in found)}?" if found else ""
