"""Moments as people write them: the only module that knows dateutil."""

from datetime import datetime, timedelta, timezone, tzinfo
from itertools import product

from dateutil import parser

_ELSEWHERE = (datetime(2000, 1, 1), datetime(2001, 2, 2))  # noqa: DTZ001 - what a text leaves out


def read_moment(text: str) -> datetime | None:
    """The moment that a text such as ``July 29 2027 11:35`` names; None if it is not clear which.

    All there is to a date must be there, and however day, month and year are told apart, it must
    come to the same: ``29/07/2027`` is clear, and ``01/02/2027`` is not.
    """
    found: set[datetime] = set()
    try:
        for default, day_first, year_first in product(_ELSEWHERE, (True, False), (True, False)):
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
    """The zone of an offset; a name alone, such as EST, means different things in places."""
    if offset is not None:
        return timezone(timedelta(seconds=offset))
    if name is not None:
        raise ValueError(f"{name} is no offset")
    return None
