"""Services that read the history: runs, their attempts and log lines, and slots without a run."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Annotated, Any, Literal, TypedDict, get_args

from msgspec import Meta, field

from zato_lite.builtin.input import (
    Id,
    Input,
    Moment,
    Page,
    ParsedBy,
    RunRef,
    in_calendar,
    parse_instant,
)
from zato_lite.builtin.output import build, duration_ms, iso, iso_or_none
from zato_lite.builtin.permissions import authority_of, require_visible, visible_to
from zato_lite.clock import Clock
from zato_lite.scheduler.commands import PART_SIZE, JobCommands
from zato_lite.scheduler.history import RunHistory
from zato_lite.service.base import Service
from zato_lite.service.job_answers import (
    HistoryPage,
    LedgerItem,
    LoggedRunItem,
    LogSummary,
    RunItem,
)
from zato_lite.service.job_types import Outcome
from zato_lite.service.needs import needs
from zato_lite.service.request import In, Out
from zato_lite.store.history import RelatedRun, Relations
from zato_lite.store.rows import AttemptRow, JobRow, LedgerRow, LogLine, RunRow, Summary
from zato_lite.store.sql import batches
from zato_lite.store.visibility import Permits
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import SECOND, Instant

OUTCOMES = get_args(Outcome)
_LEVELS = {"system": "system", "warning": "warn", "error": "error", "critical": "error"}
_RANKS = {"all": 0, "system": 0, "info": 1, "warn": 2, "error": 3}
_MAX_LINES = 100_000
_MAX_PAGE_SIZE = 1_000
_MAX_IDS = 10_000
_BUCKETS = 120


def _parse_outcomes(value: Any) -> Sequence[str]:
    """Return the outcomes to filter by; nothing for ``all``."""
    wanted = value if isinstance(value, list) else [value]
    if wanted == ["all"]:
        return ()
    if not all(each in OUTCOMES for each in wanted):
        raise ValueError(f"all, or a list of {', '.join(OUTCOMES)}")
    return wanted


def _parse_timestamp(value: Any) -> Instant:
    """Return the instant of seconds since 1970, or of a date."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return in_calendar(int(value * SECOND))
    return parse_instant(value)


Ids = Annotated[list[Id], Meta(max_length=_MAX_IDS)]
PageSize = Annotated[int, Meta(ge=1, le=_MAX_PAGE_SIZE)]
Outcomes = Annotated[
    Sequence[str],
    ParsedBy(_parse_outcomes, {"type": "array", "items": {"enum": [*OUTCOMES]}}),
]
Timestamp = Annotated[Instant, ParsedBy(_parse_timestamp, {"type": "number"})]


class PageQuery(Input):
    """A page of a list, or the rows since an instant."""

    page: Page = 1
    page_size: PageSize = 50
    since_iso: Moment | None = None

    @property
    def offset(self) -> int:
        """The number of rows before the page."""
        return (self.page - 1) * self.page_size


class HistoryQuery(PageQuery, kw_only=True):
    """Runs of a job; `running_runs` are included whatever their age."""

    id: Id
    since_timestamp: Timestamp | None = None
    outcomes: Outcomes = ()
    running_runs: Ids = field(default_factory=list)


class LedgerQuery(PageQuery):
    """Slots without a run, of one job or of all."""

    id: Id | None = None


class LogQuery(RunRef):
    """Log lines of a run, from a line on: of a level at least, and with words in their texts.

    ``limit`` is the maximum of lines; with ``tail`` the last ones are returned.
    """

    since_idx: Annotated[int, Meta(ge=0, le=10**9)] = 0
    level: Literal["all", "info", "warn", "error"] = "all"
    query: Annotated[str, Meta(max_length=1_000)] = ""
    limit: Annotated[int, Meta(ge=1, le=_MAX_LINES)] | None = None
    tail: bool = False


class JobIds(Input):
    """Several jobs."""

    id_list: Ids


class StateQuery(Input):
    """Time span of the chart, and the number of recent runs."""

    chart_since_iso: Moment | None = None
    chart_until_iso: Moment | None = None
    recent_since_iso: Moment | None = None
    recent_limit: Annotated[int, Meta(ge=0, le=_MAX_PAGE_SIZE)] = 100


class LedgerPage(TypedDict):
    """Slots without a run, newest first."""

    rows: list[LedgerItem]
    total: int
    page: int
    page_size: int


class AttemptItem(TypedDict):
    """An attempt that was followed by another one."""

    attempt: int
    token: int
    started_iso: str | None
    finished_iso: str | None
    outcome: str
    error: str | None
    cid: str | None


