"""History queries: past runs, attempts and log lines, the ledger, and summaries."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

import msgspec

from zato_lite.store import jobs
from zato_lite.store.dialect import AMONG_NUMBERS, AMONG_TEXTS, EACH_NUMBER
from zato_lite.store.ports import Connection
from zato_lite.store.rows import (
    AttemptRow,
    Bucket,
    EarlierLines,
    LedgerRow,
    LogLine,
    RunRow,
    Summary,
)
from zato_lite.store.run_cid import RunCids, read_cids
from zato_lite.store.slot_counts import SlotQuery, count_slots
from zato_lite.store.sql import Value, fetch_value, read_rows
from zato_lite.store.visibility import Permits, visible_runs
from zato_lite.timetable.job import SECOND, Instant, Job

# A ``RunRow``, from a run ``r`` with its job ``j`` or call ``c``.
_RUN_ROW = """r.id, r.job_id, coalesce(j.name, '') AS job_name,
    coalesce(j.service, c.definition ->> 'service', '') AS service, r.number, r.kind, r.slot,
    r.state, r.node, r.token, r.attempt, r.crashes, r.claimed_at, r.started_at, r.finished_at,
    r.retry_at, coalesce(r.outcome, 'running') AS outcome, r.error, r.result, r.principal,
    r.requested_by"""
_RUN_WITHOUT_RESULT = _RUN_ROW.replace("r.result,", "NULL AS result,")
_JOINS = "LEFT JOIN job j ON j.id = r.job_id LEFT JOIN call c ON c.run_id = r.id"

# A ``LedgerRow``, from a ledger row ``l`` with its job ``j``.
_LEDGER_ROW = """l.id, l.job_id, coalesce(j.name, '') AS job_name, l.outcome, l.first, l.last,
    l.count, l.reason"""
_HOUR = 3600 * SECOND

# The outcomes ``o`` that runs have: each is the next one in the index, so that none is scanned.
_OUTCOMES = """WITH RECURSIVE o (outcome) AS (
    SELECT (SELECT min(outcome) FROM run WHERE outcome IS NOT NULL)
    UNION ALL SELECT (SELECT min(outcome) FROM run WHERE outcome > o.outcome) FROM o
    WHERE o.outcome IS NOT NULL)"""

# Runs that have ended, in ?4 parts of ?3 us of [?1, ?2), by ranges of the index of slots.
_ENDED_BY_SLOT = f"""{_OUTCOMES}, part (i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM part
        WHERE i + 1 < ?4)
    SELECT i, o.outcome, (SELECT count(*) FROM run WHERE outcome = o.outcome
        AND slot >= ?1 + i * ?3 AND slot < ?1 + (i + 1) * ?3 AND slot < ?2)
    FROM part CROSS JOIN o WHERE o.outcome IS NOT NULL"""

# Runs in flight, in the same parts.
_OPEN_BY_SLOT = """SELECT (slot - ?1) / ?3, 'running', count(*) FROM run
    WHERE outcome IS NULL AND slot >= ?1 AND slot < ?2 GROUP BY (slot - ?1) / ?3"""


class HistoryQuery(NamedTuple):
    """Filters and page of a query for runs; see ``RunHistory.history``."""

    job_id: int | None = None
    limit: int = 50
    offset: int = 0
    since: Instant | None = None
    outcomes: Collection[str] = ()
    numbers: Collection[int] = ()
    permits: Permits | None = None


def history(connection: Connection, query: HistoryQuery) -> tuple[list[RunRow], int]:
    """Return a page of runs, newest first, and the number of all finished ones."""
    where, values = _conditions(connection, query)
    total = fetch_value(
        connection, f"SELECT count(*) FROM run WHERE {where} AND outcome IS NOT NULL", values
    )
    return page(connection, query), total


def page(connection: Connection, query: HistoryQuery) -> list[RunRow]:
    """Return a page of runs, newest first."""
    where, values = _conditions(connection, query)
    return read_rows(
        connection,
        f"SELECT {_RUN_ROW} FROM (SELECT * FROM run WHERE {where} ORDER BY id DESC"
        f" LIMIT ? OFFSET ?) r {_JOINS} ORDER BY r.id DESC",
        [*values, query.limit, query.offset],
        RunRow,
    )


def _conditions(connection: Connection, query: HistoryQuery) -> tuple[str, list[Any]]:
    where, values = "TRUE", list[Any]()
    if query.outcomes:
        where += f" AND (outcome IS NULL OR outcome {AMONG_TEXTS})"
        values.append(connection.many(query.outcomes))
    if query.since is not None:
        where += " AND (claimed_at >= ? OR finished_at >= ?"
        values += [query.since, query.since]
        if query.numbers:
            where += f" OR number {AMONG_NUMBERS}"
            values.append(connection.many(query.numbers))
        where += ")"
    if query.job_id is not None:
        where += " AND job_id = ?"
        values.append(query.job_id)
    visible = visible_runs(connection, query.permits)
    return where + visible.condition, [*values, *visible.values]


def run(connection: Connection, job_id: int, number: int) -> RunRow | None:
    """Return a job's run by its number."""
    return _find_run(connection, "r.job_id = ? AND r.number = ?", (job_id, number))


