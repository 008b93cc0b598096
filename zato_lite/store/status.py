"""Status of the scheduler: what it does now, without a look at the history."""

from typing import NamedTuple

from zato_lite.store.job_figures import percentile
from zato_lite.store.job_filter import JobFilter, StateCounts, count_states
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, read_rows
from zato_lite.timetable.job import SECOND, Instant

MAX_LATEST = 200
"""Runs that the lateness is computed from: the latest ones."""

CLAIMED_FOR = 60 * SECOND
_MAX_CLAIMED = 3_000
"""Claims by second are those of the last minute, or of the latest runs if they are more."""

_OPEN = """SELECT r.node, count(*) FILTER (WHERE r.state <> 'queued'),
    count(*) FILTER (WHERE r.state = 'queued')
    FROM run r WHERE r.outcome IS NULL GROUP BY r.node"""
_DELAYS = """SELECT r.started_at - r.slot FROM run r WHERE r.kind = 'scheduled'
    AND r.started_at IS NOT NULL ORDER BY r.id DESC LIMIT ?"""
_CLAIMED = """SELECT latest.node, count(*), min(latest.claimed_at) FROM (SELECT r.node AS node,
    r.claimed_at AS claimed_at FROM run r ORDER BY r.id DESC LIMIT ?) latest
    WHERE latest.claimed_at >= ? GROUP BY latest.node"""


class OpenRuns(NamedTuple):
    """Runs without an outcome that a node holds, or none (0)."""

    node: int
    in_flight: int
    queued: int


class Claimed(NamedTuple):
    """The latest runs that a node has claimed, and the first claim of them."""

    node: int
    number: int
    since: Instant


class Status(NamedTuple):
    """State of the scheduler.

    Attributes:
        delays: p50 and p99 of the delays of the latest scheduled runs, in microseconds.
        next_at: the next instant at which a job must be planned.
        claims: runs that each node claims by second.
    """

    counts: StateCounts
    open_runs: dict[int, OpenRuns]
    delays: tuple[float | None, float | None]
    next_at: Instant | None
    claims: dict[int, float]


def read_status(connection: Connection, now: Instant) -> Status:
    """Return the state of the scheduler."""
    open_runs = read_rows(connection, _OPEN, (), OpenRuns)
    delays = read_rows(connection, _DELAYS, (MAX_LATEST,), int)
    claimed = read_rows(connection, _CLAIMED, (_MAX_CLAIMED, now - CLAIMED_FOR), Claimed)
    is_cut = sum(each.number for each in claimed) >= _MAX_CLAIMED
    since = min((each.since for each in claimed), default=now) if is_cut else now - CLAIMED_FOR
    seconds = max(now - since, SECOND) / SECOND
    return Status(
        count_states(connection, JobFilter(), now),
        {each.node: each for each in open_runs},
        (percentile(delays, 0.5), percentile(delays, 0.99)),
        fetch_value(connection, "SELECT min(t.next_at) FROM timer t WHERE t.next_at IS NOT NULL"),
        {each.node: each.number / seconds for each in claimed},
    )
