"""Running attempt: its invocation, captured log lines, deadline and result."""

import logging
from asyncio import Task, TimerHandle
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from zato_lite.clock import to_datetime
from zato_lite.errors import DeniedError
from zato_lite.log_values import escaped, message_of, traceback_of
from zato_lite.redaction import redacted
from zato_lite.service.message import SYSTEM, Caller, Invocation, JobContext, Opener, Outcome
from zato_lite.service.payload import payload_of
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt
from zato_lite.store.jobs import job_type
from zato_lite.store.rows import LogLine
from zato_lite.store.run_cid import RunCids
from zato_lite.timetable.job import Instant
from zato_lite.timetable.outcome import AttemptOutcome, after_shutdown, next_step
from zato_lite.wire import encode

DEFAULT_TIMEOUT_MS = 3_600_000
MAX_LINES = 1_000
FIRST_ATTEMPTS = 5
MAX_LINES_LATER = 100
"""Log lines that are stored of an attempt after the first ones; a run may have 1,000 attempts."""

MAX_LINE_LENGTH = 8_000
MAX_ERROR_LENGTH = 20_000
MAX_RESULT_BYTES = 1_048_576

SHUT_DOWN = "the server shut down before the run had ended"
TASK_CANCELLED = "task was cancelled by other code in this process; the run counts as crashed"

CancelReason = Literal["timeout", "cancelled", "stopped"]
"""Why an attempt was cancelled: timeout, request, shutdown."""


_NO_CIDS = RunCids()


class RunningAttempt(msgspec.Struct, gc=False):
    """An attempt from its start until its result exists.

    Attributes:
        task: the task of the service once it is suspended; None afterwards, because a reference
            from both sides would be a cycle for the garbage collector.
        timer: the deadline of the attempt; after it, of its cancellation.
        cancel_reason: None unless the attempt was cancelled.
        is_closed: True once the result exists; a later one is ignored.
        dropped: number of log lines beyond the limit.
    """

    attempt: ClaimedAttempt
    lines: list[LogLine] | None = None
    task: Task[None] | None = None
    timer: TimerHandle | None = None
    cancel_reason: CancelReason | None = None
    is_closed: bool = False
    dropped: int = 0

    @property
    def timeout_ms(self) -> int:
        """Maximum duration of the attempt in milliseconds."""
        return self.attempt.job.max_execution_time_ms or DEFAULT_TIMEOUT_MS

    def invocation(
        self, caller: Caller = SYSTEM, opener: Opener | None = None, cids: RunCids = _NO_CIDS
    ) -> Invocation:
        """Return the invocation of the job's service for this attempt."""
        attempt = self.attempt
        job = attempt.job
        extra = job.extra
        return Invocation(
            job.service,
            payload_of(extra) if extra else None,
            raw=extra,
            cid=attempt.cid or cids.of(attempt.token) or "",
            channel="async" if attempt.kind == "async" else "scheduler",
            caller=caller,
            job=_job_context(attempt, opener) if attempt.job_id else None,
            sink=self.capture,
            until=attempt.started_at + self.timeout_ms * 1000,
            opener=opener,
        )

    def capture(self, record: logging.LogRecord) -> None:
        """Store a log record of the service, up to the limit of lines."""
        if self.lines is None:
            self.lines = []
        is_first = self.attempt.attempt_number <= FIRST_ATTEMPTS
        if len(self.lines) >= (MAX_LINES if is_first else MAX_LINES_LATER):
            self.dropped += 1
            return
        line = (int(record.created * 1e6), record.levelname.lower(), _message(record))
        self.lines.append(line)

    def cancel(self, reason: CancelReason) -> None:
        """Cancel the service; its result is ignored from now on."""
        if self.cancel_reason is None:
            self.cancel_reason = reason
            if self.task is not None:
                self.task.cancel()

    def result(self, outcome: Outcome | None, now: int) -> AttemptResult:
        """Return the attempt's result; ``None`` stands for a service that was cancelled."""
        attempt = self.attempt
        word, error, result = self._outcome_of(outcome)
        if self.cancel_reason == "stopped":
            attempt.shutdowns += 1
            following = after_shutdown(attempt.job, now)
        else:
            following = next_step(
                attempt.job,
                word,
                attempt.counted_attempts,
                attempt.crashes,
                0,
                now,
                job_id=attempt.job_id,
                slot=attempt.slot,
            )
        if following.is_quarantined:
            error = f"quarantined after {attempt.crashes} crashes: {error}"
        cid = attempt.cid if outcome is None else outcome.cid
        lines = None if self.lines is None else self._encoded_lines(self.lines, now)
        return AttemptResult(attempt, following, word, now, error, result, lines, cid)

    def _outcome_of(
        self, outcome: Outcome | None
    ) -> tuple[AttemptOutcome, str | None, str | None]:
        """Return the outcome, the error and the encoded result."""
        if self.cancel_reason == "timeout":
            return "timeout", f"exceeded max_execution_time_ms={self.timeout_ms}", None
        if self.cancel_reason is not None:
            return "cancelled", SHUT_DOWN if self.cancel_reason == "stopped" else None, None
        if outcome is None:
            self.attempt.crashes += 1
            return "lost", TASK_CANCELLED, None
        if outcome.error is not None:
            return (*_failure(outcome.error, is_timeout=outcome.is_timeout), None)
        if outcome.payload is None:
            return "ok", None, None
        return _encoded_result(outcome.payload)

    def _encoded_lines(self, lines: list[LogLine], now: int) -> str:
        if self.dropped:
            lines.append((now, "system", f"{self.dropped} more lines were left out"))
        return msgspec.json.encode(lines).decode()