def run_by_id(connection: Connection, run_id: int) -> RunRow | None:
    """Return a run by its id."""
    return _find_run(connection, "r.id = ?", (run_id,))


def _find_run(connection: Connection, where: str, values: tuple[Any, ...]) -> RunRow | None:
    rows = read_rows(
        connection,
        f"SELECT {_RUN_ROW} FROM run r {_JOINS} WHERE {where} ORDER BY r.id DESC LIMIT 1",
        values,
        RunRow,
    )
    return rows[0] if rows else None


def runs_by_ids(connection: Connection, ids: Collection[int]) -> list[RunRow]:
    """Return the runs with these ids, without their results, in any order."""
    return read_rows(
        connection,
        f"SELECT {_RUN_WITHOUT_RESULT} FROM run r {_JOINS} WHERE r.id {AMONG_NUMBERS}",
        (connection.many(ids),),
        RunRow,
    )


def definition_of(connection: Connection, run_id: int) -> Job | None:
    """Return the present definition of a run's job, or that of the run alone, or None."""
    text = fetch_value(
        connection,
        f"SELECT coalesce(c.definition, j.definition) FROM run r {_JOINS} WHERE r.id = ?",
        (run_id,),
    )
    return None if text is None else msgspec.json.decode(text, type=Job)


def neighbours(connection: Connection, job_id: int, number: int) -> tuple[int | None, int | None]:
    """Return the numbers of the runs before and after a run."""
    previous = fetch_value(
        connection, "SELECT max(number) FROM run WHERE job_id = ? AND number < ?", (job_id, number)
    )
    following = fetch_value(
        connection, "SELECT min(number) FROM run WHERE job_id = ? AND number > ?", (job_id, number)
    )
    return previous, following


_RELATED_RUN = f"""SELECT r.job_id, coalesce(j.name, ''),
    coalesce(j.service, c.definition ->> 'service', ''), r.number, coalesce(r.outcome, 'running')
    FROM run r {_JOINS}"""
_MAX_CALLBACKS = 20


class RelatedRun(NamedTuple):
    """A run that a callback led to, or whose callback led to another one."""

    job_id: int
    job_name: str
    service: str
    current_run: int
    outcome: str


class Relations(NamedTuple):
    """The correlation ids of a run's attempts, the run that caused it, and those that it caused.

    Attributes:
        given: the correlation id of the request for the run; all attempts have it.
    """

    given: str
    cids: RunCids
    cause: RelatedRun | None
    callbacks: Sequence[RelatedRun]

    def cid_of(self, token: int) -> str | None:
        """Return the correlation id of an attempt, if it is known."""
        return self.given or self.cids.of(token)


def relations(connection: Connection, run_id: int) -> Relations:
    """Return what a run is related to; of the runs that it caused, the first ones."""
    given = fetch_value(connection, "SELECT cid FROM call WHERE run_id = ?", (run_id,))
    cause = read_rows(
        connection,
        f"{_RELATED_RUN} WHERE r.id = (SELECT e.caused_by FROM run e WHERE e.id = ?)",
        (run_id,),
        RelatedRun,
    )
    callbacks = read_rows(
        connection,
        f"{_RELATED_RUN} WHERE r.caused_by = ? ORDER BY r.id LIMIT ?",
        (run_id, _MAX_CALLBACKS),
        RelatedRun,
    )
    return Relations(given or "", read_cids(connection), cause[0] if cause else None, callbacks)


def attempts(connection: Connection, job_id: int, number: int) -> list[AttemptRow]:
    """Return the attempts of a run before its latest, oldest first."""
    return read_rows(
        connection,
        "SELECT a.attempt, a.token, a.started_at, a.finished_at, a.outcome, a.error"
        " FROM attempt a JOIN run r ON r.id = a.run_id"
        " WHERE r.job_id = ? AND r.number = ? ORDER BY a.attempt",
        (job_id, number),
        AttemptRow,
    )


