"""Fields of cron expressions as sets of numbers, and how such a set is written here.

Each dialect reads its own fields into sets. A field's text is carried over only if the product's
parser reads the same set in it; otherwise the set is written out.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from zato_lite.errors import BadInputError
from zato_lite.timetable import cron

_MIN_RANGE = 3


class Kind(NamedTuple):
    """A field of a cron expression: its name, its place of seven, and its range of numbers."""

    name: str
    place: int
    low: int
    high: int

    @property
    def all(self) -> range:
        """All numbers of the field."""
        return range(self.low, self.high + 1)


SECOND = Kind("second", 0, 0, 59)
MINUTE = Kind("minute", 1, 0, 59)
HOUR = Kind("hour", 2, 0, 23)
DAY = Kind("day of month", 3, 1, 31)
MONTH = Kind("month", 4, 1, 12)
WEEKDAY = Kind("day of week", 5, 0, 6)
YEAR = Kind("year", 6, 1970, 2099)

MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
WEEKDAY_NAMES = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
NAMES: Mapping[Kind, tuple[str, ...]] = {MONTH: MONTH_NAMES, WEEKDAY: WEEKDAY_NAMES}
"""Names of a field's numbers, from its lowest on."""


def written(
    kind: Kind, numbers: Collection[int], text: str = "", *, has_star: bool | None = None
) -> str:
    """Return a field that means these numbers here, as it was written there if possible.

    Args:
        kind: the field; weekdays count from Sunday = 0.
        numbers: at least one number.
        text: the field as it was written.
        has_star: the field begins with ``*``, or must not; None if that has no consequence.
    """
    wanted = frozenset(numbers)
    spelled = (text, *_spellings(kind, wanted))
    for each in spelled:
        fits = has_star is None or each.startswith("*") == has_star
        if each and fits and _read(kind, each) == wanted:
            return each
    raise AssertionError(f"{kind.name}: {sorted(wanted)} cannot be written")


def _spellings(kind: Kind, wanted: frozenset[int]) -> Iterator[str]:
    """Yield texts for a set of numbers: the shortest first."""
    if wanted == frozenset(kind.all):
        yield "*"
    first = min(wanted)
    steps = sorted(wanted)[1] - first if len(wanted) >= _MIN_RANGE else len(kind.all)
    if len(wanted) >= _MIN_RANGE and wanted == frozenset(kind.all[::steps]):
        yield f"*/{steps}"
    listed = ",".join(_runs(sorted(wanted)))
    yield listed
    yield f"*/{len(kind.all)}"  # with a star, the lowest number alone
    yield f"*/{len(kind.all)},{listed}"  # with a star, if the lowest number is among them


def _runs(numbers: list[int]) -> Iterator[str]:
    """Yield the numbers, three or more neighbours as a range."""
    at = 0
    while at < len(numbers):
        end = at
        while end + 1 < len(numbers) and numbers[end + 1] == numbers[end] + 1:
            end += 1
        if end - at + 1 >= _MIN_RANGE:
            yield f"{numbers[at]}-{numbers[end]}"
        else:
            yield from map(str, numbers[at : end + 1])
        at = end + 1


def _read(kind: Kind, text: str) -> frozenset[int] | None:
    """Return the numbers that the product's parser reads in a field; None for rules as ``L``."""
    fields = ["0", "0", "0", "*", "*", "*", "*"]
    fields[kind.place] = text
    try:
        found = cron.parse(" ".join(fields))
    except BadInputError:
        return None
    if found.rules or found.weekday_rules:
        return None
    days = frozenset(day for day in DAY.all if found.days >> day & 1)
    years = frozenset(YEAR.all) if found.years is None else found.years
    parts: tuple[Iterable[int], ...] = (
        found.seconds,
        found.minutes,
        found.hours,
        days,
        found.months,
        found.weekdays,
        years,
    )
    return frozenset(parts[kind.place])
