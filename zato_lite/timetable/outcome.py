"""From the outcome of an attempt to what follows: the end, a retry, callbacks, a pause."""

from typing import Literal, NamedTuple

import msgspec

from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.plan import spread

AttemptOutcome = Literal["ok", "error", "timeout", "cancelled", "lost"]


class Callback(NamedTuple):
    """Who is to be told of a run's end: a service is invoked, a job is executed."""

    kind: Literal["service", "job"]
    name: str


class NextStep(msgspec.Struct, frozen=True, gc=False):
    """What follows from an attempt; the store writes it in one transaction.

    Attributes:
        outcome: the run's final one; None when there is another attempt.
        retry_at: when the next attempt is due; None when there is none.
        callbacks: in the order in which they are to be fired.
        failures: failed runs of the job in a row, with this one.
        pause_note: the job is to be paused, with these words; None: it is not.
        is_quarantined: the run killed its process too often to be tried again.
    """

    outcome: AttemptOutcome | None
    retry_at: Instant | None = None
    callbacks: tuple[Callback, ...] = ()
    failures: int = 0
    pause_note: str | None = None
    is_quarantined: bool = False


_OK = NextStep("ok")


def next_step(  # noqa: PLR0917 - what is known of a run, in the order of a row
    job: Job,
    outcome: AttemptOutcome,
    attempt: int,
    crashes: int,
    failures_in_a_row: int,
    now: Instant,
    *,
    job_id: int = 0,
    slot: Instant = 0,
) -> NextStep:
    """What follows from attempt number ``attempt`` (from 1) of a run.

    ``crashes`` counts how often the run's process died, this time included. Whoever cancels a run
    knows of it: that is no failure, and nobody is called back.
    """
    if outcome == "ok":
        if job.on_success_service is None and job.on_success_job is None:
            return _OK
        return NextStep("ok", callbacks=_callbacks(job.on_success_service, job.on_success_job))
    if outcome == "cancelled":
        return NextStep("cancelled", failures=failures_in_a_row)
    delay = _next_try(job, outcome, attempt, crashes, job_id, slot)
    if delay is not None:
        return NextStep(None, now + delay, failures=failures_in_a_row)
    is_quarantined = outcome == "lost" and job.on_crash == "rerun"
    return _failed(job, outcome, failures_in_a_row + 1, is_quarantined=is_quarantined)


def cut_off(job: Job, now: Instant) -> NextStep:
    """What follows when the server stops before an attempt has ended.

    Nobody failed and nothing crashed: where a crash is followed by another attempt, so is this.
    """
    return NextStep(None, now) if job.on_crash == "rerun" else NextStep("cancelled")


def retry_delay(job: Job, attempt: int, job_id: int = 0, slot: Instant = 0) -> int:
    """Microseconds from the end of attempt number ``attempt`` to the start of the next one."""
    try:
        delay = job.retry_delay_ms * job.retry_backoff ** (attempt - 1)
    except OverflowError:
        delay = float(job.retry_max_delay_ms)
    delay = min(delay, job.retry_max_delay_ms)
    if job.retry_jitter:
        share = spread(job_id, slot, attempt) / 2**63 - 1
        delay *= 1 + job.retry_jitter * share
    return max(int(delay * 1_000), 0)


def _next_try(  # noqa: PLR0917 - as above
    job: Job, outcome: AttemptOutcome, attempt: int, crashes: int, job_id: int, slot: Instant
) -> int | None:
    """Microseconds until the next attempt, or None when there is none."""
    if outcome == "lost":
        return 0 if job.on_crash == "rerun" and crashes < job.max_crashes else None
    return retry_delay(job, attempt, job_id, slot) if attempt <= job.max_retries else None


def _failed(job: Job, outcome: AttemptOutcome, failures: int, *, is_quarantined: bool) -> NextStep:
    """The end of a run that did not work."""
    most = job.pause_after_failures
    note = None
    if most is not None and failures >= most:
        note = f"paused by itself after {failures} failed run{'s' * (failures > 1)} in a row"
    return NextStep(
        outcome,
        callbacks=_callbacks(job.on_error_service, job.on_error_job),
        failures=failures,
        pause_note=note,
        is_quarantined=is_quarantined,
    )


def _callbacks(service: str | None, job: str | None) -> tuple[Callback, ...]:
    callbacks: list[Callback] = []
    if service is not None:
        callbacks.append(Callback("service", service))
    if job is not None:
        callbacks.append(Callback("job", job))
    return tuple(callbacks)
