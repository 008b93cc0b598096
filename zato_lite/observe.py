"""What is told of a running app: its figures, whether it is ready, and what happens in it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from zato_lite.clock import Clock
from zato_lite.http.events import EventLog
from zato_lite.http.observe import Metrics, Readiness, Sample
from zato_lite.scheduler.jobs import Jobs
from zato_lite.scheduler.loop import Scheduler
from zato_lite.service.blocking import WorkerPool
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, Outcome
from zato_lite.service.registry import Registry
from zato_lite.store.rows import RunRow, Summary

Run = Callable[[Invocation], Awaitable[Outcome]]

_QUANTILES = (0.5, 0.99)
_FRESH_S = 5.0


def told(run: Run, events: EventLog) -> Run:
    """The same door, with each run of a job told to whoever listens; others pay nothing for it."""

    def door(invocation: Invocation) -> Awaitable[Outcome]:
        return tell(invocation) if events.is_wanted else run(invocation)

    async def tell(invocation: Invocation) -> Outcome:
        fields = _fields(invocation)
        events.publish("run-started", fields)
        outcome = await run(invocation)
        ended = {"outcome": _word(outcome), "duration_ms": outcome.duration_us // 1000}
        events.publish("run-ended", fields | ended)
        return outcome

    return door


def readiness(scheduler: Scheduler, trouble: Callable[[], str], wanted: bool) -> Readiness:
    """Why work cannot be taken: the store is in trouble, or the scheduler cannot do its work."""

    async def reasons() -> Mapping[str, str]:
        found = {}
        if words := trouble():
            found["store"] = words
        if wanted and not scheduler.is_running:
            found["scheduler"] = "it does not run"
        elif words := scheduler.trouble:
            found["scheduler"] = words
        return found

    return reasons


def metrics(jobs: Jobs, scheduler: Scheduler, invoker: Invoker, clock: Clock) -> Metrics:
    """The figures of the scheduler, the services and the loop; counted anew after 5 seconds."""
    known: tuple[float, Summary] | None = None

    async def count() -> Iterable[Sample]:
        nonlocal known
        now = clock.monotonic()
        if known is None or known[0] < now - _FRESH_S:
            known = (now, await jobs.summary(buckets=1))
        before = clock.monotonic()
        await asyncio.sleep(0)
        lag = clock.monotonic() - before
        return [
            *_of_jobs(known[1]),
            *_of_services(invoker.registry),
            *_of_threads(invoker.pool),
            Sample("zato_lite_loop_lag_seconds", "gauge", "A turn of the loop.", lag),
            Sample(
                "zato_scheduler_in_flight", "gauge", "Runs in flight here.", scheduler.in_flight
            ),
            Sample(
                "zato_scheduler_late_results_refused_total",
                "counter",
                "Results of attempts that another one had taken over.",
                scheduler.refused,
            ),
        ]

    return count


def _of_jobs(summary: Summary) -> Iterator[Sample]:
    states = {"active": summary.active_jobs, "paused": summary.paused_jobs}
    for state, number in states.items():
        yield Sample("zato_scheduler_jobs", "gauge", "Jobs.", number, {"state": state})
    text = "Slots that are kept, by what came of them; runs and slots without a run."
    for outcome, number in sorted(summary.outcomes.items()):
        yield Sample("zato_scheduler_slots", "gauge", text, number, {"outcome": outcome})
    text = "Runs that ended within the last hour, by what came of them."
    for outcome, number in sorted(summary.last_hour.items()):
        yield Sample("zato_scheduler_last_hour", "gauge", text, number, {"outcome": outcome})
    late = _lateness(summary.recent)
    text = "How late the latest hundred runs started."
    for quantile in _QUANTILES if late else ():
        value = late[min(int(quantile * len(late)), len(late) - 1)]
        labels = {"quantile": str(quantile)}
        yield Sample("zato_scheduler_lateness_seconds", "gauge", text, value, labels)


def _of_threads(pool: WorkerPool) -> Iterator[Sample]:
    """Whether blocking services wait for each other, or do not come back."""
    yield Sample("zato_lite_threads_limit", "gauge", "Blocking services at once.", pool.limit)
    yield Sample("zato_lite_threads_busy", "gauge", "Threads of blocking services.", pool.busy)
    yield Sample(
        "zato_lite_threads_waiting", "gauge", "Blocking services without a thread.", pool.waiting
    )
    yield Sample(
        "zato_lite_threads_abandoned",
        "gauge",
        "Threads whose time was up and that go on regardless.",
        pool.abandoned,
    )


def _of_services(registry: Registry) -> Iterator[Sample]:
    texts = {
        "invocations": "Invocations.",
        "errors": "Invocations that ended with an error.",
        "seconds": "Seconds that invocations took.",
    }
    for name, text in texts.items():
        for entry in registry:
            if entry.calls:
                figure = {
                    "invocations": entry.calls,
                    "errors": entry.errors,
                    "seconds": entry.seconds,
                }[name]
                labels = {"service": entry.name}
                yield Sample(f"zato_lite_service_{name}_total", "counter", text, figure, labels)


def _lateness(runs: Sequence[RunRow]) -> list[float]:
    return sorted(
        (run.started_at - run.slot) / 1e6
        for run in runs
        if run.kind == "scheduled" and run.started_at is not None
    )


def _fields(invocation: Invocation) -> dict[str, Any]:
    job = invocation.job
    fields: dict[str, Any] = {"service": invocation.service, "cid": invocation.cid}
    if job is not None:
        fields |= {"job_id": job.id, "job_name": job.name, "run": job.run, "slot": job.slot}
        fields |= {"attempt": job.attempt}
    return fields


def _word(outcome: Outcome) -> str:
    if outcome.is_timeout:
        return "timeout"
    if outcome.is_cancelled:
        return "cancelled"
    return "ok" if outcome.error is None else "error"
