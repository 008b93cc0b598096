"""What ran, when, and what came of it; and why a slot did not run."""

from collections.abc import Iterable
from typing import Any

from zato_lite.builtin.fields import Reader, iso, moment, showable, whole
from zato_lite.builtin.jobs import ID_MOST, duration_ms, job_id_of
from zato_lite.clock import Clock
from zato_lite.errors import BadInputError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.rows import JobRow, LedgerRow, LogLine, RunRow
from zato_lite.timetable.job import SECOND, Instant

OUTCOMES = ("ok", "error", "timeout", "running", "skipped_already_in_flight")
"""Those of Zato; ours are more."""
ALL_OUTCOMES = (*OUTCOMES, "cancelled", "lost", "missed", "excluded", "paused")
_LEVELS = {"system": "system", "warning": "warn", "error": "error", "critical": "error"}
_HISTORY_SIZE = 50
_HISTORY_MOST = 1_000
_IDS_MOST = 10_000
_BUCKETS = 120


class GetHistory(Service):
    """Runs of a job, newest first: a page of them, or what is new since an instant."""

    name = "zato.scheduler.job.get-history"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        job_id = reader.required("id", whole(1, ID_MOST), 0)
        page = reader("page", whole(1, 10**9), 1)
        size = reader("page_size", whole(1, _HISTORY_MOST), _HISTORY_SIZE)
        since = reader("since_iso", moment(), None)
        if "since_timestamp" in reader.given:
            since = reader("since_timestamp", timestamp, None)
        outcomes = reader("outcomes", outcome_list, ())
        numbers = reader("running_runs", whole_list, ())
        reader.check()
        rows, total = await self.jobs.history(
            job_id,
            limit=size,
            offset=(page - 1) * size,
            since=since,
            outcomes=outcomes,
            numbers=numbers,
        )
        logs = await self.jobs.logs_of(rows)
        shown = [
            {**run_item(row), "log_summary": log_summary(lines)}
            for row, lines in zip(rows, logs, strict=True)
        ]
        self.response.payload = {"rows": shown, "total": total}
        if since is None:
            self.response.payload |= {"page": page, "page_size": size}


class GetLedger(Service):
    """Slots of a job, or of all, that got no run: outcome, reason, first, last, how many."""

    name = "zato.scheduler.job.get-ledger"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        job_id = reader("id", whole(1, ID_MOST), None)
        page = reader("page", whole(1, 10**9), 1)
        size = reader("page_size", whole(1, _HISTORY_MOST), _HISTORY_SIZE)
        since = reader("since_iso", moment(), None)
        reader.check()
        rows, total = await self.jobs.ledger(
            job_id, limit=size, offset=(page - 1) * size, since=since
        )
        self.response.payload = {
            "rows": [ledger_item(row) for row in rows],
            "total": total,
            "page": page,
            "page_size": size,
        }


class GetRunDetail(Service):
    """One run of a job, and the numbers of the runs before and after it."""

    name = "zato.scheduler.job.get-run-detail"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        job_id, number = run_of(self.request.payload)
        row = await self.jobs.run(job_id, number)
        if row is None:
            self.response.payload = {"record": None, "prev_run": None, "next_run": None}
            return
        beside = await self.jobs.neighbours(job_id, number)
        attempts = await self.jobs.attempts(job_id, number)
        record = {
            **run_item(row),
            "attempts": [
                {
                    "attempt": each.attempt,
                    "token": each.token,
                    "started_iso": iso(each.started_at) if each.started_at else None,
                    "finished_iso": iso(each.finished_at) if each.finished_at else None,
                    "outcome": each.outcome,
                    "error": each.error,
                }
                for each in attempts
            ],
            "result": row.result,
        }
        self.response.payload = {
            "record": record,
            "prev_run": beside.previous,
            "next_run": beside.following,
        }


class GetLogEntries(Service):
    """What was logged during a run, from the line ``since_idx`` on."""

    name = "zato.scheduler.job.get-log-entries"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        since = reader("since_idx", whole(0, 10**9), 0)
        reader.check()
        job_id, number = run_of(self.request.payload)
        lines = await self.jobs.log_entries(job_id, number, since)
        self.response.payload = {
            "entries": [
                {"timestamp_iso": iso(at), "level": level.upper(), "message": text}
                for at, level, text in lines
            ]
        }


class GetLastRunList(Service):
    """When each of some jobs ran last, and how long it took."""

    name = "zato.scheduler.job.get-last-run-list"
    jobs = needs(JobCommands)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        ids = reader.required("id_list", whole_list, ())
        reader.check()
        last = await self.jobs.last_runs(ids)
        self.response.payload = {"items": [_last_run(job_id, last.get(job_id)) for job_id in ids]}


