"""Events of job runs, and the readiness of a server."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from zato_lite.errors import DeniedError
from zato_lite.http.endpoints.monitoring import Readiness
from zato_lite.http.events import EventLog
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.message import Invocation, Outcome

Run = Callable[[Invocation], Awaitable[Outcome]]


def with_events(run: Run, events: EventLog) -> Run:
    """Return ``run`` with an event at the start and the end of each run of a job.

    Without a subscriber it costs two attributes.
    """

    def run_or_publish(invocation: Invocation) -> Awaitable[Outcome]:
        is_wanted = events.is_wanted or events.forward is not None
        return run_and_publish(invocation) if is_wanted else run(invocation)

    async def run_and_publish(invocation: Invocation) -> Outcome:
        fields = _fields(invocation)
        events.publish("run-started", fields)
        outcome = await run(invocation)
        result = {"outcome": _outcome_word(outcome), "duration_ms": int(outcome.seconds * 1000)}
        events.publish("run-ended", fields | result)
        return outcome

    return run_or_publish


def readiness(scheduler: Scheduler, store_trouble: Callable[[], str], wanted: bool) -> Readiness:
    """Return a function that lists why the store or the scheduler cannot take work.

    Args:
        scheduler: the scheduler.
        store_trouble: returns the problem of the store, or an empty text.
        wanted: whether the scheduler is enabled in the settings.
    """

    async def reasons() -> Mapping[str, str]:
        found = {}
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


def _fields(invocation: Invocation) -> dict[str, Any]:
    job = invocation.job
    fields: dict[str, Any] = {"service": invocation.service, "cid": invocation.cid}
    if job is not None:
        fields |= {"job_id": job.id, "job_name": job.name, "run": job.run, "slot": job.slot}
        fields |= {"attempt": job.attempt}
    return fields


def _outcome_word(outcome: Outcome) -> str:
    if outcome.is_timeout:
        return "timeout"
    if isinstance(outcome.error, DeniedError):
        return "denied"
    if outcome.is_cancelled:
        return "cancelled"
    return "ok" if outcome.error is None else "error"
