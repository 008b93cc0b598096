"""Types of the arguments of ``self.schedule``: references, and the fields of a definition."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any, Literal, Protocol, TypedDict

from zato_lite.timetable.job import (
    CrashPolicy,
    ExcludedPolicy,
    FoldPolicy,
    GapPolicy,
    MissedPolicy,
    OverlapPolicy,
)

OnBehalfOf = Literal["caller", "system"]
"""On whose behalf a job runs: of the invocation's caller, or of the system."""

JobType = Literal["one_time", "interval_based", "cron_style"]

JobState = Literal["paused", "failing", "late", "missed", "running", "ended", "active"]
"""State of a job: the first of these that is true."""

StateFilter = Literal["active", "paused", "failing", "running", "missed", "late"]
"""States by which jobs are selected."""

Outcome = Literal[
    "ok", "error", "timeout", "running", "skipped_already_in_flight",  # Zato's
    "cancelled", "lost", "missed", "excluded", "paused", "denied",
]  # fmt: skip
"""Outcome of a slot or a run."""

Date = str | datetime
"""ISO 8601 or ``YYYY-MM-DD HH:MM:SS``, as text or as an object."""

Duration = int | str
"""A whole number, or words: ``15 min``."""


class Named(Protocol):
    """A service or its class."""

    def get_name(self) -> str:
        """Return the name of the service."""
        ...


ServiceRef = str | type[Named]
"""A service, by its name or its class."""

JobRef = int | str
"""A job, by its id or its name."""


class JobOptions(TypedDict, total=False):
    """Fields that a definition may have besides its name, its service and its trigger.

    docs/jobs.md describes them; None counts as not given, and clears a field in an edit.
    """

    is_active: bool
    end_date: Date | None
    timezone: str | None
    cron_day_and: bool | None
    dst_gap: GapPolicy | None
    dst_fold: FoldPolicy | None
    repeats: int | None
    on_missed: MissedPolicy | None
    catch_up_window_seconds: Duration | None
    catch_up_rate: float | None
    on_overlap: OverlapPolicy | None
    max_parallel: int | None
    max_execution_time_ms: Duration | None
    max_retries: int | None
    retry_delay_ms: Duration | None
    retry_backoff: float | None
    retry_max_delay_ms: Duration | None
    retry_jitter: float | None
    on_crash: CrashPolicy | None
    max_crashes: int | None
    jitter_ms: Duration | None
    priority: int | None
    max_concurrent: int | None
    calendar: str | None
    on_excluded: ExcludedPolicy | None
    on_success_service: ServiceRef | None
    on_success_job: str | None
    on_error_service: ServiceRef | None
    on_error_job: str | None
    pause_note: str | None
    pause_until: Date | None
    pause_after_failures: int | None
    skip_next: int | None
    alert_after_intervals: int | None
    keep_runs: int | None
    keep_days: float | None
    principal: str | None
    description: str | None
    tags: Sequence[str] | None
    extra: Any
    allow_missing_services: bool


class NewJobOptions(JobOptions, total=False):
    """Fields of a new job; ``should_ignore_existing`` leaves a job of its name as it is."""

    should_ignore_existing: bool


class DeclaredOptions(JobOptions, total=False):
    """Fields of a schedule that is declared on a class; its name is by default the service's."""

    name: str
    start_date: Date | None


class DeclaredPeriod(DeclaredOptions, total=False):
    """The same with a period: the sum of its parts, or in words."""

    weeks: int | None
    days: int | None
    hours: int | None
    minutes: int | None
    seconds: float | None
    milliseconds: int | None
    every: str | None


class JobEdits(DeclaredPeriod, total=False):
    """Fields to change; ``name`` is the new name, ``version`` the one that must be present."""

    service: ServiceRef
    job_type: JobType
    cron_definition: str | None
    data: Any
    version: int


class JobFilters(TypedDict, total=False):
    """Filters, order and page of a list of jobs."""

    service_name: ServiceRef | None
    state: StateFilter | None
    tag: str
    next_before: Date | None
    sort: Literal["name", "next", "last", "failed", "duration"]
    dir: Literal["asc", "desc"]
    include: Sequence[Literal["outcomes", "durations", "words"]]
    paginate: bool
    cur_page: int
    page_size: int
