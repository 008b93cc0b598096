"""From a job's state and a moment to everything that should happen to its slots.

Every slot of a definition is accounted for exactly once: by a run or by a ledger entry.
"""

from collections.abc import Mapping
from typing import Literal

import msgspec

from zato_lite.timetable.job import Instant, Job

EntryOutcome = Literal["missed", "excluded", "paused", "skipped_already_in_flight"]


class Start(msgspec.Struct, frozen=True):
    """One slot that gets a run: at once, or ``queued`` behind the job's run in flight."""

    slot: Instant
    queued: bool = False


class Entry(msgspec.Struct, frozen=True):
    """Adjacent slots that got no run, with one outcome and one reason.

    Attributes:
        first, last: the first and the last such slot.
        count: how many there are.
        reason: in words, for a person: "run 812 was still in flight", "coalesced into …".
    """

    outcome: EntryOutcome
    first: Instant
    last: Instant
    count: int
    reason: str = ""


class JobState(msgspec.Struct, frozen=True):
    """What the store knows of a job when it is asked about.

    Attributes:
        id: the job's id; seeds jitter.
        cursor: every slot at or before it is accounted for already.
        started: scheduled slots that were given a run so far, for ``repeats``.
        in_flight: how many of its runs are in flight; ``queued``: how many wait behind them.
    """

    id: int
    job: Job
    cursor: Instant
    started: int = 0
    in_flight: int = 0
    queued: int = 0


class JobPlan(msgspec.Struct, frozen=True):
    """All that happens to one job at one moment; the store writes it in one transaction.

    Attributes:
        starts: slots that get a run, oldest first.
        entries: slots that get none.
        cursor, started: the new ones.
        next_at: when to ask again: the next slot with its jitter, or the next step of a
            catch-up; None when nothing more will ever be due as things are.
        cancel_running: the runs in flight are to be cancelled before the starts start.
        job: the definition when the plan changed it (skips used up, a pause that ended), or None.
    """

    starts: tuple[Start, ...]
    entries: tuple[Entry, ...]
    cursor: Instant
    started: int
    next_at: Instant | None
    cancel_running: bool = False
    job: Job | None = None


def plan(state: JobState, now: Instant, calendars: Mapping[str, object]) -> JobPlan:
    """What is to happen to the slots of ``state`` in (cursor, now], and when to ask again."""
    raise NotImplementedError
