"""Model test: jobs live through random events beside a reference that decides slot by slot."""

from collections.abc import Iterator
from typing import Any

import msgspec
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from zato_lite.timetable.due import end_pause, first_due
from zato_lite.timetable.job import SECOND, Interval, Job, OneTime
from zato_lite.timetable.job_plan import JobPlan, JobState
from zato_lite.timetable.outcome import next_step
from zato_lite.timetable.plan import plan
from zato_lite.timetable.planner import ON_TIME
from zato_lite.timetable.trigger import slots_between
from zato_lite.timetable.zone import parse_moment

NOON = parse_moment("2026-11-23T12:00:00Z")
MINUTE = 60 * SECOND

triggers = st.one_of(
    st.builds(Interval, start=st.integers(-3, 3).map(lambda n: NOON + n * 17 * MINUTE),
              minutes=st.integers(3, 40)),
    st.builds(OneTime, start=st.integers(-3, 60).map(lambda n: NOON + n * MINUTE)),
)  # fmt: skip
definitions = st.builds(
    Job,
    name=st.just("j"),
    service=st.just("s"),
    trigger=triggers,
    repeats=st.none() | st.integers(1, 6),
    on_missed=st.sampled_from(["run_once", "run_all", "skip"]),
    catch_up_window=st.none() | st.integers(60, 6_000),
    on_overlap=st.sampled_from(["skip", "queue_one", "queue_all", "allow"]),
    max_parallel=st.none() | st.integers(1, 3),
    max_retries=st.integers(0, 2),
    max_crashes=st.integers(1, 3),
    on_crash=st.sampled_from(["rerun", "fail"]),
    pause_after_failures=st.none() | st.integers(1, 2),
)


class Run:
    """Run in flight or queued, with its attempts and crashes."""

    def __init__(self, slot: int) -> None:
        self.slot, self.attempt, self.crashes = slot, 1, 0


class Runs:
    """Open runs of a job, as a store has them."""

    def __init__(self) -> None:
        self.in_flight: list[Run] = []
        self.queued: list[Run] = []
        self.failures = 0

    def start(self, slot: int, *, queued: bool) -> None:
        (self.queued if queued else self.in_flight).append(Run(slot))

    def end(self, run: Run) -> None:
        self.in_flight.remove(run)
        if self.queued:
            self.in_flight.append(self.queued.pop(0))


class Reference:
    """Reference implementation: decides each slot separately, from a list of all slots."""

    def __init__(self, job: Job, now: int) -> None:
        self.fates: dict[int, str] = {}
        self.started = 0
        self.runs = Runs()
        self.define(job, now)

    def define(self, job: Job, now: int) -> None:
        self.job = job
        self.waiting = list(self._slots(now))

    def _slots(self, now: int) -> Iterator[int]:
        trigger = self.job.trigger
        if isinstance(trigger, Interval):
            for number in range(1_000):
                slot = trigger.start + number * trigger.minutes * MINUTE
                if slot > now:
                    yield slot
        else:
            yield trigger.start

    def due(self, now: int) -> list[int]:
        due = [slot for slot in self.waiting if slot <= now]
        self.waiting = [slot for slot in self.waiting if slot > now]
        return due

    def resume(self, now: int) -> None:
        self.job = msgspec.structs.replace(self.job, is_active=True)
        if isinstance(self.job.trigger, OneTime) and self.job.on_missed != "skip":
            return
        if not self.is_over():
            for slot in self.due(now):
                self.fates[slot] = "paused"

    def is_over(self) -> bool:
        return self.job.repeats is not None and self.started >= self.job.repeats

    def advance(self, now: int) -> None:
        if not self.job.is_active or self.is_over():
            return
        due = []
        for slot in self.due(now):
            if self.job.skip_next:
                self.job = msgspec.structs.replace(self.job, skip_next=self.job.skip_next - 1)
                self.fates[slot] = "paused"
            else:
                due.append(slot)
        window = (self.job.catch_up_window or 10**6) * SECOND
        if self.job.on_missed == "run_all":
            for slot in due:
                if self.is_over():
                    return
                if now - slot > window:
                    self.fates[slot] = "missed"
                else:
                    self.fates[slot] = self.place(slot, is_late=now - slot > ON_TIME)
        elif due:
            *others, newest = due
            window = ON_TIME if self.job.on_missed == "skip" else window
            fate = "missed" if now - newest > window else self.place(newest, is_late=False)
            self.fates[newest] = fate
            for slot in others:
                self.fates[slot] = fate if fate != "run" else "missed"

    def place(self, slot: int, *, is_late: bool) -> str:
        most = self.job.max_parallel or (10**6 if self.job.on_overlap == "allow" else 1)
        can_wait = (
            is_late
            or self.job.on_overlap == "queue_all"
            or (self.job.on_overlap == "queue_one" and not self.runs.queued)
        )
        if len(self.runs.in_flight) < most:
            self.runs.start(slot, queued=False)
        elif can_wait:
            self.runs.start(slot, queued=True)
        else:
            return "skipped_already_in_flight"
        self.started += 1
        return "run"