class RelatedRunItem(TypedDict):
    """A run related by a callback; ``job_id`` is 0 for a run of a service without a job."""

    job_id: int
    job_name: str
    service: str
    current_run: int
    outcome: str


class DelayParts(TypedDict):
    """The parts of a run's delay: its jitter, the time until its claim, and until its start."""

    jitter_ms: float
    claim_ms: float
    wait_ms: float


class RunRecord(RunItem):
    """A run with its earlier attempts and its result, which is JSON.

    ``input`` is the present input of the job, as text; ``node_name`` is empty once the node has
    left. ``cid`` is the correlation id of the latest attempt, by which its lines in the server's
    log are found; null for runs of earlier versions. A callback of the run ``caused_by`` led to
    this one, and callbacks of this one led to the first 20 ``callbacks``.
    """

    attempts: list[AttemptItem]
    result: str | None
    service: str
    claimed_iso: str
    started_iso: str | None
    ended_iso: str | None
    retry_at_iso: str | None
    node: int
    node_name: str
    input: str | None
    delay_parts: DelayParts | None
    cid: str | None
    caused_by: RelatedRunItem | None
    callbacks: list[RelatedRunItem]


class RunDetail(TypedDict):
    """A run, and the numbers of the job's runs before and after it."""

    record: RunRecord | None
    prev_run: int | None
    next_run: int | None


class LogEntry(TypedDict):
    """A log line, and its number among those of the run, from 0."""

    timestamp_iso: str
    level: str
    message: str
    index: int


class LogEntries(TypedDict):
    """Log lines of a run, the number of all that match, and the ``since_idx`` that continues."""

    entries: list[LogEntry]
    total: int
    next_idx: int


class LastRun(TypedDict):
    """The last run of a job; an empty text and null if it has not run."""

    id: int
    last_run_utc: str
    last_duration_ms: float | None


class LastRuns(TypedDict):
    """The last run of each job, in the order of the request."""

    items: list[LastRun]


class JobState(TypedDict):
    """A job's current state."""

    id: int
    name: str
    is_active: bool
    job_type: str
    service: str
    next_fire_utc: str | None
    is_running: bool
    current_run: int
    interval_ms: int
    last_outcome: str | None
    last_duration_ms: float | None
    recent_outcomes: list[str]


class Chart(TypedDict):
    """Number of runs by outcome in equal spans of time."""

    buckets: list[dict[str, str | int]]
    min_time_iso: str
    max_time_iso: str


class SchedulerState(TypedDict):
    """Counts, jobs, chart and recent runs of the whole scheduler."""

    total_jobs: int
    active_jobs: int
    paused_jobs: int
    total_executions: int
    outcome_counts: dict[str, int]
    jobs: list[JobState]
    chart_buckets: Chart
    recent_events: list[RunItem]
    runs_last_hour: int
    recent_last_hour: int


class HistoryService(Service[In, Out]):
    """Base of the services that read the history."""

    role = "viewer"
    scope = "own"
    history = needs(RunHistory)
    jobs = needs(JobCommands)


class GetHistory(HistoryService[HistoryQuery, HistoryPage]):
    """Return runs of a job, newest first: a page, or all since an instant."""

    name = "zato.scheduler.job.get-history"

    async def handle(self) -> None:
        query = self.request.input
        await require_visible(query.id, self.jobs, authority_of(self))
        since = query.since_iso if query.since_timestamp is None else query.since_timestamp
        rows, total = await self.history.history(
            query.id,
            limit=query.page_size,
            offset=query.offset,
            since=since,
            outcomes=query.outcomes,
            numbers=query.running_runs,
        )
        logs = await self.history.logs_of(rows)
        items: list[LoggedRunItem] = [
            {**run_item(row), "log_summary": log_summary(lines)}
            for row, lines in zip(rows, logs, strict=True)
        ]
        page: HistoryPage = {"rows": items, "total": total}
        if since is None:
            page["page"], page["page_size"] = query.page, query.page_size
        self.response.payload = page


class GetLedger(HistoryService[LedgerQuery, LedgerPage]):
    """Return slots without a run, of one job or of all, with the reason."""

    name = "zato.scheduler.job.get-ledger"

    async def handle(self) -> None:
        query = self.request.input
        caller = authority_of(self)
        if query.id is not None:
            await require_visible(query.id, self.jobs, caller)
        rows, total = await self.history.ledger(
            query.id,
            limit=query.page_size,
            offset=query.offset,
            since=query.since_iso,
            permits=visible_to(caller),
        )
        self.response.payload = {
            "rows": [ledger_item(row) for row in rows],
            "total": total,
            "page": query.page,
            "page_size": query.page_size,
        }


