"""Figures of jobs: the outcomes and durations of their latest runs."""

from collections.abc import Collection, Iterable
from typing import NamedTuple

from zato_lite.store.dialect import EACH_NUMBER
from zato_lite.store.ports import Connection
from zato_lite.store.sql import read_rows
from zato_lite.timetable.job import Instant

LATEST = 30
"""Runs of a job that its figures are computed from."""

FAILURES = frozenset({"error", "timeout", "lost", "denied"})
"""Outcomes of runs that failed."""


class LatestRun(NamedTuple):
    """One of the latest runs of a job; its times are None before it has started or ended."""

    job_id: int
    outcome: str
    started_at: Instant | None
    finished_at: Instant | None

    @property
    def duration_us(self) -> int | None:
        """Return the microseconds between start and end."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


def latest_runs(
    connection: Connection, job_ids: Collection[int], count: int = LATEST
) -> dict[int, list[LatestRun]]:
    """Return the latest runs of each of the jobs that has one, oldest first."""
    rows = read_rows(
        connection,
        "SELECT r.job_id, coalesce(r.outcome, 'running'), r.started_at, r.finished_at"
        f" FROM {EACH_NUMBER} JOIN run r ON r.id IN"
        " (SELECT e.id FROM run e WHERE e.job_id = wanted.value ORDER BY e.id DESC LIMIT ?)"
        " ORDER BY r.id",
        (connection.many(job_ids), count),
        LatestRun,
    )
    found: dict[int, list[LatestRun]] = {}
    for row in rows:
        found.setdefault(row.job_id, []).append(row)
    return found


def percentile(values: Iterable[float], share: float) -> float | None:
    """Return the value below which this share of the values lies; None for no values."""
    ordered = sorted(values)
    return ordered[min(int(len(ordered) * share), len(ordered) - 1)] if ordered else None


def failed_share(runs: Iterable[LatestRun]) -> float | None:
    """Return the share of failed runs among those that have ended; None for none."""
    ended = [run.outcome in FAILURES for run in runs if run.outcome != "running"]
    return sum(ended) / len(ended) if ended else None