class Kept:
    """The timetable's decisions, as a store would write them."""

    def __init__(self, job: Job, now: int) -> None:
        self.fates: dict[int, str] = {}
        self.runs = Runs()
        cursor, self.next_at = first_due(job, now)
        self.state = JobState(7, job, cursor)

    def ask(self, now: int) -> None:
        self.state = msgspec.structs.replace(
            self.state, in_flight=len(self.runs.in_flight), queued=len(self.runs.queued)
        )
        self.write(plan(self.state, now, {}))

    def write(self, planned: JobPlan) -> None:
        for start in planned.starts:
            assert start.slot not in self.fates
            self.fates[start.slot] = "run"
            self.runs.start(start.slot, queued=start.queued)
        for entry in planned.entries:
            slots = list(slots_between(self.state.job.trigger, entry.first - 1, entry.last))
            assert len(slots) == entry.count
            assert not self.fates.keys() & set(slots)
            self.fates.update(dict.fromkeys(slots, entry.outcome))
        self.next_at = planned.next_at
        self.state = msgspec.structs.replace(
            self.state,
            job=planned.job or self.state.job,
            cursor=planned.cursor,
            started=planned.started,
        )

    def change(self, **fields: Any) -> None:
        job = msgspec.structs.replace(self.state.job, **fields)
        self.state = msgspec.structs.replace(self.state, job=job)


