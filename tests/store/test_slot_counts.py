"""Slots without a run: the counts by part are those of the slots one by one."""

from collections import Counter
from pathlib import Path
from typing import NamedTuple

from hypothesis import example, given
from hypothesis import strategies as st

from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store import figures
from zato_lite.store.connection import connect
from zato_lite.store.figures import Count, FiguresQuery
from zato_lite.store.migrate import migrate
from zato_lite.store.ports import Connection
from zato_lite.store.slot_counts import SlotQuery, count_slots
from zato_lite.store.sql import execute
from zato_lite.store.sqlite import SqliteStore, open_store
from zato_lite.timetable.job import SECOND

_INSERT = """INSERT INTO ledger (job_id, outcome, first, last, count, reason, number)
    VALUES (?, ?, ?, ?, ?, '', 0)"""
HOUR = 3_600 * SECOND


class Range(NamedTuple):
    """Slots at equal distances, in seconds."""

    first: int
    number: int
    step: int
    outcome: str = "missed"

    @property
    def slots(self) -> list[int]:
        """The slots in microseconds."""
        return [(self.first + n * self.step) * SECOND for n in range(self.number)]


_ranges = st.builds(
    Range, st.integers(0, 200), st.integers(1, 40), st.integers(1, 70), st.sampled_from("ab")
)


def fill(connection: Connection, ranges: list[Range]) -> None:
    """Write the ranges, each of a job of its own."""
    for number, each in enumerate(ranges, 1):
        row = (number, each.outcome, each.slots[0], each.slots[-1], each.number)
        execute(connection, _INSERT, row)


def new_store(ranges: list[Range]) -> Connection:
    """Return a store with these ranges."""
    connection = connect(":memory:")
    migrate(connection, 0)
    fill(connection, ranges)
    return connection


def one_by_one(ranges: list[Range], query: SlotQuery) -> dict[tuple[str, int, str], int]:
    """Return the counts that the slots make, one by one."""
    return Counter(
        ("", (slot - query.start) // query.width, each.outcome)
        for each in ranges
        for slot in each.slots
        if query.start <= slot < query.until
    )


@given(_ranges, st.integers(0, 500), st.integers(1, 900), st.integers(1, 100))
@example(Range(0, 7, 10), 0, 61, 10)
def test_slots_of_a_range_are_counted_in_their_parts(
    wanted: Range, start: int, span: int, width: int
) -> None:
    query = SlotQuery(start * SECOND, (start + span) * SECOND, width * SECOND)

    found = count_slots(new_store([wanted, wanted]), query)

    assert found == one_by_one([wanted, wanted], query)


@given(st.lists(_ranges, max_size=6), st.integers(0, 500), st.integers(1, 900))
def test_all_slots_of_many_ranges_are_counted_once(
    ranges: list[Range], start: int, span: int
) -> None:
    query = SlotQuery(start * SECOND, (start + span) * SECOND, 90 * SECOND)

    found = count_slots(new_store(ranges), query)

    totals: Counter[str] = Counter()
    for (_, part, outcome), number in found.items():
        assert 0 <= part <= span // 90
        assert number > 0
        totals[outcome] += number
    expected: Counter[str] = Counter()
    for (_, _, outcome), number in one_by_one(ranges, query).items():
        expected[outcome] += number
    assert totals == expected


@given(st.integers(2, 40), st.integers(1, 500), st.integers(0, 600), st.integers(1, 100))
@example(12, 15, 14, 1)  # a part begins at the last slot
@example(12, 15, 15, 1)  # the span does
def test_slots_at_unequal_distances_are_counted_once_and_the_last_one_in_its_part(
    number: int, span: int, cut: int, width: int
) -> None:
    last, middle = span * HOUR, cut * HOUR
    store = new_store([])
    execute(store, _INSERT, (1, "missed", 0, last, number))

    counts = [
        count_slots(store, SlotQuery(start, until, width * HOUR))
        for start, until in ((-HOUR, middle), (middle, max(middle, last) + HOUR))
    ]

    assert sum(sum(each.values()) for each in counts) == number
    if middle <= last:
        assert counts[1]["", (last - middle) // (width * HOUR), "missed"] >= 1


async def test_a_range_that_began_before_the_span_is_counted_in_it(database: SqliteStore) -> None:
    outage = [Range(0, 180, 60), Range(30, 3, 3_600)]
    await database.write(lambda c: fill(c, outage))
    query = SlotQuery(2 * HOUR, 3 * HOUR, HOUR // 2)

    found = await database.read(lambda c: count_slots(c, query))

    assert found == {("", 0, "missed"): 31, ("", 1, "missed"): 30}


async def test_an_older_store_has_its_figures_by_service(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=18)
    for number, service in enumerate(["crm.sync", "crm.sync", "mail.send"], 1):
        old.execute(
            "INSERT INTO job (id, name, service, is_active, definition, version, created_at)"
            " VALUES (?1, 'j' || ?1, ?2, 1, '{}', 1, 0)",
            (number, service),
        )
        old.execute(
            "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt,"
            " crashes, claimed_at, outcome)"
            " VALUES (?1, ?1, 1, ?2, 'scheduled', 'done', 3, ?1, 1, 0, 8, ?3)",
            (number, number * SECOND, None if number == 1 else "ok"),
        )
    old.execute(_INSERT, (3, "missed", 0, 9 * SECOND, 10))
    old.close()
    query = FiguresQuery(0, 6 * SECOND, 3 * SECOND, 2, group="service")

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        found = await store.read(lambda c: figures.count_outcomes(c, query, 0))

    assert sorted(found) == [
        Count("crm.sync", 0, "ok", 1),
        Count("crm.sync", 0, "running", 1),
        Count("mail.send", 0, "missed", 3),
        Count("mail.send", 1, "missed", 3),
        Count("mail.send", 1, "ok", 1),
    ]
