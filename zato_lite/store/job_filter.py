"""Job filters: which jobs a list shows, in which order, and how many are in which state."""

from collections.abc import Collection
from typing import Literal, NamedTuple

from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.holds import PAUSE_SETTING
from zato_lite.store.jobs import count, escaped, get_by_ids, matching
from zato_lite.store.ports import Connection
from zato_lite.store.rows import JobRow
from zato_lite.store.sql import fetch_ids, fetch_row, fetch_value
from zato_lite.store.visibility import Permits, visible_jobs
from zato_lite.timetable.job import DAY, SECOND, Instant

LATE = 5 * SECOND
"""Microseconds after which a due job that no node has claimed counts as late."""

MISSED_FOR = DAY
"""Microseconds for which a job counts as missed after its last missed slot."""

State = Literal["active", "paused", "failing", "running", "missed", "late"]
Sort = Literal["name", "next", "last", "failed", "duration", "attention"]
Direction = Literal["asc", "desc"]

_FROM = "FROM job j JOIN timer t ON t.job_id = j.id"

# The latest slots of a job were missed: no run of a slot came since. Values: the earliest instant.
_MISSED = """j.id IN (SELECT l.job_id FROM ledger l WHERE l.outcome = 'missed' AND l.last >= ?
    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.job_id = l.job_id AND r.kind = 'scheduled'
        AND r.slot > l.last))"""
_FAILING = "j.is_active AND j.id IN (SELECT f.job_id FROM timer f WHERE f.failures > 0)"
_RUNNING = "j.id IN (SELECT r.job_id FROM run r WHERE r.outcome IS NULL AND r.state <> 'queued')"

# Values: the earliest instant, and the name of the setting that pauses the scheduler.
_LATE = """(j.is_active AND t.next_at < ?
    AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.name = ?))"""

_LATEST = "(SELECT max(r.id) FROM run r WHERE r.job_id = j.id)"
_DURATION = """(SELECT r.finished_at - r.started_at FROM run r
    WHERE r.job_id = j.id AND r.outcome IS NOT NULL ORDER BY r.id DESC LIMIT 1)"""


_STATES: tuple[State, ...] = ("active", "paused", "failing", "running", "missed", "late")


class JobFilter(NamedTuple):
    """Jobs that a list shows; the default shows all.

    Attributes:
        words: the name contains each of them, in upper or lower case.
        service: exactly this service; ``*`` stands for any letters.
        state: in this state; see ``StateCounts``.
        tag: with this tag.
        next_before: due before this instant.
    """

    words: str = ""
    service: str = ""
    state: State | None = None
    tag: str = ""
    next_before: Instant | None = None


class Condition(NamedTuple):
    """A condition on a job ``j`` and its timer ``t``, and its values."""

    text: str
    values: tuple[str | int, ...]


class StateCounts(NamedTuple):
    """The number of jobs by state; a job may be in several.

    Attributes:
        failing: active, and their latest run failed.
        running: with a run in flight.
        missed: their latest slots, of the last day, were missed.
        late: due for ``LATE`` and not claimed, although the scheduler is not paused.
    """

    all: int = 0
    active: int = 0
    paused: int = 0
    failing: int = 0
    running: int = 0
    missed: int = 0
    late: int = 0


def condition(
    connection: Connection, wanted: JobFilter, now: Instant, permits: Permits | None = None
) -> Condition:
    """Return the condition of the jobs that a filter shows to a caller."""
    is_pattern = "*" in wanted.service
    where, values = matching(wanted.words, "" if is_pattern else wanted.service)
    if is_pattern:
        where += " AND lower(j.service) LIKE lower(?) ESCAPE '\\'"
        values.append(escaped(wanted.service).replace("*", "%"))
    if wanted.tag:
        where += " AND CAST(j.definition AS TEXT) LIKE ? ESCAPE '\\'"
        values.append(f'%"tags":[%"{escaped(wanted.tag)}"%')
    if wanted.next_before is not None:
        where += " AND t.next_at < ?"
        values.append(wanted.next_before)
    if wanted.state is not None:
        state = state_condition(wanted.state, now)
        where += f" AND {state.text}"
        values += state.values
    visible = visible_jobs(connection, permits)
    return Condition(where + visible.condition, (*values, *visible.values))


def state_condition(state: State, now: Instant) -> Condition:
    """Return the condition of jobs in a state."""
    match state:
        case "active":
            return Condition("j.is_active", ())
        case "paused":
            return Condition("NOT j.is_active", ())
        case "failing":
            return Condition(_FAILING, ())
        case "running":
            return Condition(_RUNNING, ())
        case "missed":
            return Condition(_MISSED, (now - MISSED_FOR,))
        case "late":
            return Condition(_LATE, (now - LATE, PAUSE_SETTING))