class GetRunDetail(HistoryService[RunRef, RunDetail]):
    """Return a run of a job, and the numbers of the runs before and after it."""

    name = "zato.scheduler.job.get-run-detail"

    async def handle(self) -> None:
        job_id, number = self.request.input.id, self.request.input.current_run
        caller = authority_of(self)
        await require_visible(job_id, self.jobs, caller)
        row = await self.history.run(job_id, number)
        if row is None:
            self.response.payload = {"record": None, "prev_run": None, "next_run": None}
            return
        beside = await self.history.neighbours(job_id, number)
        attempts = await self.history.attempts(job_id, number)
        names = {node.id: node.name for node in await self.jobs.nodes()}
        job = await self.history.definition_of(row.id)
        related, permits = await self.history.relations(row.id), visible_to(caller)
        callbacks = [_related_item(each, permits) for each in related.callbacks]
        self.response.payload = {
            "record": {
                **run_item(row),
                "cid": related.cid_of(row.token),
                "caused_by": _related_item(related.cause, permits),
                "callbacks": [it for it in callbacks if it is not None],
                "attempts": [_attempt_item(attempt, related) for attempt in attempts],
                "result": row.result,
                "service": row.service,
                "claimed_iso": iso(row.claimed_at),
                "started_iso": iso_or_none(row.started_at),
                "ended_iso": iso_or_none(row.finished_at),
                "retry_at_iso": iso_or_none(row.retry_at),
                "node": row.node,
                "node_name": names.get(row.node, ""),
                "input": job.extra if job is not None else None,
                "delay_parts": delay_parts(row, job.jitter_ms if job is not None else 0),
            },
            "prev_run": beside.previous,
            "next_run": beside.following,
        }


class GetLogEntries(HistoryService[LogQuery, LogEntries]):
    """Return the log lines of a run, from the line ``since_idx`` on."""

    name = "zato.scheduler.job.get-log-entries"

    async def handle(self) -> None:
        query = self.request.input
        await require_visible(query.id, self.jobs, authority_of(self))
        lines = await self.history.log_entries(query.id, query.current_run)
        fits = [
            index
            for index, line in enumerate(lines)
            if index >= query.since_idx and _fits(line, query.level, query.query)
        ]
        limit = query.limit or _MAX_LINES
        shown = fits[-limit:] if query.tail else fits[:limit]
        is_whole = query.tail or len(shown) == len(fits)
        self.response.payload = {
            "entries": [_log_entry(index, lines[index]) for index in shown],
            "total": len(fits),
            "next_idx": max(query.since_idx, len(lines) if is_whole else shown[-1] + 1),
        }


class GetLastRunList(HistoryService[JobIds, LastRuns]):
    """Return the start and the duration of each job's last run; jobs not shown are left out."""

    name = "zato.scheduler.job.get-last-run-list"

    async def handle(self) -> None:
        items: list[LastRun] = []
        permits = visible_to(authority_of(self))
        for part in batches(self.request.input.id_list, PART_SIZE):
            visible = part if permits is None else await self.jobs.visible(part, permits)
            ids = part if permits is None else [each for each in part if each in visible]
            last = await self.history.last_runs(ids)
            items += [_last_run(job_id, last.get(job_id)) for job_id in ids]
        self.response.payload = {"items": items}


class GetCurrentState(HistoryService[StateQuery, SchedulerState]):
    """Return the state of the whole scheduler, as an overview page shows it."""

    name = "zato.scheduler.job.get-current-state"
    clock = needs(Clock)

    async def handle(self) -> None:
        query = self.request.input
        permits = visible_to(authority_of(self))
        summary = await self.history.summary(
            permits=permits,
            since=query.chart_since_iso,
            until=query.chart_until_iso,
            buckets=_BUCKETS,
            recent_since=query.recent_since_iso,
            recent_limit=query.recent_limit,
        )
        rows, _ = await self.jobs.list(limit=_MAX_PAGE_SIZE, permits=permits)
        ids = [row.id for row in rows]
        last = await self.history.last_runs(ids)
        recent = await self.history.recent_outcomes(ids)
        ended = summary.last_hour
        failed = sum(ended.get(outcome, 0) for outcome in ("error", "timeout", "denied"))
        self.response.payload = build(
            SchedulerState,
            summary,
            total_executions=summary.total_runs,
            outcome_counts={name: summary.outcomes.get(name, 0) for name in OUTCOMES},
            jobs=[_job_state(row, last.get(row.id), recent.get(row.id, ())) for row in rows],
            chart_buckets=_chart(summary),
            recent_events=[run_item(row) for row in summary.recent],
            runs_last_hour=ended.get("ok", 0) + failed,
            recent_last_hour=failed,
        )


