"""Values of planning: ``JobState`` goes in, ``JobPlan`` comes out. All frozen."""

from typing import Literal

import msgspec

from zato_lite.timetable.job import Instant, Job

EntryOutcome = Literal["missed", "excluded", "paused", "skipped_already_in_flight"]


class Start(msgspec.Struct, frozen=True, gc=False):
    """A slot that gets a run: immediately, or ``queued`` behind the job's run in flight."""

    slot: Instant
    queued: bool = False


class Entry(msgspec.Struct, frozen=True, gc=False):
    """A ledger entry: adjacent slots without a run, with one outcome and one reason.

    Attributes:
        first, last: the first and the last such slot.
        count: the number of slots.
        reason: a sentence for people: "run 812 was still in flight", "coalesced into …".
    """

    outcome: EntryOutcome
    first: Instant
    last: Instant
    count: int
    reason: str = ""


class JobState(msgspec.Struct, frozen=True, gc=False):
    """A job as the store knows it at the time of planning.

    Attributes:
        id: the job's id; seeds jitter.
        cursor: every slot at or before it is accounted for.
        started: scheduled slots that have had a run, for ``repeats``.
        in_flight: the job's runs in flight. queued: the runs that wait behind them.
        run_number: of a run in flight, for an entry's reason; 0 if not known.
    """

    id: int
    job: Job
    cursor: Instant
    started: int = 0
    in_flight: int = 0
    queued: int = 0
    run_number: int = 0


class JobPlan(msgspec.Struct, frozen=True, gc=False):
    """Everything that happens to one job at one instant; the store writes it in one transaction.

    Attributes:
        starts: slots that get a run, oldest first.
        entries: slots that get none.
        cursor, started: the new values of the state's.
        next_at: the next planning time: the next slot with its jitter, or the next step of a
            catch-up; None if no slot will be due as things are.
        cancel_running: the runs in flight are cancelled before the starts start.
        job: the new definition if the plan changed it (skips used up, a pause ended), or None.
    """

    starts: tuple[Start, ...]
    entries: tuple[Entry, ...]
    cursor: Instant
    started: int
    next_at: Instant | None
    cancel_running: bool = False
    job: Job | None = None


class Downtime(msgspec.Struct, frozen=True):
    """A period in which no node could run anything, as far as is known."""

    first: Instant
    last: Instant
