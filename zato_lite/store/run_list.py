"""Run list: the runs of all jobs, newest first, by filters."""

from collections.abc import Collection
from typing import Any, NamedTuple

from zato_lite.store.dialect import AMONG_TEXTS, LIKE_ANY_CASE
from zato_lite.store.history import runs_by_ids
from zato_lite.store.jobs import escaped
from zato_lite.store.ports import Connection
from zato_lite.store.rows import RunKind, RunRow
from zato_lite.store.sql import fetch_ids, fetch_value
from zato_lite.store.visibility import Permits, visible_runs
from zato_lite.timetable.job import Instant

MAX_EXAMINED = 20_000
"""Runs that one page examines at most; a page may therefore have fewer than its limit."""

MAX_RARE = 5_000
"""Runs of outcomes that are read by their index, as they are few."""

_NAME_HAS = f"j.name {LIKE_ANY_CASE} ? ESCAPE '\\'"
_SERVICE_IS = f"j.service {LIKE_ANY_CASE} ? ESCAPE '\\'"


class RunFilter(NamedTuple):
    """Runs to list; the default lists all.

    Attributes:
        outcomes: with one of these, of which ``running`` is none yet.
        since, until: with a slot in [since, until).
        job_id: of this job.
        words: the job's name contains each of them.
        service: of jobs of this service; ``*`` stands for any text.
        node: of the live node with this name.
        kind: with this cause.
        before: with a smaller id.
    """

    outcomes: Collection[str] = ()
    since: Instant | None = None
    until: Instant | None = None
    job_id: int | None = None
    words: str = ""
    service: str = ""
    node: str = ""
    kind: RunKind | None = None
    before: int | None = None


class RunPage(NamedTuple):
    """Runs, the newest first, and the id before which the next page begins; None at the end."""

    rows: list[RunRow]
    next_before: int | None


def find_runs(
    connection: Connection, wanted: RunFilter, limit: int, permits: Permits | None = None
) -> RunPage:
    """Return a page of runs."""
    where, values = _conditions(connection, wanted, permits)
    before = wanted.before
    if before is None:
        before = (fetch_value(connection, "SELECT max(id) FROM run") or 0) + 1
    lowest = 0
    if wanted.job_id is None and not _is_rare(connection, wanted.outcomes):
        lowest = max(0, before - MAX_EXAMINED)
    ids = fetch_ids(
        connection,
        f"SELECT r.id AS id FROM run r WHERE r.id < ? AND r.id >= ?{where}"
        " ORDER BY r.id DESC LIMIT ?",
        [before, lowest, *values, limit + 1],
    )
    following = ids[limit - 1] if len(ids) > limit else _continued(connection, lowest)
    rows = {row.id: row for row in runs_by_ids(connection, ids[:limit])}
    return RunPage([rows[run_id] for run_id in ids[:limit]], following)


def _continued(connection: Connection, lowest: int) -> int | None:
    """Return where the next page begins if there are runs before those that were examined."""
    exists = "SELECT 1 FROM run WHERE id < ? LIMIT 1"
    return lowest if lowest and fetch_value(connection, exists, (lowest,)) else None


def _is_rare(connection: Connection, outcomes: Collection[str]) -> bool:
    """Return True if so few runs have these outcomes that the index of outcomes is best."""
    if not outcomes or "ok" in outcomes:
        return False
    counted = f"SELECT 1 FROM run WHERE outcome {AMONG_TEXTS} LIMIT ?"
    number = f"SELECT count(*) FROM ({counted}) found"
    found: int = fetch_value(connection, number, (connection.many(outcomes), MAX_RARE))
    return found < MAX_RARE


def _conditions(
    connection: Connection, wanted: RunFilter, permits: Permits | None
) -> tuple[str, list[Any]]:
    found: list[tuple[str, list[Any]]] = []
    if wanted.outcomes:
        text = f"r.outcome {AMONG_TEXTS}"
        if "running" in wanted.outcomes:
            text = f"({text} OR r.outcome IS NULL)"
        found.append((text, [connection.many(wanted.outcomes)]))
    if wanted.since is not None:
        found.append(("r.slot >= ?", [wanted.since]))
    if wanted.until is not None:
        found.append(("r.slot < ?", [wanted.until]))
    if wanted.job_id is not None:
        found.append(("r.job_id = ?", [wanted.job_id]))
    if wanted.kind is not None:
        found.append(("r.kind = ?", [wanted.kind]))
    if wanted.node:
        nodes = "SELECT n.id FROM node n WHERE n.name = ?"
        found.append((f"r.node IN ({nodes})", [wanted.node]))
    found += _job_conditions(wanted)
    visible = visible_runs(connection, permits)
    where = "".join(f" AND {text}" for text, _ in found)
    values = [value for _, each in found for value in each]
    return where + visible.condition, [*values, *visible.values]


def _job_conditions(wanted: RunFilter) -> list[tuple[str, list[Any]]]:
    texts, values = [], list[Any]()
    for word in wanted.words.split():
        texts.append(_NAME_HAS)
        values.append(f"%{escaped(word)}%")
    if wanted.service:
        texts.append(_SERVICE_IS)
        values.append(escaped(wanted.service).replace("*", "%"))
    if not texts:
        return []
    jobs = f"SELECT j.id FROM job j WHERE {' AND '.join(texts)}"
    return [(f"r.job_id IN ({jobs})", values)]
