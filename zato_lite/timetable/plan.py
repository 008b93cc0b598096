"""From a job's state and a moment to everything that should happen to its slots.

Every slot of a definition is accounted for exactly once: by a run or by a ledger entry.
"""

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import SECOND, Instant, Interval, Job, OneTime
from zato_lite.timetable.slots import (
    LOOK_AHEAD,
    Part,
    next_slot,
    own_calendar,
    parts,
    raw_part,
)
from zato_lite.timetable.trigger import next_after, previous_before
from zato_lite.timetable.zone import to_text

EntryOutcome = Literal["missed", "excluded", "paused", "skipped_already_in_flight"]

ON_TIME = 5 * SECOND
"""A slot is on time when it is planned within this of its due instant: a restart takes so long."""

STARTS_AT_ONCE = 1_000
"""So many runs at most are started or queued by one plan."""

MOST_QUEUED = 10_000
"""So many runs of one job wait at most; a catch-up waits when there are ``STARTS_AT_ONCE``."""

_PATIENCE = SECOND
_CATCH_UP_STEP = SECOND // 10
_DAY = 86_400 * SECOND


class Start(msgspec.Struct, frozen=True, gc=False):
    """One slot that gets a run: at once, or ``queued`` behind the job's run in flight."""

    slot: Instant
    queued: bool = False


class Entry(msgspec.Struct, frozen=True, gc=False):
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


class JobState(msgspec.Struct, frozen=True, gc=False):
    """What the store knows of a job when it is asked about.

    Attributes:
        id: the job's id; seeds jitter.
        cursor: every slot at or before it is accounted for already.
        started: scheduled slots that were given a run so far, for ``repeats``.
        in_flight: how many of its runs are in flight; ``queued``: how many wait behind them.
        run: number of a run in flight, for the words of an entry; 0 when not known.
    """

    id: int
    job: Job
    cursor: Instant
    started: int = 0
    in_flight: int = 0
    queued: int = 0
    run: int = 0


class JobPlan(msgspec.Struct, frozen=True, gc=False):
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


class Downtime(msgspec.Struct, frozen=True):
    """Time in which nobody could run anything, as far as is known."""

    first: Instant
    last: Instant


def plan(
    state: JobState,
    now: Instant,
    calendars: Mapping[str, Calendar],
    downtime: Downtime | None = None,
) -> JobPlan:
    """What is to happen to the slots of ``state`` in (cursor, now], and when to ask again."""
    job = state.job
    if (
        not job.is_active
        or state.in_flight
        or job.calendar is not None
        or job.jitter_ms
        or job.skip_next
        or job.repeats is not None
        or job.catch_up_window is not None
    ):
        return _Planner(state, now, calendars, downtime).plan()
    # What nearly all jobs are at nearly all times: one slot is due, and nothing is in its way.
    cursor, trigger = state.cursor, job.trigger
    if type(trigger) is Interval and cursor >= trigger.start and trigger.end is None:
        period = trigger.period
        on_grid = cursor + period - (cursor - trigger.start) % period
        slot: Instant | None = on_grid
        following: Instant | None = on_grid + period
    else:
        slot = next_after(trigger, cursor)
        following = None if slot is None else next_after(trigger, slot)
    if slot is None or slot > now:
        return JobPlan((), (), cursor, state.started, slot)
    if (following is None or following > now) and (
        slot + ON_TIME >= now or job.on_missed == "run_once"
    ):
        return JobPlan((Start(slot),), (), slot, state.started + 1, following)
    return _Planner(state, now, calendars, downtime).plan()


def first(
    job: Job, now: Instant, calendars: Mapping[str, Calendar] | None = None, job_id: int = 0
) -> tuple[Instant, Instant | None]:
    """The cursor and the next due instant of a job that is new, or has a new trigger.

    What lies before is not missed, as nobody had asked for it; nor does a job that starts just
    now run just now, or it would depend on a microsecond whether it does. Only a one-time job
    whose moment has come or passed is due at once.
    """
    start = job.trigger.start
    is_past = now >= start and not isinstance(job.trigger, OneTime)
    state = JobState(job_id, job, now if is_past else start - 1)
    return state.cursor, next_due(state, calendars or {})