def lines(connection: Connection, run_ids: Collection[int]) -> dict[int, list[LogLine]]:
    """Return the log lines of these runs' latest attempts, without runs that have none."""
    pairs = read_rows(
        connection,
        f"SELECT run_id, lines FROM run_log WHERE run_id {AMONG_NUMBERS}",
        (connection.many(run_ids),),
        tuple[int, list[LogLine]],
    )
    return dict(pairs)


def earlier_lines(
    connection: Connection, run_ids: Collection[int]
) -> dict[int, list[EarlierLines]]:
    """Return the log lines of these runs' earlier attempts, in order."""
    rows = read_rows(
        connection,
        "SELECT run_id, attempt, started_at, finished_at, outcome, coalesce(lines, '[]')"
        f" FROM attempt WHERE run_id {AMONG_NUMBERS} ORDER BY run_id, attempt",
        (connection.many(run_ids),),
        EarlierLines,
    )
    return _grouped((row.run_id, row) for row in rows)


def last_runs(connection: Connection, job_ids: Collection[int]) -> dict[int, RunRow]:
    """Return the latest started run of each job."""
    # A result may be a megabyte; of many jobs, nobody reads it here.
    rows = read_rows(
        connection,
        f"SELECT {_RUN_WITHOUT_RESULT} FROM run r {_JOINS} WHERE r.id IN (SELECT"
        " (SELECT max(id) FROM run WHERE job_id = wanted.value AND started_at IS NOT NULL)"
        f" FROM {EACH_NUMBER})",
        (connection.many(job_ids),),
        RunRow,
    )
    return {row.job_id: row for row in rows}


def recent_outcomes(
    connection: Connection, job_ids: Collection[int], count: int
) -> dict[int, list[str]]:
    """Return the outcomes of the latest runs of each job, oldest first."""
    pairs = read_rows(
        connection,
        "SELECT r.job_id, coalesce(r.outcome, 'running')"
        f" FROM {EACH_NUMBER} JOIN run r ON r.job_id = wanted.value AND r.id >= coalesce("
        " (SELECT id FROM run WHERE job_id = wanted.value ORDER BY id DESC LIMIT 1 OFFSET ?), 0)"
        " ORDER BY r.id",
        (connection.many(job_ids), count - 1),
        tuple[int, str],
    )
    return _grouped(pairs)


def _grouped(pairs: Iterable[tuple[int, Value]]) -> dict[int, list[Value]]:
    groups: dict[int, list[Value]] = {}
    for key, value in pairs:
        groups.setdefault(key, []).append(value)
    return groups


def slot(connection: Connection, job_id: int, instant: Instant) -> RunRow | LedgerRow | None:
    """Return the run or the ledger row of a slot; None if it is in neither."""
    of_slot = "r.job_id = ? AND r.slot = ? AND r.kind"
    for kinds in ("= 'scheduled'", "IN ('retry', 'backfill')"):
        found = _find_run(connection, f"{of_slot} {kinds}", (job_id, instant))
        if found is not None:
            return found
    rows = read_rows(
        connection,
        f"SELECT {_LEDGER_ROW} FROM ledger l LEFT JOIN job j ON j.id = l.job_id"
        " WHERE l.job_id = ? AND l.first <= ? AND l.last >= ? ORDER BY l.first DESC LIMIT 1",
        (job_id, instant, instant),
        LedgerRow,
    )
    return rows[0] if rows else None


def in_flight_at(connection: Connection, job_id: int, instant: Instant) -> RunRow | None:
    """Return the latest run of a job that was in flight at an instant, or None."""
    return _find_run(
        connection,
        "r.job_id = ? AND r.claimed_at <= ? AND (r.outcome IS NULL OR r.finished_at > ?)",
        (job_id, instant, instant),
    )


def ledger(  # noqa: PLR0917 - the filters, then the page
    connection: Connection,
    job_id: int | None,
    limit: int,
    offset: int,
    since: Instant | None,
    permits: Permits | None = None,
) -> tuple[list[LedgerRow], int]:
    """Return a page of ledger rows, newest first, and the number of all of them."""
    where, values = "TRUE", list[Any]()
    if job_id is not None:
        where += " AND job_id = ?"
        values.append(job_id)
    if since is not None:
        where += " AND last >= ?"
        values.append(since)
    visible = visible_runs(connection, permits)
    where += visible.condition
    values += visible.values
    rows = read_rows(
        connection,
        f"SELECT {_LEDGER_ROW} FROM (SELECT * FROM ledger WHERE {where}"
        " ORDER BY first DESC, id DESC LIMIT ? OFFSET ?) l"
        " LEFT JOIN job j ON j.id = l.job_id ORDER BY l.first DESC, l.id DESC",
        [*values, limit, offset],
        LedgerRow,
    )
    return rows, fetch_value(connection, f"SELECT count(*) FROM ledger WHERE {where}", values)


