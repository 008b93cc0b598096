"""Runs: an attempt that is to be made, and one that has come to its end."""

import msgspec

from zato_lite.store.rows import RunKind
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.outcome import AttemptOutcome, NextStep

INSERT = (
    "INSERT INTO run (id, job_id, number, slot, kind, state, node, token, attempt, crashes,"
    " claimed_at) VALUES {rows}"
)


class ClaimedAttempt(msgspec.Struct, kw_only=True, gc=False):
    """An attempt of a run that is this node's to make.

    Attributes:
        start_at: when it may start, at the earliest.
        queued: it waits until no other run of its job is in flight.
        needs_start_record: it is kept as one that was not begun, until it is.
        shutdowns: how many attempts of the run a stop of the server cut off.
        started_at: when its service was called; 0 before.
    """

    run_id: int
    job_id: int
    run_number: int
    slot: Instant
    start_at: Instant
    token: int
    job: Job
    attempt_number: int = 1
    crashes: int = 0
    shutdowns: int = 0
    kind: RunKind = "scheduled"
    queued: bool = False
    needs_start_record: bool = False
    cid: str = ""
    started_at: Instant = 0

    @property
    def counted_attempts(self) -> int:
        """How many attempts count against the job's retries: crashes and stops take none away."""
        return self.attempt_number - self.crashes - self.shutdowns


class AttemptResult(msgspec.Struct, frozen=True, gc=False):
    """An attempt that has come to its end, or has come to nothing.

    Attributes:
        next_step: what the timetable makes of it.
        lines: what was logged, as JSON; None for nothing.
        cid: of its invocation, if it came to one.
    """

    attempt: ClaimedAttempt
    next_step: NextStep
    outcome: AttemptOutcome
    finished_at: Instant
    error: str | None = None
    result: str | None = None
    lines: str | None = None
    cid: str = ""