def next_due(state: JobState, calendars: Mapping[str, Calendar]) -> Instant | None:
    """When the job is to be planned next, as it stands."""
    job = state.job
    if not job.is_active:
        return job.pause_until
    if job.repeats is not None and state.started >= job.repeats:
        return None
    calendar = own_calendar(job, calendars)
    slot = next_slot(job, calendar, state.cursor)
    if slot is not None:
        return slot + jitter(state.id, slot, job.jitter_ms)
    if calendar is None:
        return None
    # Nothing will run, but what is left is to be accounted for as excluded.
    if job.trigger.end is None:
        later = next_after(job.trigger, state.cursor)
        return None if later is None else max(later, state.cursor + LOOK_AHEAD * _DAY)
    last = previous_before(job.trigger, job.trigger.end)
    return last if last is not None and last > state.cursor else None


def resumed(
    state: JobState, now: Instant, calendars: Mapping[str, Calendar], reason: str = ""
) -> JobPlan:
    """The pause ends: its slots are accounted for as paused, and the job goes on after ``now``.

    A one-time job whose moment came in the pause runs now, unless it is to skip what it missed.
    """
    job = msgspec.structs.replace(state.job, is_active=True, pause_note=None, pause_until=None)
    entries: tuple[Entry, ...] = ()
    cursor = state.cursor
    if not (isinstance(job.trigger, OneTime) and job.on_missed != "skip") and not _is_over(state):
        part = raw_part(job.trigger, cursor, now)
        entries = () if part is None else (_entry("paused", part, reason or _paused(state.job)),)
        cursor = max(cursor, now)
    active = msgspec.structs.replace(state, job=job, cursor=cursor)
    return JobPlan((), entries, cursor, state.started, next_due(active, calendars), job=job)


def jitter(job_id: int, slot: Instant, jitter_ms: int) -> int:
    """Microseconds by which a slot's run is delayed: always the same for a job and a slot."""
    return spread(job_id, slot) % (jitter_ms * 1_000) if jitter_ms else 0


def spread(*numbers: int) -> int:
    """A number of 64 bits that looks like chance and is not (splitmix64)."""
    mixed = 0
    for number in numbers:
        mixed = (mixed ^ number) + 0x9E3779B97F4A7C15 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 30) * 0xBF58476D1CE4E5B9 & 0xFFFFFFFFFFFFFFFF
        mixed = (mixed ^ mixed >> 27) * 0x94D049BB133111EB & 0xFFFFFFFFFFFFFFFF
        mixed ^= mixed >> 31
    return mixed


