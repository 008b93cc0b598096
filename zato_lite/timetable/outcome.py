"""Outcome policies: what follows an attempt: the run's end, a retry, callbacks, a pause."""

from typing import Literal, NamedTuple

import msgspec

from zato_lite.timetable.jitter import mix
from zato_lite.timetable.job import Instant, Job

AttemptOutcome = Literal["ok", "error", "timeout", "cancelled", "lost", "denied"]


class Callback(NamedTuple):
    """A service to invoke, or a job to execute, because a run has ended."""

    kind: Literal["service", "job"]
    name: str


class NextStep(msgspec.Struct, frozen=True, gc=False):
    """The consequences of an attempt; the store writes them in one transaction.

    Attributes:
        outcome: the run's final outcome; None if another attempt follows.
        retry_at: the instant of the next attempt; None without one.
        callbacks: in the order in which they start.
        failures: failed runs of the job in a row, including this one.
        pause_note: the note with which the job must be paused; None if it stays active.
        is_quarantined: the process died during the run too often for another attempt.
    """

    outcome: AttemptOutcome | None
    retry_at: Instant | None = None
    callbacks: tuple[Callback, ...] = ()
    failures: int = 0
    pause_note: str | None = None
    is_quarantined: bool = False


_OK = NextStep("ok")


def next_step(  # noqa: PLR0917 - the columns of a run, in their order
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
    """Return the consequences of attempt number ``attempt`` (from 1) of a run.

    ``crashes`` is the number of processes that died during the run, including this attempt's. A
    cancelled run counts as neither success nor failure and causes no callback, because a caller
    asked for the cancellation. A denied run is a failure without a further attempt.
    """
    if outcome == "ok":
        if job.on_success_service is None and job.on_success_job is None:
            return _OK
        return NextStep("ok", callbacks=_callbacks(job.on_success_service, job.on_success_job))
    if outcome == "cancelled":
        return NextStep("cancelled", failures=failures_in_a_row)
    delay = _delay_after(job, outcome, attempt, crashes, job_id, slot)
    if delay is not None:
        return NextStep(None, now + delay, failures=failures_in_a_row)
    is_quarantined = outcome == "lost" and job.on_crash == "rerun"
    return _failed(job, outcome, failures_in_a_row + 1, crashes, is_quarantined=is_quarantined)


def after_shutdown(job: Job, now: Instant) -> NextStep:
    """Return the consequences of a shutdown that ended an attempt.

    Another attempt follows if one would follow a crash; the shutdown counts as neither a crash
    nor a failure.
    """
    return NextStep(None, now) if job.on_crash == "rerun" else NextStep("cancelled")


def retry_delay(job: Job, attempt: int, job_id: int = 0, slot: Instant = 0) -> int:
    """Return the microseconds between the end of attempt ``attempt`` and the next attempt."""
    try:
        delay = job.retry_delay_ms * job.retry_backoff ** (attempt - 1)
    except OverflowError:
        delay = float(job.retry_max_delay_ms)
    delay = min(delay, job.retry_max_delay_ms)
    if job.retry_jitter:
        share = mix(job_id, slot, attempt) / 2**63 - 1
        delay *= 1 + job.retry_jitter * share
    return max(int(delay * 1_000), 0)


def _delay_after(  # noqa: PLR0917 - as above
    job: Job, outcome: AttemptOutcome, attempt: int, crashes: int, job_id: int, slot: Instant
) -> int | None:
    """Return the microseconds until the next attempt, or None without one."""
    if outcome == "denied":
        return None
    if outcome == "lost":
        return 0 if job.on_crash == "rerun" and crashes < job.max_crashes else None
    return retry_delay(job, attempt, job_id, slot) if attempt <= job.max_retries else None


def _failed(
    job: Job, outcome: AttemptOutcome, failures: int, crashes: int, *, is_quarantined: bool
) -> NextStep:
    """Return the consequences of a failed run without a further attempt."""
    limit = job.pause_after_failures
    note = None
    if limit is not None and failures >= limit:
        note = f"paused automatically after {failures} failed run{'s' * (failures > 1)} in a row"
    if is_quarantined:
        times = f"{crashes} crash{'es' * (crashes != 1)}"
        note = f"paused automatically: a run was quarantined after {times}"
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