def _job_context(attempt: ClaimedAttempt, opener: Opener | None) -> JobContext:
    return JobContext(
        attempt.job_id,
        attempt.job.name,
        attempt.run_number,
        attempt.run_id,
        _slot_time(attempt.slot),
        attempt.attempt_number,
        attempt.token,
        job_type(attempt.job),
        attempt.kind,
        opener,
    )


@lru_cache(maxsize=256)
def _slot_time(slot: Instant) -> datetime:
    """Return a slot as a datetime; cached, because many jobs share a slot."""
    return to_datetime(slot)


def _encoded_result(payload: Any) -> tuple[AttemptOutcome, str | None, str | None]:
    """Return outcome, error and the result as JSON without secrets; too large is an error."""
    try:
        text = encode(payload, _plain)
    except Exception as error:  # noqa: BLE001 - a payload's own code may raise anything
        return "error", _storable(f"result cannot be written as JSON: {error}"), None
    if len(text) > MAX_RESULT_BYTES:
        words = f"result too large: {len(text)} bytes; at most {MAX_RESULT_BYTES} are stored"
        return "error", words, None
    return "ok", None, redacted(text.decode())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return msgspec.to_builtins(value)


def _message(record: logging.LogRecord) -> str:
    text = message_of(record)
    if record.exc_info:
        text += "\n" + traceback_of(*record.exc_info)
    return _without_null(text[:MAX_LINE_LENGTH])


def _storable(text: str) -> str:
    """Escape lone surrogates and null characters, which not every store can keep."""
    return _without_null(escaped(text))


def _without_null(text: str) -> str:
    return text.replace("\0", "\\x00")


def _failure(error: BaseException, *, is_timeout: bool) -> tuple[AttemptOutcome, str]:
    if isinstance(error, DeniedError):
        return "denied", str(error)
    return "timeout" if is_timeout else "error", _traceback(error)


def _traceback(error: BaseException) -> str:
    text = traceback_of(type(error), error, error.__traceback__) + "\n"
    return _storable(text if len(text) <= MAX_ERROR_LENGTH else "…" + text[-MAX_ERROR_LENGTH:])
