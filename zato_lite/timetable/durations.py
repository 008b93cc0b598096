"""Durations in words: ``15 min``, ``1 h 30 min``, ``2 days``."""

import re
from fractions import Fraction

_SECOND, _MINUTE, _HOUR, _DAY, _WEEK = 1_000, 60_000, 3_600_000, 86_400_000, 604_800_000
_UNITS = {
    1: ("ms", "msec", "millisecond", "milliseconds"),
    _SECOND: ("s", "sec", "secs", "second", "seconds"),
    _MINUTE: ("m", "min", "mins", "minute", "minutes"),
    _HOUR: ("h", "hr", "hrs", "hour", "hours"),
    _DAY: ("d", "day", "days"),
    _WEEK: ("w", "week", "weeks"),
}
_SIZES = {name: size for size, names in _UNITS.items() for name in names}
_PART = re.compile(r"(?:(\d{1,20}(?:[.,]\d{1,6})?)\s*)?([a-z]{1,12})[\s,]*")
_MAX_LENGTH = 100

ALLOWED = "a duration such as 90 s, 15 min, 1 h 30 min or 2 days"


def parse_duration(text: str) -> int:
    """Return the milliseconds of a duration; ``hour`` alone is one hour.

    Raises:
        ValueError: the text is not a duration of whole milliseconds.
    """
    words = text.strip().lower().replace(" and ", " ")
    total, position = Fraction(), 0
    while position < len(words) <= _MAX_LENGTH:
        found = _PART.match(words, position)
        if found is None or found[2] not in _SIZES:
            break
        total += Fraction((found[1] or "1").replace(",", ".")) * _SIZES[found[2]]
        position = found.end()
    else:
        if position and total.denominator == 1:
            return int(total)
    raise ValueError(ALLOWED)
