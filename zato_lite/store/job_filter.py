"""Job filters: which jobs a list shows, in which order, and how many are in which state."""

from collections.abc import Collection, Iterable, Iterator
from typing import Literal, NamedTuple

from zato_lite.store.dialect import AMONG_NUMBERS, LIKE_ANY_CASE
from zato_lite.store.holds import PAUSE_SETTING
from zato_lite.store.jobs import count, escaped, get_by_ids, matching
from zato_lite.store.ports import Connection
from zato_lite.store.rows import JobRow
from zato_lite.store.sql import fetch_ids, fetch_value
from zato_lite.store.visibility import ALL_VISIBLE, Visible
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
_MISSED_IDS = """(SELECT l.job_id FROM ledger l WHERE l.outcome = 'missed' AND l.last >= ?
    AND NOT EXISTS (SELECT 1 FROM run r WHERE r.job_id = l.job_id AND r.kind = 'scheduled'
        AND r.slot > l.last))"""
_MISSED = f"j.id IN {_MISSED_IDS}"
# A job that exists has a timer, which is narrow.
_COUNT_MISSED = f"SELECT count(*) FROM timer t WHERE t.job_id IN {_MISSED_IDS}"
_FAILING = "(j.is_active AND j.id IN (SELECT f.job_id FROM timer f WHERE f.failures > 0))"
_RUNNING = "j.id IN (SELECT r.job_id FROM run r WHERE r.outcome IS NULL AND r.state <> 'queued')"

# Values: the earliest instant, and the name of the setting that pauses the scheduler.
_LATE = """(j.is_active AND t.next_at < ?
    AND NOT EXISTS (SELECT 1 FROM setting s WHERE s.name = ?))"""

SLOW_SORTS: tuple[Sort, ...] = ("last", "duration")
"""Orders for which every job that a filter shows is looked at."""

_LATEST = "(SELECT max(r.id) FROM run r WHERE r.job_id = j.id)"
_DURATION = """(SELECT r.finished_at - r.started_at FROM run r
    WHERE r.job_id = j.id AND r.outcome IS NOT NULL ORDER BY r.id DESC LIMIT 1)"""


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
    wanted: JobFilter,
    now: Instant,
    visible: Visible = ALL_VISIBLE,
    *,
    is_walked: bool = False,
) -> Condition:
    """Return the condition of the jobs that a filter shows to a caller.

    ``is_walked`` says that jobs are read in the order of an index, and only as many as needed.
    """
    is_pattern = "*" in wanted.service
    is_scan = not is_walked and _is_scan(wanted, visible)
    service = "" if is_pattern else wanted.service
    where, values = matching(wanted.words, service, is_scan=is_scan)
    if is_pattern:
        where += f" AND j.service {LIKE_ANY_CASE} ? ESCAPE '\\'"
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
    return Condition(where + visible.condition, (*values, *visible.values))


def _is_scan(wanted: JobFilter, visible: Visible) -> bool:
    """Return True if no index has what a filter looks at: all jobs are read."""
    if wanted.state not in {None, "active"} or wanted.next_before is not None:
        return False
    return bool(wanted.state or wanted.service or wanted.tag or visible.condition)


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
    connection: Connection, wanted: JobFilter, now: Instant, visible: Visible = ALL_VISIBLE
) -> StateCounts:
    """Count the jobs that a filter shows, whatever its state, by state.

    All are counted once; those in a state other than active are few, and have indexes.
    """
    wanted = wanted._replace(state=None)

    def in_state(state: State) -> int:
        return count_jobs(connection, wanted._replace(state=state), now, visible)

    total, paused = count_jobs(connection, wanted, now, visible), in_state("paused")
    return StateCounts(
        total,
        total - paused,
        paused,
        in_state("failing"),
        in_state("running"),
        in_state("missed"),
        in_state("late"),
    )


def count_jobs(
    connection: Connection, wanted: JobFilter, now: Instant, visible: Visible = ALL_VISIBLE
) -> int:
    """Count the jobs that a filter shows."""
    if wanted._replace(state=None) == JobFilter() and visible == ALL_VISIBLE:
        if wanted.state is None:
            return count(connection).total
        if wanted.state == "active":
            return count(connection).active
        if wanted.state == "missed":
            return int(fetch_value(connection, _COUNT_MISSED, (now - MISSED_FOR,)))
    where = condition(wanted, now, visible)
    needs_timer = wanted.next_before is not None or wanted.state == "late"
    source = _FROM if needs_timer else "FROM job j"
    total: int = fetch_value(
        connection, f"SELECT count(*) {source} WHERE {where.text}", where.values
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
    visible: Visible = ALL_VISIBLE,
) -> list[JobRow]:
    """Return a page of the jobs that a filter shows; those without a value to sort by are last."""
    if visible == ALL_VISIBLE and _is_walked(connection, wanted, page):
        where = condition(wanted, now, is_walked=True)
        ids = _walk(connection, where, _stages(wanted, page, now), page)
    else:
        source = _BY_JOB if _is_scan(wanted, visible) else _FROM_BOTH
        ids = _sort(connection, source, condition(wanted, now, visible), page, now)
    rows = {row.id: row for row in get_by_ids(connection, ids)}
    return [rows[job_id] for job_id in ids]


