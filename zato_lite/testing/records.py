"""Records for assertions: runs with their attempts, and slots without a run."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec

from zato_lite.clock import to_datetime
from zato_lite.store.rows import AttemptRow, LedgerRow, RunRow
from zato_lite.wire import decode


class Attempt(msgspec.Struct, frozen=True):
    """An attempt of a run; ``lost`` is the outcome of one that its process did not survive."""

    number: int
    outcome: str
    error: str | None = None


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """A run of a job, or of ``invoke_async``.

    Attributes:
        job: the name of its job; empty without one.
        number: within its job, from 1.
        slot: the time at which it was due.
        outcome: of its latest attempt; ``running`` until the run is done.
        attempts: all of them, oldest first.
        crashes: the number of processes that died during the run.
        result: the answer of the service.
    """

    job: str
    service: str
    number: int
    slot: datetime
    outcome: str
    attempts: tuple[Attempt, ...]
    crashes: int = 0
    result: Any = None
    error: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class LedgerEntry(msgspec.Struct, frozen=True, kw_only=True):
    """Adjacent slots of a job that got no run, and the reason.

    Attributes:
        first, last: the first and the last of these slots.
    """

    job: str
    first: datetime
    last: datetime
    count: int
    outcome: str
    reason: str


def run_of(row: RunRow, earlier: Sequence[AttemptRow]) -> Run:
    """Return a run with its attempts."""
    attempts = [Attempt(each.attempt, each.outcome, each.error) for each in earlier]
    attempts.append(Attempt(row.attempt, row.outcome, row.error))
    return Run(
        job=row.job_name if row.job_id else "",
        service=row.service,
        number=row.number,
        slot=to_datetime(row.slot),
        outcome=row.outcome,
        attempts=tuple(attempts),
        crashes=row.crashes,
        result=None if row.result is None else decode(row.result),
        error=row.error,
        started_at=None if row.started_at is None else to_datetime(row.started_at),
        finished_at=None if row.finished_at is None else to_datetime(row.finished_at),
    )


def entry_of(row: LedgerRow) -> LedgerEntry:
    """Return an entry of the ledger."""
    return LedgerEntry(
        job=row.job_name,
        first=to_datetime(row.first),
        last=to_datetime(row.last),
        count=row.count,
        outcome=row.outcome,
        reason=row.reason,
    )
