"""Row types: the values that queries return. Instants are microseconds since 1970 in UTC."""

from collections.abc import Mapping
from typing import Literal, NamedTuple

import msgspec

from zato_lite.timetable.job import Instant, Job

RunKind = Literal["scheduled", "manual", "retry", "backfill", "callback", "async"]
"""Cause of a run: its slot, or a request of a caller or a callback."""

RunState = Literal["claimed", "queued", "waiting", "done"]
"""State of a run: claimed by a node or ready to start; queued behind another run of its job;
waiting for its next attempt; done, with an outcome."""

LogLine = tuple[Instant, str, str]
"""Instant of a log line, its level in lower case, and its text."""


class JobRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored job with its timer.

    Attributes:
        version: grows with each change of the definition.
        cursor: every slot at or before it is accounted for. started: scheduled runs so far.
        number: of the latest run. next_at: the next planning time; None if never.
        in_flight: runs without an outcome, except the ``queued`` ones.
        failures: failed runs in a row.
        paused_since: the start of the pause; None while the job is active.
        paused_by: the principal that paused it, ``system`` for a pause after failures; empty if
            unknown, and while the job is active.
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
    paused_by: str = ""


class SilenceMark(msgspec.Struct, frozen=True):
    """The monitoring state of a job with ``alert_after_intervals``.

    Attributes:
        since: the last success that was seen, or the latest instant at which it was paused.
        is_told: an alert has been raised for the silence since then.
    """

    since: Instant
    is_told: bool = False


class WatchedRow(NamedTuple):
    """A job with ``alert_after_intervals``, its last success in history, and its mark."""

    row: JobRow
    succeeded_at: Instant | None
    mark: SilenceMark | None


class RunRow(msgspec.Struct, frozen=True, kw_only=True):
    """A stored run with its latest attempt.

    Attributes:
        job_id: 0 for a run without a job.
        number: within its job, from 1. slot: the instant at which it was due.
        node: the node that claimed it; 0 if none holds it.
        token: the fencing token; it grows with each claimed attempt.
        crashes: the number of processes that died during this run.
        retry_at: the instant of the next attempt, while the run waits for it.
        outcome: ``running`` until the run is done.
        result: the service's response as JSON.
        principal: the user, key or ``system`` on whose behalf it is made; empty if unknown.
        requested_by: the principal that asked for the run; empty if its slot did.
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
    principal: str = ""
    requested_by: str = ""

    @property
    def delay_us(self) -> int | None:
        """Return the microseconds between the slot and the start."""
        return None if self.started_at is None else self.started_at - self.slot

    @property
    def duration_us(self) -> int | None:
        """Return the microseconds between start and end of the latest attempt."""
        if self.started_at is None or self.finished_at is None:
            return None
        return self.finished_at - self.started_at


class AttemptRow(msgspec.Struct, frozen=True):
    """An earlier attempt of a run: another one followed it."""

    attempt: int
    token: int
    started_at: Instant | None
    finished_at: Instant | None
    outcome: str
    error: str | None


class EarlierLines(NamedTuple):
    """The log lines of an earlier attempt of a run."""

    run_id: int
    attempt: int
    started_at: Instant | None
    finished_at: Instant | None
    outcome: str
    lines: tuple[LogLine, ...]


class LedgerRow(msgspec.Struct, frozen=True, kw_only=True):
    """Adjacent slots of a job that got no run, and the reason."""

    id: int
    job_id: int
    job_name: str
    outcome: str
    first: Instant
    last: Instant
    count: int
    reason: str


class Bucket(msgspec.Struct, frozen=True):
    """The number of runs, and of slots without a run, by outcome in [start, end)."""

    start: Instant
    end: Instant
    counts: Mapping[str, int]


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """A summary of all jobs and runs, for an overview page.

    Attributes:
        outcomes: the number of runs and of slots without a run, by outcome, with ``running``.
        buckets: the same by time, over the requested period.
        recent: the latest runs, newest first.
        last_hour: the number of runs that ended within the last hour, by outcome.
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
    """A node: a process that runs jobs, or a dead one whose runs are not yet recovered.

    Attributes:
        serial: grows with each commit of the node, on PostgreSQL.
        services: the names of its deployed services, each between line ends; empty if unknown.
    """

    id: int
    name: str
    pid: int
    started_at: Instant
    seen_at: Instant
    serial: int = 0
    services: str = ""


class Pause(msgspec.Struct, frozen=True):
    """A pause of the whole scheduler: its start, the reason and the user."""

    since: Instant
    note: str = ""
    by: str = ""