def delay_parts(row: RunRow, jitter_ms: int) -> DelayParts | None:
    """Return the parts of a run's delay; None before its start."""
    delay = row.delay_us
    if delay is None:
        return None
    is_of_slot = row.kind == "scheduled"
    jittered = min(jitter(row.job_id, row.slot, jitter_ms) if is_of_slot else 0, max(delay, 0))
    claimed = min(max(row.claimed_at - row.slot - jittered, 0), max(delay - jittered, 0))
    waited = delay - jittered - claimed
    return {
        "jitter_ms": jittered / 1000,
        "claim_ms": claimed / 1000,
        "wait_ms": waited / 1000,
    }


def _fits(line: LogLine, least: str, words: str) -> bool:
    """Return True if a line has a level at least, and the words in its text."""
    _, level, message = line
    rank = _RANKS.get(_LEVELS.get(level, "info"), 1)
    return rank >= _RANKS[least] and (not words or words.lower() in message.lower())


def _log_entry(index: int, line: LogLine) -> LogEntry:
    at, level, message = line
    return {"timestamp_iso": iso(at), "level": level.upper(), "message": message, "index": index}


def log_summary(lines: Iterable[LogLine]) -> LogSummary:
    """Return the number of log lines by level."""
    counts = Counter(_LEVELS.get(level, "info") for _, level, _ in lines)
    return {
        "system": counts["system"],
        "info": counts["info"],
        "warn": counts["warn"],
        "error": counts["error"],
    }


def run_item(row: RunRow) -> RunItem:
    """Return a run as the history shows it."""
    delay = row.delay_us
    return build(
        RunItem,
        row,
        planned_fire_time_iso=iso(row.slot),
        actual_fire_time_iso=iso_or_none(row.started_at),
        delay_ms=delay / 1000 if delay is not None else None,
        current_run=row.number,
        duration_ms=duration_ms(row),
        outcome_ctx=None,
        run_id=row.id,
    )


def ledger_item(row: LedgerRow) -> LedgerItem:
    """Return adjacent slots without a run as the ledger shows them."""
    return build(LedgerItem, row, first_iso=iso(row.first), last_iso=iso(row.last))


def _attempt_item(row: AttemptRow, related: Relations) -> AttemptItem:
    started, finished = iso_or_none(row.started_at), iso_or_none(row.finished_at)
    cid = related.cid_of(row.token)
    return build(AttemptItem, row, started_iso=started, finished_iso=finished, cid=cid)


def _related_item(run: RelatedRun | None, permits: Permits | None) -> RelatedRunItem | None:
    """Return a related run if there is one that the caller may see."""
    if run is None or not (permits is None or permits(run.service)):
        return None
    return build(RelatedRunItem, None, **run._asdict())


def _last_run(job_id: int, run: RunRow | None) -> LastRun:
    return {
        "id": job_id,
        "last_run_utc": (iso_or_none(run.started_at) if run is not None else None) or "",
        "last_duration_ms": duration_ms(run),
    }


def _chart(summary: Summary) -> Chart:
    buckets: list[dict[str, str | int]] = [
        {
            "start_iso": iso(bucket.start),
            "end_iso": iso(bucket.end),
            **{name: bucket.counts.get(name, 0) for name in OUTCOMES if name != "running"},
        }
        for bucket in summary.buckets
    ]
    return {
        "buckets": buckets,
        "min_time_iso": iso(summary.buckets[0].start) if buckets else "",
        "max_time_iso": iso(summary.buckets[-1].end) if buckets else "",
    }


def _job_state(row: JobRow, last: RunRow | None, recent: Sequence[str]) -> JobState:
    trigger = row.job.trigger
    return build(
        JobState,
        row.job,
        id=row.id,
        job_type=trigger.__struct_config__.tag,
        next_fire_utc=iso_or_none(row.next_at),
        is_running=row.in_flight > 0,
        current_run=row.number,
        interval_ms=getattr(trigger, "period", 0) // 1000,
        last_outcome=last.outcome if last is not None else None,
        last_duration_ms=duration_ms(last),
        recent_outcomes=list(recent),
    )
