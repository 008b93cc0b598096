"""One attempt in the air: its invocation, its lines, its deadline, and what came of it."""

import logging
import traceback
from asyncio import Task, TimerHandle
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

import msgspec

from zato_lite.clock import to_datetime
from zato_lite.redaction import redacted
from zato_lite.service.message import Invocation, JobContext, Outcome
from zato_lite.service.payload import payload_of
from zato_lite.store.jobs import job_type
from zato_lite.store.rows import LogLine
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.timetable.job import Instant
from zato_lite.timetable.outcome import AttemptOutcome, after_shutdown, next_step
from zato_lite.wire import encode

DEFAULT_TIMEOUT_MS = 3_600_000
MOST_LINES = 1_000
FIRST_ATTEMPTS = 5
FEWER_LINES = 100
"""So many lines are kept of an attempt after the first ones: a run may have a thousand."""

LONGEST_LINE = 8_000
LONGEST_ERROR = 20_000
LARGEST_RESULT = 1_048_576

STOPPED = "the server stopped before it had ended"
CUT_OFF = "cut off: its task was cancelled by nobody who may, as by a service that cancels all"

Verdict = Literal["timeout", "cancelled", "stopped"]
"""Its time was up, somebody wanted it to end, or the scheduler stops."""


class RunningAttempt(msgspec.Struct, gc=False):
    """An attempt of a run, from its start until it is settled.

    Attributes:
        task: runs the service; None before and after, so that no circle is left behind.
        timer: the deadline, and then the end of all patience.
        verdict: why it was cancelled; None if it was not.
    """

    attempt: ClaimedAttempt
    lines: list[LogLine] | None = None
    task: Task[None] | None = None
    timer: TimerHandle | None = None
    verdict: Verdict | None = None
    is_closed: bool = False
    dropped: int = 0

    @property
    def timeout_ms(self) -> int:
        """Milliseconds that the attempt may take."""
        return self.attempt.job.max_execution_time_ms or DEFAULT_TIMEOUT_MS

    def invocation(self) -> Invocation:
        """What the service is to be invoked with."""
        attempt = self.attempt
        job = attempt.job
        extra = job.extra
        return Invocation(
            job.service,
            payload_of(extra) if extra else None,
            raw=extra,
            cid=attempt.cid,
            channel="async" if attempt.kind == "async" else "scheduler",
            job=context_of(attempt) if attempt.job_id else None,
            sink=self.keep,
            until=attempt.started_at + self.timeout_ms * 1000,
        )

    def keep(self, record: logging.LogRecord) -> None:
        """Keep a line that was logged, as long as there is room."""
        if self.lines is None:
            self.lines = []
        if len(self.lines) >= self._most_lines:
            self.dropped += 1
            return
        line = (int(record.created * 1e6), record.levelname.lower(), _message(record))
        self.lines.append(line)

    @property
    def _most_lines(self) -> int:
        return MOST_LINES if self.attempt.attempt_number <= FIRST_ATTEMPTS else FEWER_LINES

    def stop(self, verdict: Verdict) -> None:
        """Cancel the service; whatever it says from now on comes too late."""
        if self.verdict is None:
            self.verdict = verdict
            if self.task is not None:
                self.task.cancel()

    def ended(self, outcome: Outcome | None, now: int) -> AttemptResult:
        """What came of the attempt; ``None`` is the outcome of one that was cut off."""
        attempt = self.attempt
        word, error, result = self._told(outcome)
        if self.verdict == "stopped":
            attempt.shutdowns += 1
            settled = after_shutdown(attempt.job, now)
        else:
            settled = next_step(
                attempt.job,
                word,
                attempt.counted_attempts,
                attempt.crashes,
                0,
                now,
                job_id=attempt.job_id,
                slot=attempt.slot,
            )
        if settled.is_quarantined:
            error = f"quarantined after {attempt.crashes} times: {error}"
        cid = attempt.cid if outcome is None else outcome.cid
        return AttemptResult(
            attempt, settled, word, now, error, result, self._kept_lines(now), cid
        )

    def _told(self, outcome: Outcome | None) -> tuple[AttemptOutcome, str | None, str | None]:
        if self.verdict == "timeout":
            return "timeout", f"exceeded max_execution_time_ms={self.timeout_ms}", None
        if self.verdict is not None:
            return "cancelled", STOPPED if self.verdict == "stopped" else None, None
        if outcome is None:
            self.attempt.crashes += 1
            return "lost", CUT_OFF, None
        if outcome.error is not None:
            word: AttemptOutcome = "timeout" if outcome.is_timeout else "error"
            return word, _trace(outcome.error), None
        if outcome.payload is None:
            return "ok", None, None
        return _kept(outcome.payload)

    def _kept_lines(self, now: int) -> str | None:
        if self.lines is None:
            return None
        if self.dropped:
            words = f"{self.dropped} more lines were left out"
            self.lines.append((now, "system", words))
        return msgspec.json.encode(self.lines).decode()


def context_of(attempt: ClaimedAttempt) -> JobContext:
    """What the service is told of the job and the run."""
    return JobContext(
        attempt.job_id,
        attempt.job.name,
        attempt.run_number,
        attempt.run_id,
        _moment(attempt.slot),
        attempt.attempt_number,
        attempt.token,
        job_type(attempt.job),
    )


@lru_cache(maxsize=256)
def _moment(slot: Instant) -> datetime:
    """The same for all that are due together."""
    return to_datetime(slot)


def _kept(payload: Any) -> tuple[AttemptOutcome, str | None, str | None]:
    """The result as it is kept, without secrets; one that has no JSON form is an error.

    So is one of which there is too much.
    """
    try:
        text = encode(payload, _plain)
    except Exception as error:  # noqa: BLE001 - whatever a payload's own code may raise
        return "error", _sound(f"the result has no JSON form: {error}"), None
    if len(text) > LARGEST_RESULT:
        words = f"the result is {len(text)} bytes, and {LARGEST_RESULT} are kept at most"
        return "error", words, None
    return "ok", None, redacted(text.decode())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return msgspec.to_builtins(value)


def _message(record: logging.LogRecord) -> str:
    try:
        text = record.getMessage()
    except Exception:  # noqa: BLE001 - a line with the wrong arguments is the service's own
        text = str(record.msg)
    if record.exc_info:
        text += "\n" + "".join(traceback.format_exception(*record.exc_info))
    return _sound(redacted(text)[:LONGEST_LINE])


def _sound(text: str) -> str:
    """Without halves of characters, which no file can hold: some names of files have them."""
    return text.encode("utf-8", "backslashreplace").decode()


def _trace(error: BaseException) -> str:
    try:
        text = "".join(traceback.format_exception(error))
    except Exception:  # noqa: BLE001 - an exception may break its own words
        text = type(error).__name__
    text = redacted(text)
    return _sound(text if len(text) <= LONGEST_ERROR else "…" + text[-LONGEST_ERROR:])
