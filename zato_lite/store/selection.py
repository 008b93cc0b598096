"""Selection: the jobs, or the runs, that a bulk command changes."""

from collections.abc import Collection
from typing import NamedTuple

import msgspec

from zato_lite.store.dialect import AMONG_NUMBERS, AMONG_TEXTS
from zato_lite.store.job_filter import Condition, JobFilter, condition
from zato_lite.store.ports import Connection
from zato_lite.store.sql import read_rows
from zato_lite.store.visibility import Permits, visible_jobs
from zato_lite.timetable.job import Instant

_JOBS = "FROM job j JOIN timer t ON t.job_id = j.id"
_RUNS = """SELECT r.id AS id, r.job_id AS job_id, j.name AS job_name, r.number AS number,
    j.service AS service FROM {tables}
    WHERE r.job_id = j.id AND t.job_id = j.id AND j.deleted_at IS NULL"""
# SQLite reads the tables in this order: few runs of any jobs, or any runs of few jobs.
_RUNS_FIRST, _JOBS_FIRST = (
    _RUNS.format(tables=" CROSS JOIN ".join(tables))
    for tables in (("run r", "job j", "timer t"), ("job j", "timer t", "run r"))
)
_LATEST = """r.id = (SELECT max(e.id) FROM run e
    WHERE e.job_id = j.id AND e.outcome IS NOT NULL)"""


class Selection(NamedTuple):
    """Jobs to change: by ids and names, or as a list with a filter shows them.

    Attributes:
        expected: the number of jobs that must be selected; None for any.
        limit: maximum number of jobs to return.
    """

    ids: Collection[int] = ()
    names: Collection[str] = ()
    filter: JobFilter | None = None
    expected: int | None = None
    limit: int = 100_000


class RunSelection(NamedTuple):
    """Runs of existing jobs: by their ids, or those of selected jobs.

    Attributes:
        jobs: the jobs, unless runs are named; ``expected`` is the number of runs.
        outcomes: of runs to select; empty for runs that have not ended.
        since, until: bounds of their slots, both included. Without either, of each job only the
            latest run that has ended is looked at.
        limit: maximum number of runs to return.
    """

    run_ids: Collection[int]
    jobs: Selection
    outcomes: Collection[str] = ()
    since: Instant | None = None
    until: Instant | None = None
    limit: int = 10_000


class Selected(msgspec.Struct, frozen=True, array_like=True):
    """A selected job."""

    id: int
    name: str
    service: str

    def is_of(self, service: str) -> bool:
        """Return True if the job had this service when it was selected."""
        return service == self.service


class SelectedRun(msgspec.Struct, frozen=True):
    """A selected run."""

    id: int
    job_id: int
    job_name: str
    number: int
    service: str

    def is_of(self, service: str) -> bool:
        """Return True if the run's job had this service when it was selected."""
        return service == self.service


def select(
    connection: Connection, selection: Selection, now: Instant, permits: Permits | None = None
) -> list[Selected]:
    """Return the selected jobs that exist, in order of their names.

    A filter selects only jobs for whose services ``permits`` returns True.
    """
    where = _jobs_condition(connection, selection, now, permits)
    statement = (
        f"SELECT j.id, j.name, j.service {_JOBS} WHERE {where.text} ORDER BY j.name LIMIT ?"
    )
    return read_rows(connection, statement, (*where.values, selection.limit), Selected)


def select_runs(
    connection: Connection, selection: RunSelection, now: Instant, permits: Permits | None = None
) -> list[SelectedRun]:
    """Return the selected runs of existing jobs, in order of their ids."""
    parts = [_runs_condition(connection, selection)]
    if not selection.run_ids:
        parts.append(_jobs_condition(connection, selection.jobs, now, permits))
    where = "".join(f" AND {part.text}" for part in parts)
    values = [value for part in parts for value in part.values]
    statement = _RUNS_FIRST if _has_few_runs(selection) else _JOBS_FIRST
    statement += f"{where} ORDER BY +r.id LIMIT ?"  # not in the order of the table of runs
    return read_rows(connection, statement, [*values, selection.limit], SelectedRun)


def _has_few_runs(selection: RunSelection) -> bool:
    """Return True if the runs to look at are few, or are those of a span of time."""
    if selection.run_ids:
        return True
    has_span = selection.since is not None or selection.until is not None
    return selection.jobs.filter is not None and (has_span or "ok" not in selection.outcomes)


def _jobs_condition(
    connection: Connection, selection: Selection, now: Instant, permits: Permits | None
) -> Condition:
    if selection.filter is not None:
        return condition(selection.filter, now, visible_jobs(connection, permits))
    text = f"j.deleted_at IS NULL AND (j.id {AMONG_NUMBERS} OR j.name {AMONG_TEXTS})"
    return Condition(text, (connection.many(selection.ids), connection.many(selection.names)))


def _runs_condition(connection: Connection, selection: RunSelection) -> Condition:
    if selection.run_ids:
        return Condition(f"r.id {AMONG_NUMBERS}", (connection.many(selection.run_ids),))
    if not selection.outcomes:
        return Condition("r.outcome IS NULL", ())
    text = f"r.outcome {AMONG_TEXTS}"
    values: list[str | int] = [connection.many(selection.outcomes)]
    for operator, bound in ((">=", selection.since), ("<=", selection.until)):
        if bound is not None:
            text += f" AND r.slot {operator} ?"
            values.append(bound)
    if selection.since is None and selection.until is None:
        text += f" AND {_LATEST}"
    return Condition(text, tuple(values))