class Life(RuleBasedStateMachine):
    """State machine: random events in the life of some jobs."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.pairs: list[tuple[Kept, Reference]] = []

    jobs = Bundle("jobs")

    @rule(target=jobs, job=definitions)
    def create(self, job: Job) -> tuple[Kept, Reference]:
        pair = Kept(job, self.now), Reference(job, self.now)
        self.pairs.append(pair)
        return pair

    @rule(pair=jobs, trigger=triggers)
    def edit_when(self, pair: tuple[Kept, Reference], trigger: Any) -> None:
        kept, reference = pair
        kept.ask(self.now)
        reference.advance(self.now)
        job = msgspec.structs.replace(kept.state.job, trigger=trigger)
        cursor, kept.next_at = first_due(job, self.now)
        kept.state = JobState(7, job, cursor)
        kept.fates, reference.fates, reference.started = {}, {}, 0
        reference.define(job, self.now)

    @rule(pair=jobs, policy=st.sampled_from(["skip", "queue_one", "queue_all", "allow"]))
    def edit_policy(self, pair: tuple[Kept, Reference], policy: Any) -> None:
        kept, reference = pair
        kept.change(on_overlap=policy)
        reference.job = msgspec.structs.replace(reference.job, on_overlap=policy)

    @rule(pair=jobs, count=st.integers(1, 3))
    def skip(self, pair: tuple[Kept, Reference], count: int) -> None:
        kept, reference = pair
        kept.change(skip_next=count)
        reference.job = msgspec.structs.replace(reference.job, skip_next=count)

    @rule(pair=jobs)
    def pause(self, pair: tuple[Kept, Reference]) -> None:
        kept, reference = pair
        kept.ask(self.now)
        reference.advance(self.now)
        kept.change(is_active=False)
        reference.job = msgspec.structs.replace(reference.job, is_active=False)

    @rule(pair=jobs)
    def resume(self, pair: tuple[Kept, Reference]) -> None:
        kept, reference = pair
        if not kept.state.job.is_active:
            kept.write(end_pause(kept.state, self.now, {}))
            reference.resume(self.now)

    @rule(pair=consumes(jobs))
    def delete(self, pair: tuple[Kept, Reference]) -> None:
        self.pairs.remove(pair)

    @rule(pair=jobs)
    def execute(self, pair: tuple[Kept, Reference]) -> None:
        """Execute a job on request: a run without a slot that overlaps others."""
        for side in pair:
            side.runs.start(-1, queued=False)

    @rule(pair=jobs, outcome=st.sampled_from(["ok", "error", "timeout", "cancelled"]))
    def a_run_ends(self, pair: tuple[Kept, Reference], outcome: Any) -> None:
        kept, reference = pair
        if not kept.runs.in_flight:
            return
        run, other = kept.runs.in_flight[0], reference.runs.in_flight[0]
        assert run.slot == other.slot
        job = kept.state.job
        result = next_step(job, outcome, run.attempt, run.crashes, kept.runs.failures, self.now)
        kept.runs.failures = result.failures
        if result.outcome is None:
            assert result.retry_at is not None
            assert result.retry_at > self.now
            run.attempt += 1
        else:
            kept.runs.end(run)
        if result.pause_note:
            kept.change(is_active=False)

        self._other_run_ends(reference, other, outcome)

    def _other_run_ends(self, reference: Reference, run: Run, outcome: str) -> None:
        failed = outcome in {"error", "timeout"}
        if failed and run.attempt < 1 + reference.job.max_retries:
            run.attempt += 1
            return
        reference.runs.end(run)
        if outcome == "ok":
            reference.runs.failures = 0
        if failed:
            reference.runs.failures += 1
            bound = reference.job.pause_after_failures
            if bound and reference.runs.failures >= bound:
                reference.job = msgspec.structs.replace(reference.job, is_active=False)

    @rule()
    def crash(self) -> None:
        """Let the process die with all runs in flight."""
        for kept, reference in self.pairs:
            for run in list(kept.runs.in_flight):
                run.crashes += 1
                result = next_step(kept.state.job, "lost", run.attempt, run.crashes, 0, self.now)
                if result.outcome is None:
                    run.attempt += 1
                else:
                    kept.runs.end(run)
            for run in list(reference.runs.in_flight):
                run.crashes += 1
                job = reference.job
                if job.on_crash == "rerun" and run.crashes < job.max_crashes:
                    run.attempt += 1
                else:
                    reference.runs.end(run)

    @rule(minutes=st.integers(0, 90), seconds=st.integers(0, 59))
    def downtime(self, minutes: int, seconds: int) -> None:
        """Advance the time; plan only at its end."""
        self.now += minutes * MINUTE + seconds * SECOND
        for kept, reference in self.pairs:
            kept.ask(self.now)
            reference.advance(self.now)

    @rule(minutes=st.integers(1, 90))
    def advance(self, minutes: int) -> None:
        """Advance the time; plan each job at its ``next_at``."""
        until = self.now + minutes * MINUTE
        for kept, reference in self.pairs:
            while kept.next_at is not None and kept.next_at <= until:
                asked = max(kept.next_at, self.now)
                kept.ask(asked)
                reference.advance(asked)
        self.now = until

    @invariant()
    def both_say_the_same(self) -> None:
        for kept, reference in self.pairs:
            assert kept.fates == reference.fates
            assert kept.state.started == reference.started
            assert kept.state.job.is_active == reference.job.is_active
            assert kept.state.job.skip_next == reference.job.skip_next
            for mine, theirs in (
                (kept.runs.in_flight, reference.runs.in_flight),
                (kept.runs.queued, reference.runs.queued),
            ):
                assert [(run.slot, run.attempt) for run in mine] == [
                    (run.slot, run.attempt) for run in theirs
                ]


TestLife = Life.TestCase
TestLife.settings = settings(
    max_examples=40, stateful_step_count=30, suppress_health_check=list(HealthCheck)
)
