"""Planner: accounts for all slots of a job that are due, under all its policies."""

from bisect import bisect_left
from collections.abc import Iterator, Mapping

import msgspec

from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.due import end_pause, is_exhausted, next_due
from zato_lite.timetable.jitter import jitter
from zato_lite.timetable.job import SECOND, Instant, Job
from zato_lite.timetable.job_plan import Downtime, Entry, JobPlan, JobState, Start
from zato_lite.timetable.slots import SlotRange, calendar_of, next_slot, slot_ranges, trigger_range
from zato_lite.timetable.trigger import next_after
from zato_lite.timetable.zone import to_text

ON_TIME = 5 * SECOND
"""Microseconds after its due instant within which a slot counts as on time: a restart's length."""

MAX_STARTS = 1_000
"""Runs that one plan starts or queues at most."""

MAX_QUEUED = 10_000
"""Runs of one job that wait at most; a catch-up pauses when ``MAX_STARTS`` wait."""

_FULL_QUEUE_DELAY = SECOND
"""Microseconds until a catch-up continues that has found the queue full."""

_CATCH_UP_STEP = SECOND // 10
"""Microseconds of ``catch_up_rate`` that are started together."""


class Planner:
    """Makes one plan; used once."""

    def __init__(
        self,
        state: JobState,
        now: Instant,
        calendars: Mapping[str, Calendar],
        downtime: Downtime | None,
    ) -> None:
        self._state, self._now, self._calendars = state, now, calendars
        self._downtime = downtime
        self._job = state.job
        self._calendar = calendar_of(state.job, calendars)
        self._cursor = state.cursor
        self._starts: list[Start] = []
        self._moved: set[Instant] = set()
        self._entries: list[Entry] = []
        self._running, self._queued = state.in_flight, state.queued
        self._cancels_running = False
        self._plan_again_at: Instant | None = None

    def plan(self) -> JobPlan:
        """Account for the slots that are due, up to the limit of one plan."""
        if is_exhausted(self._state) or not self._end_pause_if_due():
            return self._finish()
        until = self._due_until()
        if until > self._cursor:
            runnable: list[SlotRange] = []
            for slots in slot_ranges(self._job, self._calendar, self._cursor, until):
                if slots.is_moved:
                    self._moved.add(slots.first)
                if slots.reason is None:
                    runnable.extend(self._apply_skips(slots))
                else:
                    self._entries.append(slots.entry("excluded", slots.reason))
            self._cursor = until
            if runnable and self._job.on_missed == "run_all":
                self._run_all(runnable)
            elif runnable:
                self._run_last(runnable)
        return self._finish()

    def _end_pause_if_due(self) -> bool:
        """End a pause whose ``pause_until`` has come; return True if the job is active."""
        if self._job.is_active:
            return True
        end = self._job.pause_until
        if end is None or end > self._now:
            return False
        resumed = end_pause(self._state, end - 1, {})
        self._entries.extend(resumed.entries)
        self._cursor, self._job = resumed.cursor, resumed.job or self._job
        return True

    def _due_until(self) -> Instant:
        """Return the instant up to which all slots are due, each with its own jitter.

        It is before the first slot that is not yet due, so that no slot overtakes another.
        """
        job, now = self._job, self._now
        if not job.jitter_ms:
            return now
        until = max(now - job.jitter_ms * 1_000, self._cursor)
        for _ in range(MAX_STARTS):
            slot = next_slot(job, self._calendar, until)
            if slot is None or slot + jitter(self._state.id, slot, job.jitter_ms) > now:
                break
            until = slot
        return until

    def _apply_skips(self, slots: SlotRange) -> Iterator[SlotRange]:
        """Record the slots that ``skip_next`` leaves out; yield the rest of the range."""
        skips = self._job.skip_next
        if not skips:
            yield slots
            return
        skipped = min(skips, slots.count)
        self._job = msgspec.structs.replace(self._job, skip_next=skips - skipped)
        last, rest = slots.last, None
        if skipped < slots.count:
            last = slots.first
            for _ in range(skipped - 1):
                last = next_after(self._job.trigger, last) or last
            rest = trigger_range(self._job.trigger, last, slots.last)
        self._entries.append(Entry("paused", slots.first, last, skipped, "skipped on request"))
        yield from () if rest is None else (rest,)

    def _run_last(self, runnable: list[SlotRange]) -> None:
        """Give all due slots one run, for the newest of them, if it is new enough."""
        job, slot = self._job, runnable[-1].last
        window = ON_TIME if job.on_missed == "skip" else _window(job)
        due = slot + jitter(self._state.id, slot, job.jitter_ms)
        if window is not None and self._now - due > window:
            self._entries.extend(
                slots.entry("missed", self._missed_reason(slots)) for slots in runnable
            )
            return
        if refusal := self._start(slot, is_late=False):
            self._entries.extend(
                slots.entry("skipped_already_in_flight", refusal) for slots in runnable
            )
            return
        reason = f"coalesced into the run of {to_text(slot, job.trigger.timezone)}"
        for slots in runnable:
            rest = slots.without_last(job.trigger) if slots is runnable[-1] else slots
            if rest is not None:
                self._entries.append(rest.entry("missed", reason + self._downtime_note(rest)))

    def _run_all(self, runnable: list[SlotRange]) -> None:
        """Give each slot a run, in order, within ``catch_up_rate`` and the queue's limit."""
        job, budget = self._job, self._budget(runnable)
        for slot, expired in self._each_slot(runnable):
            if expired is not None:
                self._entries.append(expired.entry("missed", self._missed_reason(expired)))
                continue
            if budget <= 0 or (self._queued >= MAX_STARTS and job.on_overlap != "allow"):
                self._stop_at(slot - 1)
                return
            is_late = self._now - slot - jitter(self._state.id, slot, job.jitter_ms) > ON_TIME
            if refusal := self._start(slot, is_late=is_late):
                self._entries.append(Entry("skipped_already_in_flight", slot, slot, 1, refusal))
            elif self._runs_left() == 0:
                self._stop_at(slot)
                return
            budget -= 1
        self._plan_again_at = None

    def _stop_at(self, cursor: Instant) -> None:
        """Leave the slots after ``cursor`` to the next plan."""
        self._cursor = cursor
        self._entries = [entry for entry in self._entries if entry.first <= cursor]

    def _each_slot(self, runnable: list[SlotRange]) -> Iterator[tuple[Instant, SlotRange | None]]:
        """Iterate over the slots in order; those older than the window come as one range."""
        trigger, window = self._job.trigger, _window(self._job)
        oldest = self._now - window if window is not None else None
        for slots in runnable:
            rest: SlotRange | None = slots
            if oldest is not None and slots.first < oldest:
                expired = (
                    slots
                    if slots.is_moved
                    else trigger_range(trigger, slots.first - 1, min(slots.last, oldest - 1))
                )
                if expired is not None:
                    yield expired.first, expired
                    rest = (
                        None
                        if slots.is_moved
                        else trigger_range(trigger, expired.last, slots.last)
                    )
            for slot in () if rest is None else rest.slots(trigger):
                yield slot, None

    def _budget(self, runnable: list[SlotRange]) -> int:
        """Return the number of runs to start now; set when the next plan starts the rest."""
        rate = self._job.catch_up_rate
        count = sum(slots.count for slots in runnable)
        oldest = runnable[0].first
        if not rate or (count == 1 and self._now - oldest <= ON_TIME):
            is_full = self._queued >= MAX_STARTS
            self._plan_again_at = self._now + (_FULL_QUEUE_DELAY if is_full else 0)
            return MAX_STARTS
        burst = max(1, min(MAX_STARTS, int(rate * _CATCH_UP_STEP / SECOND)))
        self._plan_again_at = self._now + int(burst * SECOND / rate)
        return burst

    def _runs_left(self) -> int | None:
        """Return the number of runs that ``repeats`` still allows; None for no limit."""
        repeats = self._job.repeats
        return None if repeats is None else repeats - self._state.started - len(self._starts)

    def _start(self, slot: Instant, *, is_late: bool) -> str | None:
        """Start or queue a run for the slot, or return the reason why it gets none."""
        job = self._job
        limit = job.max_parallel or (None if job.on_overlap == "allow" else 1)
        # A queued run is before this one, also if the run before it has just ended.
        if limit is None or self._running + self._queued < limit:
            self._running += 1
            self._starts.append(Start(slot))
            return None
        if (
            job.on_overlap == "cancel_running"
            and self._state.in_flight
            and not self._cancels_running
        ):
            self._cancels_running = True
            self._starts.append(Start(slot))
            return None
        if (
            is_late
            or job.on_overlap in {"queue_all", "cancel_running"}
            or (job.on_overlap == "queue_one" and not self._queued)
        ):
            if self._queued >= MAX_QUEUED:
                return f"{self._queued} runs were queued already"
            self._queued += 1
            self._starts.append(Start(slot, queued=True))
            return None
        return self._overlap_reason()

    def _overlap_reason(self) -> str:
        if self._job.on_overlap == "queue_one":
            return "a run was queued already"
        if self._running > 1:
            return f"{self._running} runs were still in flight"
        number = self._state.run_number
        run = f"run {number}" if number else "the run before"
        return f"{run} was still in flight"

    def _missed_reason(self, slots: SlotRange) -> str:
        if self._job.on_missed == "skip":
            return "its time had passed" + self._downtime_note(slots)
        window = f"older than the catch-up window of {self._job.catch_up_window} s"
        return window + self._downtime_note(slots)

    def _downtime_note(self, slots: SlotRange) -> str:
        """Return a mention of the downtime if the slots came within it."""
        down = self._downtime
        if down is None or slots.first > down.last or slots.last < down.first:
            return ""
        begin, end = (to_text(at - at % SECOND) for at in (down.first, down.last))
        return f"; the server was down from {begin} to {end}"

    def _finish(self) -> JobPlan:
        state = self._state
        started = state.started + len(self._starts)
        after = msgspec.structs.replace(state, job=self._job, cursor=self._cursor, started=started)
        next_at = next_due(after, self._calendars)
        if self._plan_again_at is not None and next_at is not None:
            next_at = max(next_at, self._plan_again_at)
        return JobPlan(
            tuple(self._starts),
            tuple(_merged(self._entries, self._moved, self._starts)),
            self._cursor,
            started,
            next_at,
            self._cancels_running,
            self._job if self._job is not state.job else None,
        )


def _window(job: Job) -> int | None:
    return None if job.catch_up_window is None else job.catch_up_window * SECOND


def _merged(entries: list[Entry], moved: set[Instant], starts: list[Start]) -> Iterator[Entry]:
    """Iterate over the entries in order, with equal neighbours as one.

    Entries with a run between them, and those of moved slots, stay apart.
    """
    entries.sort(key=lambda entry: entry.first)
    slots = [start.slot for start in starts]
    last: Entry | None = None
    for entry in entries:
        if last is None:
            last = entry
        elif (
            (entry.outcome, entry.reason) == (last.outcome, last.reason)
            and not {entry.first, last.first} & moved
            and bisect_left(slots, last.last) == bisect_left(slots, entry.first)
        ):
            count = last.count + entry.count
            last = Entry(last.outcome, last.first, entry.last, count, last.reason)
        else:
            yield last
            last = entry
    if last is not None:
        yield last
