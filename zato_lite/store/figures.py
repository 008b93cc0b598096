"""Figures: runs and slots without a run, counted by outcome in equal parts of a span of time."""

from collections import Counter
from collections.abc import Collection, Sequence
from typing import Any, Literal, NamedTuple

from zato_lite.store import history
from zato_lite.store.dialect import AMONG_NUMBERS, EACH_NUMBER, NOT_DELETED
from zato_lite.store.job_filter import JobFilter, condition
from zato_lite.store.ports import Connection
from zato_lite.store.slot_counts import SlotQuery, count_slots
from zato_lite.store.sql import read_rows
from zato_lite.store.visibility import ALL_VISIBLE, Visible
from zato_lite.timetable.job import SECOND, Instant

Group = Literal["none", "job", "service"]

MAX_SAMPLE = 6_000
"""Runs of all jobs that percentiles are computed from at most."""

MAX_TIMES = 20_000
"""Runs of some jobs that percentiles are computed from at most: the latest ones."""

_HOUR = 3_600 * SECOND
_STRATA = 5
"""Parts of a bucket of which a sample has equally many runs."""

# Runs of the jobs that a condition selects, with a slot in [?, ?). By kind: each has an index.
_RUNS = """SELECT {key} AS key, r.slot AS at, coalesce(r.outcome, 'running') AS o
    FROM job j JOIN run r ON r.job_id = j.id AND r.kind {kind} AND r.slot >= ? AND r.slot < ?
    WHERE {where}"""
_ENDED_JOBS = "SELECT job_id FROM run WHERE outcome = ? AND slot >= ? AND slot < ?"
_OPEN = """SELECT j.service, (r.slot - ?) / ?, 'running', count(*)
    FROM run r JOIN job j ON j.id = r.job_id
    WHERE r.outcome IS NULL AND r.slot >= ? AND r.slot < ? AND {where} GROUP BY 1, 2"""

_TIMES = """SELECT {key} AS key, r.slot AS at, r.started_at - r.slot AS delay,
    r.finished_at - r.started_at AS took
    FROM job j JOIN run r ON r.job_id = j.id AND r.kind {kind} AND r.slot >= ? AND r.slot < ?
    WHERE r.outcome = 'ok' AND r.started_at IS NOT NULL AND {where}"""

# Of each instant in a list, up to ? runs with a slot in the next ? microseconds.
_SAMPLE = f"""SELECT '', r.slot, r.started_at - r.slot, r.finished_at - r.started_at
    FROM {EACH_NUMBER} JOIN run r ON r.id IN (SELECT e.id FROM run e
        WHERE e.outcome = 'ok' AND e.slot >= wanted.value AND e.slot < wanted.value + ?
        ORDER BY e.slot LIMIT ?)
    WHERE r.started_at IS NOT NULL"""

_KEYS: dict[Group, str] = {"none": "''", "job": "CAST(j.id AS TEXT)", "service": "j.service"}


class FiguresQuery(NamedTuple):
    """A span [start, until) in parts of ``width`` microseconds, and jobs.

    Attributes:
        number: the number of parts.
        job_ids: only these jobs; None for all.
        service: only jobs of this service; ``*`` stands for any text.
        group: one series for each job, for each service, or one for all.
    """

    start: Instant
    until: Instant
    width: int
    number: int
    job_ids: Collection[int] | None = None
    service: str = ""
    group: Group = "none"

    @property
    def is_of_all(self) -> bool:
        """True if no job is left out, and they are one series."""
        return self.job_ids is None and not self.service and self.group == "none"


class Count(NamedTuple):
    """The number of runs or slots of a series in a part, by outcome."""

    key: str
    part: int
    outcome: str
    number: int


class Times(NamedTuple):
    """A run that succeeded: its slot, its delay and its duration in microseconds."""

    key: str
    slot: Instant
    delay: int
    took: int


def count_outcomes(
    connection: Connection, query: FiguresQuery, now: Instant, visible: Visible = ALL_VISIBLE
) -> list[Count]:
    """Count runs by their slot, and slots without a run."""
    if query.is_of_all and visible == ALL_VISIBLE:
        span = history.SummaryQuery(query.start, query.until, query.number, None, 0)
        return [
            Count("", part, outcome, number)
            for part, bucket in enumerate(history.buckets(connection, span))
            for outcome, number in bucket.counts.items()
        ]
    where, values = _where(connection, query, now, visible)
    count, tables = _count_runs, "job j CROSS JOIN ledger l"
    if query.group == "service" and query.job_ids is None and not query.service:
        where, values = f"{NOT_DELETED}{visible.condition}", visible.values
        count, tables = _count_by_service, "ledger l CROSS JOIN job j"
    found = count(connection, query, where, values)
    slots = SlotQuery(
        query.start,
        query.until,
        query.width,
        tables,
        f"l.job_id = j.id AND {where}",
        values,
        _KEYS[query.group],
    )
    return found + [
        Count(*each, number) for each, number in count_slots(connection, slots).items()
    ]


