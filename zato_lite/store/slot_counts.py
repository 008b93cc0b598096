"""Slot counts: slots without a run by outcome, in equal parts of a span of time.

A ledger row is a range of slots, of which only the first and the last instant are stored: the
others are taken to be at equal distances.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from zato_lite.store.ports import Connection
from zato_lite.store.sql import read_rows
from zato_lite.timetable.job import Instant

# Microseconds between the slots of a ledger row ``l``; rounded up, so that none is after the last.
_STEP = """CASE WHEN l.count > 1 AND l.last > l.first
    THEN (l.last - l.first + l.count - 2) / (l.count - 1) ELSE 1 END"""
# The number of slots of ``e`` before an instant.
_BEFORE = """CASE WHEN e.last < {at} THEN e.count WHEN e.first >= {at} THEN 0
    ELSE ({at} - e.first - 1) / e.step + 1 END"""

# Ranges with a slot in [?1, ?2), shortened to it, by the parts of ?3 us where they begin and end.
_RANGES = """SELECT key, outcome, (c.first - ?1) / ?3, (c.last - ?1) / ?3, count(*), sum(c.slots),
    min(c.slots), max(c.slots), min(c.first), max(c.first), min(c.last), max(c.last)
    FROM (SELECT key, outcome, n.ended - n.passed AS slots, n.first + n.passed * n.step AS first,
        CASE WHEN n.last < ?2 THEN n.last ELSE n.first + (n.ended - 1) * n.step END AS last
        FROM (SELECT e.*, {passed} AS passed, {ended} AS ended
            FROM (SELECT {key} AS key, l.outcome, l.first, l.last, l.count, {step} AS step
                FROM {source} WHERE l.last >= ?1 AND l.first < ?2 AND {where}) e) n
        WHERE n.ended > n.passed) c
    GROUP BY 1, 2, 3, 4"""


class SlotQuery(NamedTuple):
    """A span [start, until) in parts of ``width`` microseconds, and ledger rows ``l``.

    Attributes:
        source: the tables, with ``l``.
        where: a condition of them; its placeholders have the values ``values``.
        key: an expression; rows with different ones are counted apart.
    """

    start: Instant
    until: Instant
    width: int
    source: str = "ledger l"
    where: str = "TRUE"
    values: Sequence[Any] = ()
    key: str = "''"


class _Ranges(NamedTuple):
    """Ranges that begin in one part of the span and end in one."""

    key: str
    outcome: str
    first_part: int
    last_part: int
    ranges: int
    slots: int
    least: int
    most: int
    first: Instant
    first_most: Instant
    last_least: Instant
    last: Instant

    def count_before(self, at: Instant) -> int:
        """Return the number of slots before an instant: exact if the ranges are equal."""
        is_one = self.least == self.most
        if is_one and self.first == self.first_most and self.last_least == self.last:
            step = -(-(self.last - self.first) // (self.most - 1))
            return self.ranges * ((at - self.first - 1) // step + 1)
        return min(self.slots, self.slots * (at - self.first) // (self.last - self.first))


def count_slots(connection: Connection, query: SlotQuery) -> dict[tuple[str, int, str], int]:
    """Return the number of slots by key, part and outcome.

    Unequal ranges that begin in one part and end in another one are spread evenly over them.
    """
    statement = _RANGES.format(
        key=query.key,
        step=_STEP,
        source=query.source,
        where=query.where,
        passed=_BEFORE.format(at="?1"),
        ended=_BEFORE.format(at="?2"),
    )
    values = (query.start, query.until, query.width, *query.values)
    found: Counter[tuple[str, int, str]] = Counter()
    for ranges in read_rows(connection, statement, values, _Ranges):
        for part, number in _spread(ranges, query):
            found[ranges.key, part, ranges.outcome] += number
    return found


def _spread(ranges: _Ranges, query: SlotQuery) -> Iterator[tuple[int, int]]:
    """Yield the number of slots in each part."""
    counted = 0
    for part in range(ranges.first_part, ranges.last_part):
        before = ranges.count_before(query.start + (part + 1) * query.width)
        if before > counted:
            yield part, before - counted
            counted = before
    if ranges.slots > counted:
        yield ranges.last_part, ranges.slots - counted