class SummaryQuery(NamedTuple):
    """Period and sizes of a summary; see ``RunHistory.summary``."""

    since: Instant | None
    until: Instant
    buckets: int
    recent_since: Instant | None
    recent_limit: int


def summary(connection: Connection, query: SummaryQuery, now: Instant) -> Summary:
    """Return numbers of jobs and runs by outcome and time, and the latest runs."""
    counts = jobs.count(connection)
    outcomes = _counts(connection, "SELECT count(*) FROM run WHERE outcome = o.outcome")
    running = fetch_value(connection, "SELECT count(*) FROM run WHERE outcome IS NULL")
    if running:
        outcomes["running"] = running
    total_runs = sum(outcomes.values())
    skipped = read_rows(
        connection,
        "SELECT outcome, sum(count) FROM ledger GROUP BY outcome",
        (),
        tuple[str, int],
    )
    recent = HistoryQuery(None, query.recent_limit, 0, query.recent_since)
    return Summary(
        total_jobs=counts.total,
        active_jobs=counts.active,
        paused_jobs=counts.total - counts.active,
        total_runs=total_runs,
        outcomes=outcomes | dict(skipped),
        last_hour=last_hour(connection, now),
        buckets=buckets(connection, query),
        recent=tuple(page(connection, recent)),
    )


def last_hour(connection: Connection, now: Instant) -> dict[str, int]:
    """Return the number of runs that ended within the last hour, by outcome."""
    ended = "SELECT count(*) FROM run WHERE outcome = o.outcome AND finished_at >= ?"
    return _counts(connection, ended, (now - _HOUR,))


def _counts(connection: Connection, count: str, values: tuple[Any, ...] = ()) -> dict[str, int]:
    """Return the number of runs of each outcome; ``count`` reads a range of an index."""
    pairs = read_rows(
        connection,
        f"{_OUTCOMES} SELECT o.outcome, ({count}) FROM o WHERE o.outcome IS NOT NULL",
        values,
        tuple[str, int],
    )
    return {outcome: number for outcome, number in pairs if number}


def _first_slot(connection: Connection) -> Instant | None:
    """Return the first slot that has a run."""
    ended = (
        f"{_OUTCOMES} SELECT min((SELECT min(slot) FROM run WHERE outcome = o.outcome)) FROM o"
        " WHERE o.outcome IS NOT NULL"
    )
    in_flight = "SELECT min(slot) FROM run WHERE outcome IS NULL"
    found = [fetch_value(connection, statement) for statement in (ended, in_flight)]
    return min((slot for slot in found if slot is not None), default=None)


def buckets(connection: Connection, query: SummaryQuery) -> tuple[Bucket, ...]:
    """Count runs and slots without a run, in equal parts of the period."""
    since, until, number = query.since, query.until, query.buckets
    if since is None:
        since = _first_slot(connection)
    if since is None or since >= until or number < 1:
        return ()
    width = max(1, -(-(until - since) // number))
    values = (since, until, width)
    rows = read_rows(connection, _ENDED_BY_SLOT, (*values, number), tuple[int, str, int])
    rows += read_rows(connection, _OPEN_BY_SLOT, values, tuple[int, str, int])
    slots = count_slots(connection, SlotQuery(*values))
    rows += [(part, outcome, count) for (_, part, outcome), count in slots.items()]
    return buckets_of(since, width, number, rows)


def outcomes(connection: Connection) -> list[str]:
    """Return the outcomes that runs have."""
    statement = f"{_OUTCOMES} SELECT o.outcome FROM o WHERE o.outcome IS NOT NULL"
    return read_rows(connection, statement, (), str)


def buckets_of(
    since: Instant, width: int, number: int, rows: Iterable[tuple[int, str, int]]
) -> tuple[Bucket, ...]:
    """Return equal parts of a period, with the counts of their rows: part, outcome, number."""
    counts: list[dict[str, int]] = [{} for _ in range(number)]
    for index, outcome, count in rows:
        if count:
            counts[index][outcome] = count
    return tuple(
        Bucket(since + index * width, since + (index + 1) * width, outcomes)
        for index, outcomes in enumerate(counts)
    )