def _count_runs(
    connection: Connection, query: FiguresQuery, where: str, values: Sequence[Any]
) -> list[Count]:
    """Count the runs of each job: few jobs of many."""
    key, once = _KEYS[query.group], (query.start, query.until, *values)
    united = " UNION ALL ".join(_RUNS.format(key=key, kind=kind, where=where) for kind in _KINDS)
    return read_rows(
        connection,
        f"SELECT key, (at - ?) / ?, o, count(*) FROM ({united}) found GROUP BY 1, 2, 3",
        (query.start, query.width, *once * 2),
        Count,
    )


def _count_by_service(
    connection: Connection, query: FiguresQuery, where: str, values: Sequence[Any]
) -> list[Count]:
    """Count the runs of all jobs by service, over lists of job ids from an index.

    Reading 170,000 ids takes 11 ms; a join and a sort of them in the database took 150. All jobs
    are read in the order of their table: in the order of their names, a million took 2.8 s.
    """
    pairs = read_rows(
        connection, f"SELECT j.id, j.service FROM job j WHERE {where}", values, tuple[int, str]
    )
    service_of = dict(pairs)
    start, width = query.start, query.width
    span = (start, query.until, *values)
    found = read_rows(connection, _OPEN.format(where=where), (start, width, *span), Count)
    outcomes = history.outcomes(connection)
    for part in range(query.number):
        begin = start + part * width
        end = min(begin + width, query.until)
        for outcome in outcomes:
            job_ids = read_rows(connection, _ENDED_JOBS, (outcome, begin, end), int)
            services = Counter(map(service_of.get, job_ids))
            found += [Count(key, part, outcome, n) for key, n in services.items() if key]
    return found


_KINDS = ("= 'scheduled'", "<> 'scheduled'")


def read_times(
    connection: Connection, query: FiguresQuery, now: Instant, visible: Visible = ALL_VISIBLE
) -> list[Times]:
    """Return delays and durations of runs that succeeded; of many runs, of some."""
    if query.is_of_all and visible == ALL_VISIBLE:
        return _sample(connection, query)
    where, values = _where(connection, query, now, visible)
    key, once = _KEYS[query.group], (query.start, query.until, *values)
    united = " UNION ALL ".join(_TIMES.format(key=key, kind=kind, where=where) for kind in _KINDS)
    return read_rows(
        connection,
        f"SELECT key, at, delay, took FROM ({united}) found ORDER BY at DESC LIMIT ?",
        (*once * 2, MAX_TIMES),
        Times,
    )


def last_hour(
    connection: Connection, query: FiguresQuery, now: Instant, visible: Visible = ALL_VISIBLE
) -> dict[str, int]:
    """Return the number of runs that ended within the last hour, by outcome."""
    if query.job_ids is None and not query.service and visible == ALL_VISIBLE:
        return history.last_hour(connection, now)
    where, values = _where(connection, query, now, visible)
    rows = read_rows(
        connection,
        "SELECT r.outcome, count(*) FROM run r WHERE r.outcome IN"
        " ('ok', 'error', 'timeout', 'lost', 'denied', 'cancelled') AND r.finished_at >= ?"
        f" AND r.job_id IN (SELECT j.id FROM job j WHERE {where})"
        " GROUP BY r.outcome",
        (now - _HOUR, *values),
        tuple[str, int],
    )
    return dict(rows)


def _sample(connection: Connection, query: FiguresQuery) -> list[Times]:
    strata = query.number * _STRATA
    span = query.until - query.start
    begins = [query.start + span * place // strata for place in range(strata)]
    each = max(1, MAX_SAMPLE // strata)
    values = (connection.many(begins), max(1, span // strata), each)
    return read_rows(connection, _SAMPLE, values, Times)


def _where(
    connection: Connection, query: FiguresQuery, now: Instant, visible: Visible
) -> tuple[str, Sequence[Any]]:
    where = condition(JobFilter(service=query.service), now, visible)
    if query.job_ids is None:
        return where
    ids = connection.many(query.job_ids)
    return f"{where.text} AND j.id {AMONG_NUMBERS}", (*where.values, ids)
