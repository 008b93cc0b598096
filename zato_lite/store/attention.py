"""Attention: jobs in trouble, by kind of trouble."""

from collections.abc import Collection
from typing import Any, Literal, NamedTuple

from zato_lite.store.dialect import AMONG_TEXTS, NOT_DELETED
from zato_lite.store.job_filter import MISSED_FOR, JobFilter, count_jobs, state_condition
from zato_lite.store.ports import Connection
from zato_lite.store.sql import fetch_value, read_rows
from zato_lite.store.visibility import Visible
from zato_lite.timetable.job import SECOND, Instant

Kind = Literal[
    "quarantined",
    "paused_by_itself",
    "undeployed",
    "failing",
    "late",
    "silent",
    "missed",
    "overlapping",
]
"""Kinds of trouble, the most urgent first."""

OVERLAP_FOR = 3_600 * SECOND
OVERLAP_FROM = 3
"""A job overlaps itself if this many of its slots were skipped within these microseconds."""

_MAX_TEXT = 500
"""Letters of an error that are read: its last ones."""

_FROM = "FROM job j JOIN timer t ON t.job_id = j.id"
_BY_JOB = "FROM job j CROSS JOIN timer t"
_BY_LEDGER = "FROM ledger l CROSS JOIN job j CROSS JOIN timer t"
_NOTE = """CAST(j.definition AS TEXT) LIKE '%"pause_note":"{begin}%'"""
_QUARANTINED = _NOTE.format(begin="paused automatically: a run was quarantined")
_BY_RUNS, _BY_SERVICE = (_NOTE.format(begin=it) for it in ("paused automatically", "paused: "))

_OVERLAPS = """(SELECT l.job_id AS job_id, sum(l.count) AS slots, min(l.first) AS first,
        max(l.last) AS last
    FROM ledger l WHERE l.outcome = 'skipped_already_in_flight' AND l.last >= ?
    GROUP BY l.job_id HAVING sum(l.count) >= ?) o"""

# The latest run of a job that failed.
_LATEST_FAILURE = """r.id = (SELECT e.id FROM run e WHERE e.job_id = j.id
    AND e.outcome IN ('error', 'timeout', 'lost', 'denied') ORDER BY e.id DESC LIMIT 1)"""
# The latest slots of a job were missed, as in ``job_filter``; each job once.
_MISSED = """l.outcome = 'missed' AND l.last >= ? AND j.id = l.job_id AND t.job_id = j.id
    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.job_id = l.job_id AND r.kind = 'scheduled'
        AND r.slot > l.last)
    AND l.id = (SELECT e.id FROM ledger e WHERE e.job_id = l.job_id AND e.outcome = 'missed'
        ORDER BY e.first DESC LIMIT 1)"""
_END_OF_ERROR = f"""substr(coalesce(r.error, r.outcome, ''),
    CASE WHEN length(r.error) > {_MAX_TEXT} THEN length(r.error) - {_MAX_TEXT - 1} ELSE 1 END)"""


class Trouble(NamedTuple):
    """A job in trouble; the meaning of the last five depends on the kind.

    Attributes:
        since: the begin of the trouble.
        slots: failed runs in a row, or the number of slots.
        text: an error, a note or a reason.
        run: the number of the run to look at.
        first, last: slots.
    """

    job_id: int
    name: str
    service: str
    since: Instant | None
    slots: int
    text: str
    run: int | None = None
    first: Instant | None = None
    last: Instant | None = None


class _Query(NamedTuple):
    """Parts of the statement for a kind: a job ``j`` with its timer ``t``, and more.

    Attributes:
        columns: of a ``Trouble``, after the service.
        joins: further tables, which the columns need.
        where: condition; ``values`` are those of ``tables`` and of this.
        order: the most urgent first.
        tables: further tables, which the condition needs.
        source: the job and its timer; SQLite reads them in the order of a CROSS JOIN.
    """

    columns: str
    where: str
    values: tuple[Any, ...]
    order: str
    joins: str = ""
    tables: str = ""
    source: str = _FROM