class GetCurrentState(Service):
    """How the scheduler stands, for a page that shows all at once."""

    name = "zato.scheduler.job.get-current-state"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        reader = Reader(self.request.payload)
        since = reader("chart_since_iso", moment(), None)
        until = reader("chart_until_iso", moment(), None)
        recent_since = reader("recent_since_iso", moment(), None)
        recent_limit = reader("recent_limit", whole(0, _HISTORY_MOST), 100)
        reader.check()
        summary = await self.jobs.summary(
            since=since,
            until=until,
            buckets=_BUCKETS,
            recent_since=recent_since,
            recent_limit=recent_limit,
        )
        rows, _ = await self.jobs.list(limit=_HISTORY_MOST)
        ids = [row.id for row in rows]
        last = await self.jobs.last_runs(ids)
        recent = await self.jobs.recent_outcomes(ids)
        buckets = [
            {
                "start_iso": iso(each.start),
                "end_iso": iso(each.end),
                **{name: each.counts.get(name, 0) for name in ALL_OUTCOMES if name != "running"},
            }
            for each in summary.buckets
        ]
        ended = summary.last_hour
        failed = ended.get("error", 0) + ended.get("timeout", 0)
        self.response.payload = {
            "total_jobs": summary.total_jobs,
            "active_jobs": summary.active_jobs,
            "paused_jobs": summary.paused_jobs,
            "total_executions": summary.total_runs,
            "outcome_counts": {name: summary.outcomes.get(name, 0) for name in ALL_OUTCOMES},
            "jobs": [_state(row, last.get(row.id), recent.get(row.id, ())) for row in rows],
            "chart_buckets": {
                "buckets": buckets,
                "min_time_iso": buckets[0]["start_iso"] if buckets else "",
                "max_time_iso": buckets[-1]["end_iso"] if buckets else "",
            },
            "recent_events": [run_item(row) for row in summary.recent],
            "runs_last_hour": ended.get("ok", 0) + failed,
            "recent_last_hour": failed,
        }


def run_of(sent: Any) -> tuple[int, int]:
    """Which run is meant: ``job_id`` (or ``id``) and ``current_run``.

    Raises:
        BadInputError: one is missing, or no positive whole number.
    """
    reader = Reader(sent)
    number = reader.required("current_run", whole(1, ID_MOST), 0)
    try:
        job_id = job_id_of(sent)
    except BadInputError as error:
        raise BadInputError.of((*error.errors, *reader.errors)) from None
    reader.check()
    return job_id, number


def log_summary(lines: Iterable[LogLine]) -> dict[str, int]:
    """How many lines of each level there are."""
    counts = {"system": 0, "info": 0, "warn": 0, "error": 0}
    for _, level, _ in lines:
        counts[_LEVELS.get(level, "info")] += 1
    return counts


def run_item(row: RunRow) -> dict[str, Any]:
    """A run as the history shows it."""
    delay = row.delay_us
    return {
        "job_id": row.job_id,
        "job_name": row.job_name,
        "planned_fire_time_iso": iso(row.slot),
        "actual_fire_time_iso": iso(row.started_at) if row.started_at is not None else None,
        "delay_ms": delay / 1000 if delay is not None else None,
        "outcome": row.outcome,
        "current_run": row.number,
        "duration_ms": duration_ms(row),
        "error": row.error,
        "outcome_ctx": None,
        "run_id": row.id,
        "kind": row.kind,
        "state": row.state,
        "attempt": row.attempt,
        "token": row.token,
        "crashes": row.crashes,
    }


def ledger_item(row: LedgerRow) -> dict[str, Any]:
    """Slots without a run as they are shown."""
    return {
        "job_id": row.job_id,
        "job_name": row.job_name,
        "outcome": row.outcome,
        "reason": row.reason,
        "first_iso": iso(row.first),
        "last_iso": iso(row.last),
        "count": row.count,
    }


def outcome_list(value: Any) -> tuple[str, ...]:
    """Outcomes to filter by; ``all`` is no filter."""
    asked = value if isinstance(value, list) else [value]
    if asked == ["all"]:
        return ()
    if not all(each in ALL_OUTCOMES for each in asked):
        raise ValueError(f"all, or a list of {', '.join(ALL_OUTCOMES)}")
    return tuple(asked)


def whole_list(value: Any) -> list[int]:
    """A list of ids or numbers."""
    if not isinstance(value, list) or len(value) > _IDS_MOST:
        raise ValueError(f"a list of at most {_IDS_MOST} whole numbers")
    return [whole(1, ID_MOST)(each) for each in value]


def timestamp(value: Any) -> Instant:
    """Seconds since 1970, or a date."""
    if isinstance(value, int | float) and not isinstance(value, bool):
        return showable(int(value * SECOND))
    return moment()(value)


def _last_run(job_id: int, run: RunRow | None) -> dict[str, Any]:
    started_at = run.started_at if run is not None else None
    return {
        "id": job_id,
        "last_run_utc": iso(started_at) if started_at is not None else "",
        "last_duration_ms": duration_ms(run),
    }


def _state(row: JobRow, last: RunRow | None, recent: Any) -> dict[str, Any]:
    trigger = row.job.trigger
    return {
        "id": row.id,
        "name": row.job.name,
        "is_active": row.job.is_active,
        "job_type": trigger.__struct_config__.tag,
        "service": row.job.service,
        "next_fire_utc": iso(row.next_at) if row.next_at is not None else None,
        "is_running": row.in_flight > 0,
        "current_run": row.number,
        "interval_ms": getattr(trigger, "period", 0) // 1000,
        "last_outcome": last.outcome if last is not None else None,
        "last_duration_ms": duration_ms(last),
        "recent_outcomes": list(recent),
    }
