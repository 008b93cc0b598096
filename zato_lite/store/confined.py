"""Summary of the jobs and runs that a caller with patterns may see.

``history.summary`` reads figures of all runs from indexes; which jobs are visible is not in them.
"""

from typing import Any

from zato_lite.store.history import HistoryQuery, SummaryQuery, buckets_of, page
from zato_lite.store.ports import Connection
from zato_lite.store.rows import Bucket, Summary
from zato_lite.store.slot_counts import SlotQuery, count_slots
from zato_lite.store.sql import fetch_row, fetch_value, read_rows
from zato_lite.store.visibility import Permits, Visible, visible_jobs, visible_runs
from zato_lite.timetable.job import SECOND, Instant

_HOUR = 3600 * SECOND


def confined_summary(
    connection: Connection, query: SummaryQuery, now: Instant, permits: Permits
) -> Summary:
    """Return what ``history.summary`` does, of visible jobs and their runs."""
    jobs, runs = visible_jobs(connection, permits), visible_runs(connection, permits)
    total, active = fetch_row(
        connection,
        "SELECT count(*), count(*) FILTER (WHERE is_active) FROM job WHERE deleted_at IS NULL"
        + jobs.condition,
        jobs.values,
    )
    all_runs = (
        f"SELECT coalesce(outcome, 'running') AS o, 1 AS n FROM run WHERE TRUE{runs.condition}"
    )
    outcomes = _counts(connection, all_runs, runs.values)
    skipped = f"SELECT outcome AS o, count AS n FROM ledger WHERE TRUE{runs.condition}"
    ended = f"SELECT outcome AS o, 1 AS n FROM run WHERE finished_at >= ?{runs.condition}"
    recent = HistoryQuery(None, query.recent_limit, 0, query.recent_since, permits=permits)
    return Summary(
        total_jobs=total,
        active_jobs=active,
        paused_jobs=total - active,
        total_runs=sum(outcomes.values()),
        outcomes=outcomes | _counts(connection, skipped, runs.values),
        last_hour=_counts(connection, ended, (now - _HOUR, *runs.values)),
        buckets=_buckets(connection, query, runs),
        recent=tuple(page(connection, recent)),
    )


def _counts(connection: Connection, select: str, values: tuple[Any, ...]) -> dict[str, int]:
    pairs = read_rows(
        connection,
        f"SELECT o, sum(n) FROM ({select}) counted GROUP BY o",
        values,
        tuple[str, int],
    )
    return dict(pairs)


def _buckets(connection: Connection, query: SummaryQuery, runs: Visible) -> tuple[Bucket, ...]:
    since, until, number = query.since, query.until, query.buckets
    if since is None:
        oldest = f"SELECT min(slot) FROM run WHERE TRUE{runs.condition}"
        since = fetch_value(connection, oldest, runs.values)
    if since is None or since >= until or number < 1:
        return ()
    width = max(1, -(-(until - since) // number))
    rows = read_rows(
        connection,
        "SELECT (slot - ?1) / ?3, coalesce(outcome, 'running'), count(*) FROM run"
        f" WHERE slot >= ?1 AND slot < ?2{runs.condition} GROUP BY 1, 2",
        (since, until, width, *runs.values),
        tuple[int, str, int],
    )
    where = f"TRUE{runs.condition}"
    slots = SlotQuery(since, until, width, where=where, values=runs.values)
    found = count_slots(connection, slots)
    rows += [(part, outcome, count) for (_, part, outcome), count in found.items()]
    return buckets_of(since, width, number, rows)
