"""Timeline: the runs and the slots without a run of several jobs in a span of time."""

from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeVar

from zato_lite.store.dialect import EACH_NUMBER
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, read_rows
from zato_lite.timetable.job import Instant

MAX_RUNS = 24_000
"""Runs that are read for one answer at most, an equal part for each job: its latest ones."""

MAX_ENTRIES = 6_000
"""Ledger rows that are read for one answer at most, an equal part for each job."""

_RUN = f"""r.job_id, r.number, r.slot, r.started_at, r.finished_at,
    coalesce(r.outcome, 'running'), r.id FROM {EACH_NUMBER} JOIN run r ON"""
_OF_KIND = """(SELECT e.id FROM run e WHERE e.job_id = wanted.value AND e.kind {kind}
    AND e.slot >= ? AND e.slot < ? ORDER BY e.slot DESC LIMIT ?)"""

# In the span: runs of slots, then others. Not in it: runs in flight, and the last one before it.
_RUNS = f"""SELECT {_RUN} r.id IN {_OF_KIND.format(kind="= 'scheduled'")}
    UNION SELECT {_RUN} r.id IN {_OF_KIND.format(kind="<> 'scheduled'")}
    UNION SELECT {_RUN} r.job_id = wanted.value AND r.outcome IS NULL
    UNION SELECT {_RUN} r.finished_at > ? AND r.id = (SELECT e.id FROM run e
        WHERE e.job_id = wanted.value AND e.kind = 'scheduled' AND e.slot < ?
        ORDER BY e.slot DESC LIMIT 1)"""

_ENTRY = f"""l.job_id, l.outcome, l.first, l.last, l.count, l.reason, l.id
    FROM {EACH_NUMBER} JOIN ledger l ON"""
_ENTRIES = f"""SELECT {_ENTRY} l.id IN (SELECT e.id FROM ledger e WHERE e.job_id = wanted.value
        AND e.first >= ? AND e.first < ? ORDER BY e.first DESC LIMIT ?)
    UNION SELECT {_ENTRY} l.last >= ? AND l.id = (SELECT e.id FROM ledger e
        WHERE e.job_id = wanted.value AND e.first < ? ORDER BY e.first DESC LIMIT 1)"""

_EARLIER = """SELECT count(*) FROM run WHERE job_id = ? AND kind = 'scheduled'
    AND slot >= ? AND slot < ?"""


class TimelineRun(NamedTuple):
    """A run; its times are None before it has started or ended."""

    job_id: int
    number: int
    slot: Instant
    started_at: Instant | None
    finished_at: Instant | None
    outcome: str
    id: int


class TimelineEntry(NamedTuple):
    """Adjacent slots of a job without a run."""

    job_id: int
    outcome: str
    first: Instant
    last: Instant
    slots: int
    reason: str
    id: int


class Lane(NamedTuple):
    """The past of a job in a span of time.

    Attributes:
        runs: by slot; those in flight, and the last one before the span, may have begun before it.
        entries: slots without a run, by time.
        since: the instant from which on all runs are in ``runs``.
        earlier: the number of runs of slots in the span before ``since``.
    """

    runs: Sequence[TimelineRun]
    entries: Sequence[TimelineEntry]
    since: Instant
    earlier: int = 0


_Row = TypeVar("_Row", TimelineRun, TimelineEntry)


def read_lanes(
    connection: Connection, job_ids: Sequence[int], start: Instant, until: Instant
) -> dict[int, Lane]:
    """Return the past of each of these jobs in [start, until)."""
    if not job_ids:
        return {}
    ids, most = connection.many(job_ids), max(1, MAX_RUNS // len(job_ids))
    in_span = (ids, start, until, most)
    values = (*in_span, *in_span, ids, ids, start, start)
    runs = _by_job(read_rows(connection, _RUNS, values, TimelineRun))
    entries = _by_job(
        read_rows(
            connection,
            _ENTRIES,
            (ids, start, until, max(1, MAX_ENTRIES // len(job_ids)), ids, start, start),
            TimelineEntry,
        )
    )
    lanes = {}
    for job_id in job_ids:
        found = sorted(runs.get(job_id, ()), key=lambda run: run.slot)
        slots = sorted(entries.get(job_id, ()), key=lambda entry: entry.first)
        since = found[-most].slot if len(found) >= most else start
        earlier = fetch_value(connection, _EARLIER, (job_id, start, since)) if since > start else 0
        lanes[job_id] = Lane(found, slots, since, earlier)
    return lanes


def _by_job(rows: Iterable[_Row]) -> dict[int, list[_Row]]:
    found: dict[int, list[_Row]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row)
    return found
