"""Attempt values that store and scheduler exchange: claimed before, a result after."""

from typing import NamedTuple

import msgspec

from zato_lite.store.rows import RunKind
from zato_lite.timetable.job import Instant, Job
from zato_lite.timetable.outcome import AttemptOutcome, NextStep


class ClaimedAttempt(msgspec.Struct, kw_only=True, gc=False):
    """An attempt that this node has claimed. The garbage collector does not track it.

    Attributes:
        start_at: the earliest instant of its start.
        queued: it waits until no other run of its job is in flight.
        needs_start_record: the store has it as not started, so that its start must be saved
            before its service is invoked; otherwise a crash would not be counted.
        alone: the number of its crashes in which it was the only suspect.
        shutdowns: the number of the run's other attempts that no error ended: a shutdown did, or
            a crash after their end.
        is_suspect: it starts apart from other suspects, as it may be what kills the process.
        was_hit: it was among the last to begin when a process died during it.
        path: the jobs whose callbacks led to this run.
        requested_by: the principal that asked for the run; empty if its slot did.
        started_at: the instant at which its service was invoked; 0 before.
        place: of its entry in the node's journal; 0 for none.
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
    alone: int = 0
    shutdowns: int = 0
    kind: RunKind = "scheduled"
    queued: bool = False
    needs_start_record: bool = False
    cid: str = ""
    is_suspect: bool = False
    was_hit: bool = False
    path: tuple[str, ...] = ()
    started_at: Instant = 0
    place: int = 0
    requested_by: str = ""

    @property
    def counted_attempts(self) -> int:
        """Return the number of attempts that count as retries: without crashes and shutdowns."""
        return self.attempt_number - self.crashes - self.shutdowns


class AttemptResult(msgspec.Struct, frozen=True, gc=False):
    """The result of an attempt that has ended or was withdrawn before its start.

    Attributes:
        next_step: its consequences.
        lines: the log lines as JSON; None if there are none.
        cid: the invocation's correlation id; empty if the service was not invoked.
    """

    attempt: ClaimedAttempt
    next_step: NextStep
    outcome: AttemptOutcome
    finished_at: Instant
    error: str | None = None
    result: str | None = None
    lines: str | None = None
    cid: str = ""


class StartedRuns(NamedTuple):
    """The runs that a node has started: only the node knows that, not the database.

    Attributes:
        node: the node's id. run_ids: its started runs, of the jobs in question.
    """

    node: int
    run_ids: frozenset[int]


NO_STARTED_RUNS = StartedRuns(0, frozenset())
"""For callers that are not a node: no claim is revoked."""