class _Planner:
    """The long way: one plan in the making."""

    def __init__(
        self,
        state: JobState,
        now: Instant,
        calendars: Mapping[str, Calendar],
        downtime: Downtime | None,
    ) -> None:
        self._state, self._now, self._calendars, self._down = state, now, calendars, downtime
        self._job = state.job
        self._calendar = own_calendar(state.job, calendars)
        self._cursor = state.cursor
        self._starts: list[Start] = []
        self._alone: set[Instant] = set()
        self._entries: list[Entry] = []
        self._running, self._queued = state.in_flight, state.queued
        self._cancel = False
        self._ask_at: Instant | None = None

    def plan(self) -> JobPlan:
        """Account for what is due, as far as it may go at once."""
        if _is_over(self._state) or not self._wake():
            return self._done()
        until = self._due_until()
        if until > self._cursor:
            runnable: list[Part] = []
            for part in parts(self._job, self._calendar, self._cursor, until):
                if part.is_moved:
                    self._alone.add(part.first)
                if part.reason is None:
                    runnable.extend(self._after_skips(part))
                else:
                    self._entries.append(_entry("excluded", part, part.reason))
            self._cursor = until
            self._place(runnable)
        return self._done()

    def _wake(self) -> bool:
        """End a pause whose time has come; whether the job is active now."""
        if self._job.is_active:
            return True
        end = self._job.pause_until
        if end is None or end > self._now:
            return False
        over = resumed(msgspec.structs.replace(self._state, job=self._job), end - 1, {})
        self._entries.extend(over.entries)
        self._cursor, self._job = over.cursor, over.job or self._job
        return True

    def _due_until(self) -> Instant:
        """Up to which moment all slots are due, each with its jitter, none before an earlier."""
        job, now = self._job, self._now
        if not job.jitter_ms:
            return now
        until = max(now - job.jitter_ms * 1_000, self._cursor)
        for _ in range(STARTS_AT_ONCE):
            slot = next_slot(job, self._calendar, until)
            if slot is None or slot + jitter(self._state.id, slot, job.jitter_ms) > now:
                break
            until = slot
        return until

    def _after_skips(self, part: Part) -> Iterator[Part]:
        """What is left of a part when the slots to be skipped are taken from its beginning."""
        skips = self._job.skip_next
        if not skips:
            yield part
            return
        taken = min(skips, part.count)
        self._job = msgspec.structs.replace(self._job, skip_next=skips - taken)
        last, rest = part.last, None
        if taken < part.count:
            last = part.first
            for _ in range(taken - 1):
                last = next_after(self._job.trigger, last) or last
            rest = raw_part(self._job.trigger, last, part.last)
        self._entries.append(Entry("paused", part.first, last, taken, "skipped on request"))
        yield from () if rest is None else (rest,)

    def _place(self, runnable: list[Part]) -> None:
        if not runnable:
            return
        if self._job.on_missed == "run_all":
            self._run_all(runnable)
        else:
            self._run_last(runnable)

    def _run_last(self, runnable: list[Part]) -> None:
        """All that is due together gets one run, for the newest slot, if it is new enough."""
        job, slot = self._job, runnable[-1].last
        window = ON_TIME if job.on_missed == "skip" else _window(job)
        due = slot + jitter(self._state.id, slot, job.jitter_ms)
        if window is not None and self._now - due > window:
            self._entries.extend(_entry("missed", part, self._missed(part)) for part in runnable)
            return
        if refusal := self._start(slot, is_late=False):
            outcome: EntryOutcome = "skipped_already_in_flight"
            self._entries.extend(_entry(outcome, part, refusal) for part in runnable)
            return
        reason = f"coalesced into the run of {to_text(slot, job.trigger.timezone)}"
        for part in runnable:
            rest = part.without_last(job.trigger) if part is runnable[-1] else part
            if rest is not None:
                self._entries.append(_entry("missed", rest, reason + self._while_down(rest)))

    def _run_all(self, runnable: list[Part]) -> None:
        """Each slot gets a run, in order, as many at once as the rate and the queue allow."""
        job, budget = self._job, self._budget(runnable)
        for slot, too_old in self._each(runnable):
            if isinstance(too_old, Part):
                self._entries.append(_entry("missed", too_old, self._missed(too_old)))
                continue
            if budget <= 0 or (self._queued >= STARTS_AT_ONCE and job.on_overlap != "allow"):
                self._stop(slot - 1)
                return
            is_late = self._now - slot - jitter(self._state.id, slot, job.jitter_ms) > ON_TIME
            if refusal := self._start(slot, is_late=is_late):
                part = Part(slot, slot, 1)
                self._entries.append(_entry("skipped_already_in_flight", part, refusal))
            elif self._left() == 0:
                self._stop(slot)
                return
            budget -= 1
        self._ask_at = None

    def _stop(self, cursor: Instant) -> None:
        """Leave what comes after for the next plan."""
        self._cursor = cursor
        self._entries = [entry for entry in self._entries if entry.first <= cursor]

    def _each(self, runnable: list[Part]) -> Iterator[tuple[Instant, Part | None]]:
        """The slots in order; those that the window leaves out together, as a part."""
        trigger, window = self._job.trigger, _window(self._job)
        oldest = self._now - window if window is not None else None
        for part in runnable:
            rest: Part | None = part
            if oldest is not None and part.first < oldest:
                old = (
                    part
                    if part.is_moved
                    else raw_part(trigger, part.first - 1, min(part.last, oldest - 1))
                )
                if old is not None:
                    yield old.first, old
                    rest = None if part.is_moved else raw_part(trigger, old.last, part.last)
            for slot in () if rest is None else rest.slots(trigger):
                yield slot, None

    def _budget(self, runnable: list[Part]) -> int:
        """How many runs may be started now; the rest is asked for again at ``_ask_at``."""
        rate = self._job.catch_up_rate
        count = sum(part.count for part in runnable)
        oldest = runnable[0].first
        if not rate or (count == 1 and self._now - oldest <= ON_TIME):
            self._ask_at = self._now if self._queued < STARTS_AT_ONCE else self._now + _PATIENCE
            return STARTS_AT_ONCE
        burst = max(1, min(STARTS_AT_ONCE, int(rate * _CATCH_UP_STEP / SECOND)))
        self._ask_at = self._now + int(burst * SECOND / rate)
        return burst

    def _left(self) -> int | None:
        """How many scheduled runs there will still be."""
        repeats = self._job.repeats
        return None if repeats is None else repeats - self._state.started - len(self._starts)

    def _start(self, slot: Instant, *, is_late: bool) -> str | None:
        """Give a slot a run, at once or behind another; or say why it gets none."""
        job = self._job
        most = job.max_parallel or (None if job.on_overlap == "allow" else 1)
        if most is None or self._running < most:
            self._running += 1
            self._starts.append(Start(slot))
            return None
        if job.on_overlap == "cancel_running" and self._state.in_flight and not self._cancel:
            self._cancel = True
            self._starts.append(Start(slot))
            return None
        if (
            is_late
            or job.on_overlap in {"queue_all", "cancel_running"}
            or (job.on_overlap == "queue_one" and not self._queued)
        ):
            if self._queued >= MOST_QUEUED:
                return f"{self._queued} runs were queued already"
            self._queued += 1
            self._starts.append(Start(slot, queued=True))
            return None
        return self._in_the_way()

    def _in_the_way(self) -> str:
        if self._job.on_overlap == "queue_one":
            return "a run was queued already"
        if self._running > 1:
            return f"{self._running} runs were still in flight"
        run = self._state.run
        return f"run {run} was still in flight" if run else "the run before was still in flight"

    def _missed(self, part: Part) -> str:
        if self._job.on_missed == "skip":
            return "its time had passed" + self._while_down(part)
        window = f"older than the catch-up window of {self._job.catch_up_window} s"
        return window + self._while_down(part)

    def _while_down(self, part: Part) -> str:
        """Words for the downtime, if that is when the slots came."""
        down = self._down
        if down is None or part.first > down.last or part.last < down.first:
            return ""
        begin, end = (to_text(at - at % SECOND) for at in (down.first, down.last))
        return f"; the server was down from {begin} to {end}"

    def _done(self) -> JobPlan:
        state = self._state
        started = state.started + len(self._starts)
        job = self._job if self._job is not state.job else None
        after = msgspec.structs.replace(state, job=self._job, cursor=self._cursor, started=started)
        next_at = next_due(after, self._calendars)
        if self._ask_at is not None and next_at is not None:
            next_at = max(next_at, self._ask_at)
        return JobPlan(
            tuple(self._starts),
            tuple(_merged(self._entries, self._alone, self._starts)),
            self._cursor,
            started,
            next_at,
            self._cancel,
            job,
        )