def find_troubles(
    connection: Connection,
    kind: Kind,
    now: Instant,
    limit: int,
    *,
    undeployed: Collection[str],
    visible: Visible,
) -> tuple[list[Trouble], int]:
    """Return the first jobs with a kind of trouble, and the number of all of them.

    ``undeployed`` are the services of jobs that are not deployed.
    """
    if kind == "undeployed" and not undeployed:
        return [], 0
    query = _query(connection, kind, now, undeployed)
    where = f"{query.where}{visible.condition}"
    values = (*query.values, *visible.values)
    troubles = read_rows(
        connection,
        f"SELECT j.id, j.name, j.service, {query.columns} {query.source} {query.tables}"
        f" {query.joins} WHERE {where} ORDER BY {query.order} LIMIT ?",
        (*values, limit),
        Trouble,
    )
    if len(troubles) < limit:
        return troubles, len(troubles)
    if kind == "missed":
        return troubles, count_jobs(connection, JobFilter(state=kind), now, visible)
    total: int = fetch_value(
        connection, f"SELECT count(*) {query.source} {query.tables} WHERE {where}", values
    )
    return troubles, total


def services_of_jobs(connection: Connection, after: int, last: int) -> list[str]:
    """Return the services of active jobs with ids in (after, last]."""
    return read_rows(
        connection,
        "SELECT DISTINCT j.service FROM job j WHERE j.id > ? AND j.id <= ?"
        " AND j.deleted_at IS NULL AND j.is_active",
        (after, last),
        str,
    )


def last_job(connection: Connection) -> int:
    """Return the greatest id of a job; 0 without any."""
    return fetch_value(connection, "SELECT max(job_id) FROM timer") or 0


def _query(
    connection: Connection, kind: Kind, now: Instant, undeployed: Collection[str]
) -> _Query:
    match kind:
        case "quarantined" | "paused_by_itself":
            which = _QUARANTINED if kind == "quarantined" else f"NOT {_QUARANTINED}"
            return _Query(
                "t.paused_since, 0, coalesce(j.definition ->> 'pause_note', ''), r.number,"
                " NULL, NULL",
                f"j.deleted_at IS NULL AND NOT j.is_active AND t.job_id = j.id"
                f" AND t.paused_by = 'system' AND {which} AND ({_BY_RUNS} OR {_BY_SERVICE})",
                (),
                "t.paused_since DESC, j.id",
                f"LEFT JOIN run r ON {_LATEST_FAILURE}",
                source=_BY_JOB,
            )
        case "undeployed":
            return _Query(
                "NULL, 0, j.service, NULL, t.next_at, NULL",
                f"{NOT_DELETED} AND j.is_active AND t.job_id = j.id AND j.service {AMONG_TEXTS}",
                (connection.many(undeployed),),
                "t.next_at IS NULL, t.next_at, j.id",
                source=_BY_JOB,
            )
        case "failing":
            return _Query(
                f"r.finished_at, t.failures, {_END_OF_ERROR}, r.number, NULL, NULL",
                f"j.deleted_at IS NULL AND {state_condition('failing', now).text}",
                (),
                "t.failures DESC, j.id",
                f"LEFT JOIN run r ON {_LATEST_FAILURE}",
            )
        case _:
            return _query_by_slot(kind, now)


def _query_by_slot(kind: Kind, now: Instant) -> _Query:
    match kind:
        case "late":
            late = state_condition("late", now)
            return _Query("t.next_at, 0, '', NULL, NULL, NULL", *late, "t.next_at, j.id")
        case "silent":
            return _Query(
                "NULL, 0, s.value, NULL, NULL, NULL",
                "j.is_active AND j.is_watched AND s.value LIKE '%\"is_told\":true%'"
                " AND NOT EXISTS (SELECT 1 FROM run r WHERE r.outcome = 'ok' AND r.id ="
                " (SELECT max(e.id) FROM run e WHERE e.job_id = j.id AND e.outcome IS NOT NULL))",
                (),
                "j.name, j.id",
                tables="JOIN setting s ON s.name = 'silence.' || j.id",
            )
        case "missed":
            return _Query(
                "l.first, l.count, l.reason, NULL, l.first, l.last",
                _MISSED,
                (now - MISSED_FOR,),
                "l.last DESC, l.id DESC",
                source=_BY_LEDGER,
            )
        case _:
            return _Query(
                "o.first, o.slots, '', NULL, o.first, o.last",
                "j.is_active",
                (now - OVERLAP_FOR, OVERLAP_FROM),
                "o.slots DESC, j.id",
                tables=f"JOIN {_OVERLAPS} ON o.job_id = j.id",
            )
