"""Events of job runs, and the readiness of a server."""

from collections import Counter
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from zato_lite.clock import Clock, to_datetime
from zato_lite.http.endpoints.monitoring import Readiness
from zato_lite.http.events import EventLog
from zato_lite.scheduler.observer import What
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.attempts import AttemptResult
from zato_lite.store.claim import ClaimResult
from zato_lite.store.completion import SYSTEM
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.job_plan import Entry

_PAUSE_ENDED = "its pause ended at pause_until"

Run = Callable[[Invocation], Awaitable[Outcome]]


def with_events(run: Run, events: EventLog, node: str, clock: Clock) -> Run:
    """Return ``run`` with an event at the start of each run.

    Without a subscriber it costs two attributes.
    """

    def run_and_publish(invocation: Invocation) -> Awaitable[Outcome]:
        if events.is_needed:
            events.publish("run-started", _started(invocation, node, clock.now()))
        return run(invocation)

    return run_and_publish


def _started(invocation: Invocation, node: str, now: Instant) -> dict[str, Any]:
    job = invocation.job
    fields: dict[str, Any] = {"service": invocation.service, "cid": invocation.cid}
    if job is not None:
        fields |= {"job_id": job.id, "job_name": job.name, "run": job.run, "slot": job.slot}
        fields |= {"attempt": job.attempt, "kind": job.kind}
    return fields | {"node": node, "started_iso": iso(now), "state": "running"}


class EventPublisher:
    """Observer of the scheduler that publishes events, and counts what ends in each second.

    Args:
        events: the stream.
        node: the name of this process among others.
        clock: gives the time of figures.

    Attributes:
        in_flight: returns the number of runs in flight.
    """

    def __init__(self, events: EventLog, node: str, clock: Clock) -> None:
        self._events, self._node, self._clock = events, node, clock
        self._ended: Counter[str] = Counter()
        self.in_flight: Callable[[], int] = int
        events.figures = self.figures

    @property
    def is_wanted(self) -> bool:
        """True if there has been a listener, or another process has one."""
        return self._events.is_needed

    def figures(self) -> dict[str, Any]:
        """Return the number of runs in flight, and of what has ended since the last call."""
        ended, self._ended = self._ended, Counter()
        at, in_flight = iso(self._clock.now()), self.in_flight()
        return {"at": at, "node": self._node, "in_flight": in_flight, "ended": dict(ended)}

    def run_ended(self, result: AttemptResult) -> None:
        """Publish the end of an attempt."""
        attempt = result.attempt
        started_at = attempt.started_at or None
        self._ended[result.outcome] += 1
        fields: dict[str, Any] = {"service": attempt.job.service, "cid": result.cid}
        if attempt.job_id:
            fields |= {"job_id": attempt.job_id, "job_name": attempt.job.name}
            fields |= {"run": attempt.run_number, "slot": iso(attempt.slot)}
            fields |= {"attempt": attempt.attempt_number, "kind": attempt.kind}
        is_done = result.next_step.outcome is not None
        fields |= {
            "node": self._node,
            "started_iso": iso(started_at) if started_at is not None else None,
            "ended_iso": iso(result.finished_at),
            "outcome": result.outcome,
            "duration_ms": (result.finished_at - (started_at or result.finished_at)) / 1000,
            "state": "done" if is_done else "waiting",
        }
        self._events.publish("run-ended", fields)

    def claimed(self, claimed: ClaimResult) -> None:
        """Publish slots without a run, pauses that end, and next slots of jobs that get a run."""
        for job_id, job, entry in claimed.decided:
            self._ended[entry.outcome] += entry.count
            self._events.publish("slot-decided", {**_of(job_id, job), **_entry(entry)})
        is_asked = self._events.is_asked_for("next")
        due = {row[0]: row[1] for row in claimed.timers} if is_asked or claimed.resumed else {}
        for each in claimed.resumed:
            self.job_changed(
                "resumed",
                each.id,
                each.job,
                version=each.version,
                who=SYSTEM,
                next_at=due.get(each.id),
                why=_PAUSE_ENDED,
            )
        if not is_asked:
            return
        for job_id, job in {each.job_id: each.job for each in claimed.attempts}.items():
            next_at = due.get(job_id)
            self._events.publish("next", {**_of(job_id, job), "next_utc": _iso_or_none(next_at)})

    def job_changed(
        self,
        what: What,
        job_id: int,
        job: Job,
        *,
        version: int,
        who: str,
        next_at: Instant | None = None,
        why: str = "",
    ) -> None:
        """Publish the change of a job."""
        fields = {"version": version, "what": what, "who": who, "next_utc": _iso_or_none(next_at)}
        if why:
            fields["why"] = why
        self._events.publish("job-changed", {**_of(job_id, job), **fields})

    def jobs_changed(self, what: What, count: int, who: str) -> None:
        """Publish that many jobs have changed together."""
        self._events.publish("jobs-changed", {"what": what, "count": count, "who": who})


def _of(job_id: int, job: Job) -> dict[str, Any]:
    return {"job_id": job_id, "job_name": job.name, "service": job.service}


def _entry(entry: Entry) -> dict[str, Any]:
    first, last = iso(entry.first), iso(entry.last)
    return {
        "outcome": entry.outcome,
        "first_iso": first,
        "last_iso": last,
        "count": entry.count,
        "reason": entry.reason,
    }


def _iso_or_none(instant: Instant | None) -> str | None:
    return None if instant is None else iso(instant)


def iso(instant: Instant) -> str:
    """Return the instant as ISO 8601 in UTC, with the offset."""
    return to_datetime(instant).isoformat()


async def _no_troubles() -> Mapping[str, str]:
    return {}


def readiness(
    scheduler: Scheduler,
    store_trouble: Callable[[], str],
    wanted: bool,
    resource_troubles: Callable[[], Awaitable[Mapping[str, str]]] = _no_troubles,
) -> Readiness:
    """Return a function that lists why the store or the scheduler cannot take work.

    Args:
        scheduler: the scheduler.
        store_trouble: returns the problem of the store, or an empty text.
        wanted: whether the scheduler is enabled in the settings.
        resource_troubles: returns the reasons for which resources cannot be used.
    """

    async def reasons() -> Mapping[str, str]:
        found = {**await resource_troubles()}
        if trouble := store_trouble():
            found["store"] = trouble
        if wanted and not scheduler.is_running:
            found["scheduler"] = "not running"
        elif trouble := scheduler.trouble:
            found["scheduler"] = trouble
        return found

    return reasons


def warnings(
    store_warning: Callable[[], str], clock_warning: Callable[[], str]
) -> Callable[[], Mapping[str, str]]:
    """Return a function that lists what to look at, though the server can take work."""

    def found() -> Mapping[str, str]:
        texts = {"store": store_warning(), "clock": clock_warning()}
        return {part: text for part, text in texts.items() if text}

    return found
