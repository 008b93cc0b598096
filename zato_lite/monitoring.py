"""What is told of a running app: its figures, whether it is ready, and what happens in it."""

from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from zato_lite.clock import Clock
from zato_lite.http.events import EventLog
from zato_lite.http.metrics import Metrics, Readiness, Sample
from zato_lite.scheduler.commands import JobCommands
from zato_lite.scheduler.metrics import EDGES_S, RunMetrics
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.blocking import WorkerPool
from zato_lite.service.invoker import Invoker
from zato_lite.service.message import Invocation, Outcome
from zato_lite.service.registry import Registry
from zato_lite.store.rows import RunRow, Summary

Run = Callable[[Invocation], Awaitable[Outcome]]

_QUANTILES = (0.5, 0.99)
_FRESH_S = 5.0
_JUMP_S = 1.0


def told(run: Run, events: EventLog) -> Run:
    """The same door, with each run of a job told to whoever listens; others pay nothing for it."""

    def door(invocation: Invocation) -> Awaitable[Outcome]:
        return tell(invocation) if events.is_wanted else run(invocation)

    async def tell(invocation: Invocation) -> Outcome:
        fields = _fields(invocation)
        events.publish("run-started", fields)
        outcome = await run(invocation)
        ended = {"outcome": _word(outcome), "duration_ms": int(outcome.seconds * 1000)}
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


class Sources(NamedTuple):
    """What figures are taken from.

    Attributes:
        queued: how many writes and reads wait for the store.
        lag: seconds that a turn of the loop took at most within the last minute.
    """

    jobs: JobCommands
    scheduler: Scheduler
    invoker: Invoker
    clock: Clock
    queued: Callable[[], tuple[int, int]]
    lag: Callable[[], float]


def metrics(sources: Sources) -> Metrics:
    """The figures of the scheduler, the services and the loop; the jobs' at most 5 seconds old."""
    known: tuple[float, Summary] | None = None
    clock, scheduler = sources.clock, sources.scheduler
    since = clock.monotonic()
    jumps = Jumps(clock)

    async def count() -> Iterable[Sample]:
        nonlocal known
        now = clock.monotonic()
        if known is None or known[0] < now - _FRESH_S:
            known = (now, await sources.jobs.summary(buckets=1))
        return [
            *_of_jobs(known[1]),
            *_of_scheduler(scheduler),
            *_of_tally(scheduler.tally),
            *_of_services(sources.invoker.registry),
            *_of_threads(sources.invoker.pool),
            *_of_store(*sources.queued()),
            Sample("zato_scheduler_uptime_seconds", "gauge", "Since the start.", now - since),
            Sample(
                "zato_scheduler_clock_jumps_total",
                "counter",
                "Times that the clock was found set by more than a second.",
                jumps.look(),
            ),
            Sample(
                "zato_lite_loop_lag_seconds",
                "gauge",
                "The longest that the loop was found busy within the last minute.",
                sources.lag(),
            ),
        ]

    return count


class Jumps:
    """Notices between two looks that wall time went another way than time itself."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._count = 0
        self._offset = self._between()

    def look(self) -> int:
        """How often it did so far."""
        before, self._offset = self._offset, self._between()
        self._count += abs(self._offset - before) > _JUMP_S
        return self._count

    def _between(self) -> float:
        return self._clock.now() / 1e6 - self._clock.monotonic()


def _of_scheduler(scheduler: Scheduler) -> Iterator[Sample]:
    in_flight = scheduler.in_flight
    yield Sample("zato_scheduler_in_flight", "gauge", "Runs in flight here.", in_flight)
    yield Sample("zato_scheduler_jobs_in_flight", "gauge", "The same, as Zato has it.", in_flight)
    text = "Times that the scheduler looked for what is due."
    yield Sample("zato_scheduler_ticks_total", "counter", text, scheduler.ticks)
    text = "Results of attempts that another one had taken over."
    name = "zato_scheduler_late_results_refused_total"
    yield Sample(name, "counter", text, scheduler.refused)


def _of_tally(tally: RunMetrics) -> Iterator[Sample]:
    """How attempts ended here; jobs beyond the first 200 together."""
    name, text = "zato_scheduler_executions_total", "Attempts that ended here."
    for job, of_job in tally.jobs.items():
        for outcome, number in of_job.outcomes.items():
            labels = {"job_name": job, "outcome": outcome}
            yield Sample(name, "counter", text, number, labels)
    name, text = "zato_scheduler_execution_duration_seconds", "How long attempts took."
    for job, of_job in tally.jobs.items():
        below = 0
        for edge, number in zip((*EDGES_S, "+Inf"), of_job.below, strict=True):
            below += number
            labels = {"job_name": job, "le": str(edge)}
            yield Sample(f"{name}_bucket", "histogram", text, below, labels)
        seconds = of_job.microseconds / 1e6
        yield Sample(f"{name}_sum", "histogram", text, seconds, {"job_name": job})
        yield Sample(f"{name}_count", "histogram", text, below, {"job_name": job})


def _of_store(writes: int, reads: int) -> Iterator[Sample]:
    text = "Operations that wait for the store."
    for kind, number in (("write", writes), ("read", reads)):
        yield Sample("zato_lite_store_queue", "gauge", text, number, {"kind": kind})


def _of_jobs(summary: Summary) -> Iterator[Sample]:
    yield Sample("zato_scheduler_jobs_total", "gauge", "Jobs.", summary.total_jobs)
    yield Sample("zato_scheduler_jobs_active", "gauge", "Active jobs.", summary.active_jobs)
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