def _is_over(state: JobState) -> bool:
    """Whether it has had all the runs that it was to have."""
    repeats = state.job.repeats
    return repeats is not None and state.started >= repeats


def _window(job: Job) -> int | None:
    return None if job.catch_up_window is None else job.catch_up_window * SECOND


def _entry(outcome: EntryOutcome, part: Part, reason: str) -> Entry:
    return Entry(outcome, part.first, part.last, part.count, reason)


def _paused(job: Job) -> str:
    return f"paused: {job.pause_note}" if job.pause_note else "paused"


def _merged(entries: list[Entry], alone: set[Instant], starts: list[Start]) -> Iterator[Entry]:
    """The entries in order; neighbours of one outcome and reason, with no run between, as one."""
    entries.sort(key=lambda entry: entry.first)
    slots = [start.slot for start in starts]
    last: Entry | None = None
    for entry in entries:
        if last is None:
            last = entry
        elif (
            (entry.outcome, entry.reason) == (last.outcome, last.reason)
            and not {entry.first, last.first} & alone
            and bisect_left(slots, last.last) == bisect_left(slots, entry.first)
        ):
            count = last.count + entry.count
            last = Entry(last.outcome, last.first, entry.last, count, last.reason)
        else:
            yield last
            last = entry
    if last is not None:
        yield last