def count_states(
    connection: Connection, wanted: JobFilter, now: Instant, permits: Permits | None = None
) -> StateCounts:
    """Count the jobs that a filter shows, whatever its state, by state."""
    wanted = wanted._replace(state=None)
    if permits is None and wanted == JobFilter():
        return _count_all_states(connection, now)
    where = condition(connection, wanted, now, permits)
    each = [state_condition(state, now) for state in _STATES]
    sums = ", ".join(f"count(*) FILTER (WHERE {it.text})" for it in each)
    row = fetch_row(
        connection,
        f"SELECT count(*), {sums} {_FROM} WHERE {where.text}",
        [*(value for it in each for value in it.values), *where.values],
    )
    return StateCounts(*row)


def _count_all_states(connection: Connection, now: Instant) -> StateCounts:
    """Count all jobs by state: each number is read from an index."""
    total, active = count(connection)
    where = JobFilter()

    def in_state(state: State) -> int:
        return count_jobs(connection, where._replace(state=state), now)

    return StateCounts(
        total,
        active,
        total - active,
        in_state("failing"),
        in_state("running"),
        in_state("missed"),
        in_state("late"),
    )


def count_jobs(
    connection: Connection, wanted: JobFilter, now: Instant, permits: Permits | None = None
) -> int:
    """Count the jobs that a filter shows."""
    where = condition(connection, wanted, now, permits)
    total: int = fetch_value(
        connection, f"SELECT count(*) {_FROM} WHERE {where.text}", where.values
    )
    return total


class Page(NamedTuple):
    """Order and bounds of a page of a list."""

    sort: Sort = "name"
    direction: Direction = "asc"
    limit: int = 50
    offset: int = 0


def find_page(
    connection: Connection,
    wanted: JobFilter,
    page: Page,
    now: Instant,
    permits: Permits | None = None,
) -> list[JobRow]:
    """Return a page of the jobs that a filter shows; those without a value to sort by are last."""
    where, key = condition(connection, wanted, now, permits), _key(page.sort, now)
    way = "DESC" if page.direction == "desc" else "ASC"
    ids = fetch_ids(
        connection,
        f"SELECT id FROM (SELECT j.id AS id, {key.text} AS sort_key, t.next_at AS next_at {_FROM}"
        f" WHERE {where.text}) k ORDER BY sort_key IS NULL, sort_key {way}, next_at IS NULL,"
        " next_at, id LIMIT ? OFFSET ?",
        [*key.values, *where.values, page.limit, page.offset],
    )
    rows = {row.id: row for row in get_by_ids(connection, ids)}
    return [rows[job_id] for job_id in ids]


def find_ids(
    connection: Connection,
    wanted: JobFilter,
    limit: int,
    now: Instant,
    permits: Permits | None = None,
) -> list[int]:
    """Return the ids of the first jobs that a filter shows, in order of their creation."""
    where = condition(connection, wanted, now, permits)
    return fetch_ids(
        connection,
        f"SELECT j.id AS id {_FROM} WHERE {where.text} ORDER BY j.id LIMIT ?",
        [*where.values, limit],
    )


def _key(sort: Sort, now: Instant) -> Condition:
    """Return the expression to sort by."""
    match sort:
        case "name":
            return Condition("j.name", ())
        case "next":
            return Condition("t.next_at", ())
        case "failed":
            return Condition("nullif(t.failures, 0)", ())
        case "last":
            return Condition(_LATEST, ())
        case "duration":
            return Condition(_DURATION, ())
        case "attention":
            late, missed = state_condition("late", now), state_condition("missed", now)
            rank = (
                f"CASE WHEN j.is_active AND t.failures > 0 THEN 0 WHEN {late.text} THEN 1"
                f" WHEN {missed.text} THEN 2 ELSE 3 END"
            )
            return Condition(rank, (*late.values, *missed.values))


def missed_jobs(connection: Connection, job_ids: Collection[int], now: Instant) -> set[int]:
    """Return those of the jobs whose latest slots were missed."""
    missed = state_condition("missed", now)
    ids = fetch_ids(
        connection,
        f"SELECT j.id AS id FROM job j WHERE j.id {AMONG_NUMBERS} AND {missed.text}",
        [connection.many(job_ids), *missed.values],
    )
    return set(ids)