MAX_WALKED = 10_000
"""Offset up to which a page of active jobs is read in its order: each job is looked up."""


def _is_walked(connection: Connection, wanted: JobFilter, page: Page) -> bool:
    """Return True if a page is read in its order.

    The filter leaves out few jobs then, or what it looks at is in the index that has the order.
    """
    if page.sort in SLOW_SORTS or wanted.state not in {None, "active"}:
        return False
    has_words = bool(wanted.words) and page.sort == "name"
    if wanted._replace(state=None, words="" if has_words else wanted.words) != JobFilter():
        return False
    if wanted.state is None:
        return True
    counts = count(connection)
    return page.offset <= MAX_WALKED and 2 * counts.active >= counts.total


def _sort(
    connection: Connection, source: str, where: Condition, page: Page, now: Instant
) -> list[int]:
    """Return the ids of a page of jobs that are all read and sorted."""
    key, way = _key(page.sort, now), _WAYS[page.direction]
    return fetch_ids(
        connection,
        f"SELECT id FROM (SELECT j.id AS id, {key.text} AS sort_key, t.next_at AS next_at"
        f" {source} AND {where.text}) k ORDER BY sort_key IS NULL, sort_key {way},"
        " next_at IS NULL, next_at, id LIMIT ? OFFSET ?",
        [*key.values, *where.values, page.limit, page.offset],
    )


class _Stage(NamedTuple):
    """A part of an order: its jobs come in the order of an index, or are few.

    Attributes:
        source: the tables; SQLite reads them in this order.
        id: the job's id there.
    """

    source: str
    where: Condition
    order: str
    id: str = "j.id"


_WAYS: dict[Direction, str] = {"asc": "ASC", "desc": "DESC"}
_NAMES = "FROM job j WHERE TRUE"
_TIMERS = "FROM timer t WHERE TRUE"
_BY_JOB = "FROM job j CROSS JOIN timer t WHERE t.job_id = j.id"
_BY_TIMER = "FROM timer t CROSS JOIN job j WHERE t.job_id = j.id"
_FROM_BOTH = f"{_FROM} WHERE TRUE"
_HAS_NEXT, _HAS_NONE = "t.next_at IS NOT NULL", "t.next_at IS NULL"


def _walk(
    connection: Connection, where: Condition, stages: Iterable[_Stage], page: Page
) -> list[int]:
    """Return the ids of a page of jobs that are read in their order, stage by stage."""
    ids: list[int] = []
    offset = page.offset
    for stage in stages:
        which = stage.where if stage.source == _TIMERS else _and(where, stage.where)
        rest, values = f"{stage.source} AND {which.text}", which.values
        left = page.limit - len(ids)
        found = fetch_ids(
            connection,
            f"SELECT {stage.id} AS id {rest} ORDER BY {stage.order} LIMIT ? OFFSET ?",
            [*values, left, offset],
        )
        ids += found
        if len(found) == left:
            break
        if offset and not found:
            offset = max(0, offset - fetch_value(connection, f"SELECT count(*) {rest}", values))
        else:
            offset = 0
    return ids


def _stages(wanted: JobFilter, page: Page, now: Instant) -> Iterator[_Stage]:
    way, every = _WAYS[page.direction], Condition("TRUE", ())
    if page.sort == "name":
        yield _Stage(_NAMES, every, f"j.name {way}")
        return
    # A job that exists has a timer: without a state, or what depends on one, that is enough.
    is_plain = wanted.state is None and page.sort != "attention"
    timers, key = (_TIMERS, "t.job_id") if is_plain else (_BY_TIMER, "j.id")
    before = every
    if page.sort == "failed":
        failing = Condition("t.failures > 0", ())
        order = f"t.failures {way}, t.next_at IS NULL, t.next_at, t.job_id"
        yield _Stage(timers, failing, order, key)
        before, way = Condition("t.failures = 0", ()), "ASC"
    if page.sort == "attention":
        for state in _URGENT:
            which = state_condition(state, now)
            source = _BY_TIMER if state == "late" else _BY_JOB
            yield _Stage(source, _and(which, before), "t.next_at IS NULL, t.next_at, j.id")
            before = _and(before, Condition(f"NOT {which.text}", which.values))
    has_next, has_none = (_and(Condition(it, ()), before) for it in (_HAS_NEXT, _HAS_NONE))
    yield _Stage(timers, has_next, f"t.next_at {way}, t.job_id", key)
    yield _Stage(timers, has_none, "t.job_id", key)


_URGENT: tuple[State, ...] = ("failing", "late", "missed")


def _and(first: Condition, second: Condition) -> Condition:
    return Condition(f"{first.text} AND {second.text}", (*first.values, *second.values))


def find_ids(
    connection: Connection,
    wanted: JobFilter,
    limit: int,
    now: Instant,
    visible: Visible = ALL_VISIBLE,
) -> list[int]:
    """Return the ids of the first jobs that a filter shows, in order of their creation."""
    where = condition(wanted, now, visible)
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
