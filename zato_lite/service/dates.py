"""Dates of jobs: instants, and moments in words. Only module that imports dateutil."""

from datetime import UTC, datetime, timedelta, timezone, tzinfo
from itertools import product

from dateutil import parser

_DEFAULTS = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001 - for omitted parts of a date


def start_of(
    start: str | datetime, now: datetime, after_seconds: float = 0, zone: str | None = None
) -> str:
    """Return the start of a job as text, which the scheduler checks; without one, some time after.

    An object without an offset is in the job's time zone, or else in UTC, as a text is.
    """
    if isinstance(start, datetime):
        if start.tzinfo is None and zone:
            return start.isoformat()
        aware = start if start.tzinfo else start.replace(tzinfo=UTC)
        return aware.astimezone(UTC).isoformat()
    if start:
        return start
    return datetime.fromtimestamp(now.timestamp() + after_seconds, UTC).isoformat()


def from_words(start: str | datetime) -> str | datetime:
    """Return the moment that a date in words means, if it is unambiguous; else the text."""
    if not isinstance(start, str) or not start:
        return start
    try:
        datetime.fromisoformat(start.strip())
    except ValueError:
        return read_moment(start) or start
    return start


def read_moment(text: str) -> datetime | None:
    """Return the moment that a text such as ``July 29 2027 11:35`` means, or None if ambiguous.

    The date must be complete and have a single reading, whichever of day, month and year comes
    first: ``29/07/2027`` is accepted, ``01/02/2027`` is not.
    """
    found: set[datetime] = set()
    try:
        for default, day_first, year_first in product(_DEFAULTS, (True, False), (True, False)):
            found.add(
                parser.parse(
                    text,
                    default=default,
                    dayfirst=day_first,
                    yearfirst=year_first,
                    tzinfos=_zone,
                )
            )
    except (ValueError, OverflowError, TypeError):
        return None
    return found.pop() if len(found) == 1 else None


def _zone(name: str | None, offset: int | None) -> tzinfo | None:
    """Return the zone of an offset; a name such as EST alone is ambiguous."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is not None:
        raise ValueError(f"not a UTC offset: {name}")
    return None
