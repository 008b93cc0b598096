"""Figures of the history: counts by ranges of indexes are those that a scan makes."""

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.store.test_migrate import make_store_of_schema
from zato_lite.clock import SystemClock
from zato_lite.store import figures, history, jobs
from zato_lite.store.connection import connect
from zato_lite.store.history import SummaryQuery
from zato_lite.store.migrate import migrate
from zato_lite.store.ports import Connection
from zato_lite.store.rows import Summary
from zato_lite.store.sqlite import open_store
from zato_lite.timetable.job import SECOND

NOW = 10_000 * SECOND
_OUTCOMES = ("ok", "error", "timeout", "lost", "cancelled", "denied", None)
_INSERT = """INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,
    claimed_at, started_at, finished_at, outcome)
    VALUES (?1, 1, ?1, ?2, 'manual', 'done', 1, ?1, 1, 0, ?2, ?2, ?3, ?4)"""

_Runs = st.lists(
    st.tuples(st.integers(0, 12_000), st.integers(0, 12_000), st.sampled_from(_OUTCOMES)),
    max_size=30,
)


def _new_store(runs: list[tuple[int, int, str | None]]) -> Connection:
    connection = connect(":memory:")
    migrate(connection, 0)
    for number, (slot, took, outcome) in enumerate(runs, 1):
        ended = None if outcome is None else (slot + took) * SECOND
        connection.execute(_INSERT, (number, slot * SECOND, ended, outcome))
    return connection


def _summary(connection: Connection, since: int | None, until: int, buckets: int) -> Summary:
    return history.summary(connection, SummaryQuery(since, until, buckets, None, 5), NOW)


@given(_Runs, st.none() | st.integers(0, 12_000), st.integers(1, 12_000), st.integers(1, 7))
def test_a_summary_counts_what_a_scan_counts(
    runs: list[tuple[int, int, str | None]], since: int | None, until: int, buckets: int
) -> None:
    begin = None if since is None else since * SECOND

    summary = _summary(_new_store(runs), begin, until * SECOND, buckets)

    outcomes = Counter(outcome or "running" for _, _, outcome in runs)
    hour = NOW // SECOND - 3_600
    ended = Counter(o for slot, took, o in runs if o and slot + took >= hour)
    first = since if since is not None else min((slot for slot, _, _ in runs), default=until)
    charted = Counter(o or "running" for slot, _, o in runs if first <= slot < until)
    assert (summary.outcomes, summary.last_hour) == (outcomes, ended)
    assert summary.total_runs == len(runs)
    assert sum((Counter(each.counts) for each in summary.buckets), Counter()) == charted
    for bucket in summary.buckets:
        end = min(bucket.end, until * SECOND)
        inside = [o or "running" for slot, _, o in runs if bucket.start <= slot * SECOND < end]
        assert bucket.counts == Counter(inside)


async def test_an_older_store_gets_the_indexes_and_keeps_its_history(tmp_path: Path) -> None:
    old = make_store_of_schema(tmp_path / "z.db", newest=4)
    for number in range(1, 101):
        outcome = "ok" if number % 10 else "error"
        old.execute(_INSERT, (number, number * SECOND, (number + 1) * SECOND, outcome))
    old.close()

    async with open_store(tmp_path / "z.db", SystemClock()) as store:
        summary = await store.read(lambda c: _summary(c, None, 200 * SECOND, 10))
        counts = await store.read(jobs.count)

    assert summary.outcomes == {"ok": 90, "error": 10}
    assert counts == (0, 0)


@pytest.mark.parametrize(
    ("statement", "values"),
    [(history._ENDED_BY_SLOT, (0, 1, 1, 1)), (figures._ENDED_JOBS, ("ok", 0, 1))],
    ids=["parts", "jobs"],
)
def test_a_chart_reads_an_index_alone(statement: str, values: tuple[Any, ...]) -> None:
    found = _new_store([]).execute(f"EXPLAIN QUERY PLAN {statement}", values)

    steps = [row[3] for row in found if " run" in row[3]]
    assert steps
    assert all("USING COVERING INDEX" in step for step in steps), steps
