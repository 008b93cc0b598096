"""State of a job in one word, and the fields that show it."""

from collections.abc import Collection, Sequence
from typing import Any, Literal, get_args

from zato_lite.builtin.output import iso_or_none
from zato_lite.scheduler.job_lists import Facts
from zato_lite.service.job_types import JobState
from zato_lite.store.job_figures import LatestRun, failed_share, percentile
from zato_lite.store.job_filter import LATE
from zato_lite.store.rows import JobRow, RunRow
from zato_lite.timetable.describe import describe

STATE_SCHEMA: dict[str, Any] = {
    "state": {"enum": [*get_args(JobState)]},
    "in_flight": {"type": "integer"},
    "queued": {"type": "integer"},
    "failures": {"type": "integer"},
    "last_outcome": {"type": "string"},
    "next_iso": {"type": ["string", "null"]},
    "last_iso": {"type": ["string", "null"]},
    "origin": {"enum": ["declared", "api"]},
}
"""JSON Schemas of the fields that ``state_fields`` returns."""

TABLE_SCHEMA: dict[str, Any] = {
    "words": {"type": "string"},
    "outcomes": {
        "type": "array",
        "items": {
            "type": "array",
            "prefixItems": [{"type": "string"}, {"type": ["number", "null"]}],
            "minItems": 2,
            "maxItems": 2,
        },
    },
    "p50_ms": {"type": ["number", "null"]},
    "p95_ms": {"type": ["number", "null"]},
    "failed_share": {"type": ["number", "null"]},
}
"""JSON Schemas of the fields that ``table_fields`` returns."""

Include = Literal["outcomes", "durations", "words"]
"""Figures that a table of jobs may show."""


def state_of(row: JobRow, facts: Facts) -> JobState:
    """Return the state of a job."""
    next_at = row.next_at
    if not row.job.is_active:
        return "paused"
    if row.failures:
        return "failing"
    if next_at is not None and next_at < facts.now - LATE and facts.pause is None:
        return "late"
    if row.id in facts.missed:
        return "missed"
    if row.in_flight:
        return "running"
    return "active" if next_at is not None else "ended"


def state_fields(row: JobRow, last: RunRow | LatestRun | None, facts: Facts) -> dict[str, Any]:
    """Return the state of a job, and what it has to do with its runs and slots."""
    return {
        "state": state_of(row, facts),
        "in_flight": row.in_flight,
        "queued": row.queued,
        "failures": row.failures,
        "last_outcome": last.outcome if last is not None else "",
        "next_iso": iso_or_none(row.next_at),
        "last_iso": iso_or_none(last.started_at if last is not None else None),
        "origin": "declared" if row.job.is_declared else "api",
    }


def table_fields(
    row: JobRow, latest: Sequence[LatestRun], include: Collection[Include]
) -> dict[str, Any]:
    """Return the figures of a job's latest runs, which are ordered by time, and its words."""
    found: dict[str, Any] = {}
    if "words" in include:
        found["words"] = describe(row.job.trigger)
    if "outcomes" in include:
        found["outcomes"] = [[run.outcome, _ms(run.duration_us)] for run in latest]
    if "durations" in include:
        taken = [run.duration_us for run in latest if run.duration_us is not None]
        found["p50_ms"], found["p95_ms"] = (_ms(percentile(taken, it)) for it in (0.5, 0.95))
        found["failed_share"] = failed_share(latest)
    return found


def _ms(microseconds: float | None) -> float | None:
    return None if microseconds is None else microseconds / 1_000
