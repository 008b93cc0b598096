"""What is kept, as the values that come back when it is asked for.

Instants are microseconds since 1970 in UTC, everywhere.
"""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from zato_lite.timetable.job import Instant, Job

RunKind = Literal["scheduled", "manual", "retry", "backfill", "callback", "async"]
"""Why there is a run: its slot came, or somebody or something asked for it."""

RunState = Literal["claimed", "queued", "waiting", "done"]
"""Of a run: a node has it (or it is due to start), it waits behind another run of its job, it
waits for its next attempt, or it has an outcome."""

LogLine = tuple[Instant, str, str]
"""When a line was logged, its level in lower case, and its text."""


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A job as it is kept.

    Attributes:
        version: grows with each change of the definition.
        cursor: every slot at or before it is accounted for. started: scheduled runs so far.
        number: of its latest run. next_at: when it is looked at next; None for never.
        in_flight: runs that have no outcome yet, without the ``queued`` ones.
        failures: how many runs failed in a row; counted only where the job asks for it.
        paused_since: when it was paused; None while it is active.
    """

    id: int
    job: Job
    version: int
    created_at: Instant
    cursor: Instant
    started: int
    number: int
    next_at: Instant | None
    in_flight: int = 0
    queued: int = 0
    failures: int = 0
    paused_since: Instant | None = None


class SilenceMark(msgspec.Struct, frozen=True):
    """What is remembered of a job that is watched.

    Attributes:
        since: its last success that was seen, or the latest moment at which it was paused.
        is_told: an alert has been raised for the silence since then.
    """

    since: Instant
    is_told: bool = False


class WatchedRow(NamedTuple):
    """A job with ``alert_after_intervals``, its last success that is kept, and its mark."""

    row: JobRow
    succeeded_at: Instant | None
    mark: SilenceMark | None


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A run as it is kept, with its latest attempt.

    Attributes:
        job_id: 0 for a run that belongs to no job.
        number: within its job, from 1. slot: when it was due.
        node: who has it, or had it; 0 for nobody.
        token: grows with each attempt that is handed out to anybody; results with an older one
            are refused.
        crashes: how many processes died during this run.
        retry_at: when its next attempt is due, while it waits for one.
        outcome: ``running`` until it has another one.
        result: what the service answered, as JSON.
    """

    id: int
    job_id: int
    job_name: str
    service: str
    number: int
    kind: RunKind
    slot: Instant
    state: RunState
    node: int
    token: int
    attempt: int
    crashes: int
    claimed_at: Instant
    started_at: Instant | None = None
    finished_at: Instant | None = None
    retry_at: Instant | None = None
    outcome: str = "running"
    error: str | None = None
    result: str | None = None

    @property
    def delay_us(self) -> int | None:
        """Microseconds between the slot and the start."""
        return None if self.started_at is None else self.started_at - self.slot

    @property
    def duration_us(self) -> int | None:
        """Microseconds between start and end of the latest attempt."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


class AttemptRow(msgspec.Struct, frozen=True):
    """An attempt of a run that was followed by another one."""

    attempt: int
    token: int
    started_at: Instant | None
    finished_at: Instant | None
    outcome: str
    error: str | None


class EarlierLines(NamedTuple):
    """What was logged during an attempt that was followed by another one."""

    run_id: int
    attempt: int
    started_at: Instant | None
    finished_at: Instant | None
    outcome: str
    lines: tuple[LogLine, ...]


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """Adjacent slots of a job that got no run, and why."""

    id: int
    job_id: int
    job_name: str
    outcome: str
    first: Instant
    last: Instant
    count: int
    reason: str


class Bucket(msgspec.Struct, frozen=True):
    """How many runs, and slots without one, had which outcome in [start, end)."""

    start: Instant
    end: Instant
    counts: Mapping[str, int]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """How things stand, for a page that shows all at once.

    Attributes:
        outcomes: how many runs there are of each outcome, ``running`` among them, and how many
            slots without a run.
        buckets: the same by time, over what was asked for.
        recent: the latest runs, newest first.
        last_hour: outcomes of runs that ended within the last hour.
    """

    total_jobs: int
    active_jobs: int
    paused_jobs: int
    total_runs: int
    outcomes: Mapping[str, int]
    last_hour: Mapping[str, int]
    buckets: tuple[Bucket, ...]
    recent: tuple[RunRow, ...]


class NodeRow(msgspec.Struct, frozen=True):
    """A process that runs jobs, or did."""

    id: int
    name: str
    pid: int
    started_at: Instant
    seen_at: Instant


class Pause(msgspec.Struct, frozen=True):
    """The whole scheduler stands still: since when, why, and by whom."""

    since: Instant
    note: str = ""
    by: str = ""
