"""Answers of the scheduler's services, as ``self.schedule`` returns them; plain dictionaries."""

from typing import Any, Literal, NotRequired, TypedDict

from zato_lite.service.job_types import JobState, JobType
from zato_lite.timetable.job import (
    CrashPolicy,
    ExcludedPolicy,
    FoldPolicy,
    GapPolicy,
    MissedPolicy,
    OverlapPolicy,
)


class CreatedJob(TypedDict, total=False):
    """A created job; empty if ``should_ignore_existing`` left an existing one alone."""

    id: int
    name: str
    cron_definition: str


class EditedJob(TypedDict):
    """An edited job; its new version if the request had one."""

    id: int
    name: str
    cron_definition: NotRequired[str]
    version: NotRequired[int]


class JobFields(TypedDict, total=False):
    """Fields of a definition that an answer has only if they differ from their defaults."""

    end_date: str
    timezone: str
    weeks: int
    days: int
    hours: int
    minutes: int
    seconds: int
    milliseconds: int
    cron_definition: str
    cron_day_and: bool
    dst_gap: GapPolicy
    dst_fold: FoldPolicy
    extra: str
    repeats: int
    on_missed: MissedPolicy
    catch_up_window_seconds: int
    catch_up_rate: float
    on_overlap: OverlapPolicy
    max_parallel: int
    max_execution_time_ms: int
    max_retries: int
    retry_delay_ms: int
    retry_backoff: float
    retry_max_delay_ms: int
    retry_jitter: float
    on_crash: CrashPolicy
    max_crashes: int
    jitter_ms: int
    priority: int
    max_concurrent: int
    calendar: str
    on_excluded: ExcludedPolicy
    on_success_service: str
    on_success_job: str
    on_error_service: str
    on_error_job: str
    pause_note: str
    pause_until: str
    pause_after_failures: int
    skip_next: int
    alert_after_intervals: int
    keep_runs: int
    keep_days: float
    principal: str
    description: str
    tags: list[str]


class JobItem(JobFields):
    """A job: its definition, its last run and its next slot; empty texts for none."""

    id: int
    name: str
    service: str
    is_active: bool
    job_type: JobType
    start_date: str
    service_id: str
    service_name: str
    next_run_utc: str
    last_run_utc: str
    last_duration_ms: float | None
    version: int
    paused_since: str | None
    paused_by: str


class ListedJob(JobItem):
    """A job with its state and the figures that ``include`` asks for."""

    state: JobState
    in_flight: int
    queued: int
    failures: int
    last_outcome: str
    next_iso: str | None
    last_iso: str | None
    origin: Literal["declared", "api"]
    words: NotRequired[str]
    outcomes: NotRequired[list[list[Any]]]
    p50_ms: NotRequired[float | None]
    p95_ms: NotRequired[float | None]
    failed_share: NotRequired[float | None]


class JobDetail(ListedJob):
    """A job with its recent outcomes, oldest first."""

    recent_outcomes: list[str]


class RunItem(TypedDict):
    """A run; null for a time or an error that does not exist."""

    job_id: int
    job_name: str
    planned_fire_time_iso: str
    actual_fire_time_iso: str | None
    delay_ms: float | None
    outcome: str
    current_run: int
    duration_ms: float | None
    error: str | None
    outcome_ctx: None
    run_id: int
    kind: str
    state: str
    attempt: int
    token: int
    crashes: int
    principal: str
    requested_by: str


class LedgerItem(TypedDict):
    """Adjacent slots without a run, with one outcome and one reason."""

    job_id: int
    job_name: str
    outcome: str
    reason: str
    first_iso: str
    last_iso: str
    count: int


class LogSummary(TypedDict):
    """Number of log lines by level."""

    system: int
    info: int
    warn: int
    error: int


class LoggedRunItem(RunItem):
    """A run with the number of its log lines."""

    log_summary: LogSummary


class HistoryPage(TypedDict):
    """Runs, newest first; `page` and `page_size` unless `since_iso` was sent."""

    rows: list[LoggedRunItem]
    total: int
    page: NotRequired[int]
    page_size: NotRequired[int]


class Fact(TypedDict):
    """A fact that explains an instant; its ``kind`` says which of the values it has.

    ``run`` and ``blocking_run``: a run. ``slots``: adjacent slots with this outcome. ``outage``:
    no process ran. ``pause``: of a job or of the scheduler. ``calendar``: an excluded day.
    ``bounds``, ``creation``, ``repeats``, ``schedule``, ``retention``: of the definition.
    ``clock``: the slots up to an instant are decided already.
    """

    kind: str
    job_id: NotRequired[int]
    current_run: NotRequired[int]
    outcome: NotRequired[str]
    started_iso: NotRequired[str | None]
    ended_iso: NotRequired[str | None]
    first_iso: NotRequired[str]
    last_iso: NotRequired[str]
    count: NotRequired[int]
    from_iso: NotRequired[str | None]
    to_iso: NotRequired[str | None]
    of: NotRequired[str]
    by: NotRequired[str]
    since_iso: NotRequired[str | None]
    until_iso: NotRequired[str | None]
    note: NotRequired[str]
    name: NotRequired[str]
    day: NotRequired[str]
    reason: NotRequired[str]
    start_iso: NotRequired[str]
    end_iso: NotRequired[str | None]
    created_iso: NotRequired[str]
    repeats: NotRequired[int]
    started: NotRequired[int]
    words: NotRequired[str]
    timezone: NotRequired[str]
    keep_runs: NotRequired[int | None]
    keep_days: NotRequired[float | None]


class Action(TypedDict):
    """Something that can be done about it: a service, and the input that it takes as it is."""

    code: str
    label: str
    service: str
    input: dict[str, Any]


class Explanation(TypedDict):
    """The outcome of an instant in one word and in a sentence; its run or its ledger entry.

    ``code`` and ``sentence`` are the outcome and the reason, the latter shortened; ``facts`` are
    the reason as values, ``actions`` what can be done. The slots before and after are the
    trigger's.
    """

    job_id: int
    job_name: str
    timezone: str
    at: str
    outcome: str
    reason: str
    run: RunItem | None
    ledger: LedgerItem | None
    code: str
    sentence: str
    facts: list[Fact]
    actions: list[Action]
    previous_slot: str | None
    next_slot: str | None


class NewRuns(TypedDict):
    """The numbers of the new runs, and which slots were left out and why; empty for none.

    In a dry run, ``count`` is the number of slots that would run; ``first_iso`` and ``last_iso``
    are the outermost of them.
    """

    runs: list[int]
    reason: str
    count: NotRequired[int]
    first_iso: NotRequired[str | None]
    last_iso: NotRequired[str | None]
