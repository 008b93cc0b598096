"""What starts, in which order, and how much at once: attempts from acceptance to landing."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable
from heapq import heappop, heappush
from itertools import count
from typing import Literal

import msgspec

from zato_lite.clock import Alarm, Clock
from zato_lite.scheduler.attempt import RunningAttempt, Verdict
from zato_lite.scheduler.node import NODES_EVERY, Node
from zato_lite.scheduler.queues import AttemptQueues
from zato_lite.scheduler.steps import Steps
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store.recovery import APART, SUSPECT
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.timetable.job import Instant

Run = Callable[[Invocation], Awaitable[Outcome]]
"""The one door of services; raises nothing that a service raises."""

START_SIZE = 500

MOST_READY = 20_000
"""So many runs at most are claimed and wait for room; the others stay in the store."""

ABANDON_S = 5.0
"""A service that goes on for so long after it was cancelled is left to itself."""

_log = logging.getLogger("zato_lite.scheduler")


class Executor:
    """Attempts that are this process's to make, waiting or in flight.

    Attributes:
        settle: takes what has ended. begins: whether one that had to wait may begin now.
        These two are given by who keeps the outcomes, before anything is accepted.

    Args:
        capacity: so many runs at once at most.
        reconsider: takes the claim of a slot back that is not to start as things are now.
        has_room: called when more may be claimed again.
    """

    settle: Callable[[AttemptResult], None]
    begins: Callable[[ClaimedAttempt], Awaitable[Literal["start", "wait", "gone"]]]

    def __init__(
        self,
        run: Run,
        clock: Clock,
        node: Node,
        capacity: int,
        *,
        reconsider: Callable[[ClaimedAttempt], None],
        has_room: Callable[[], None],
    ) -> None:
        self._run, self._clock, self._node, self._capacity = run, clock, node, capacity
        self._reconsider, self._has_room = reconsider, has_room
        self.waiting = AttemptQueues()
        self.flights: dict[int, RunningAttempt] = {}
        self._steps = Steps()
        self._numbers = count()
        self._alarm: Alarm | None = None
        self._start_at: Instant | None = None
        self._open: defaultdict[int, int] = defaultdict(int)
        self._by_service: defaultdict[str, int] = defaultdict(int)
        self._held: defaultdict[int, int] = defaultdict(int)
        self._all_held = 0
        self._is_full = False
        self._unarmed: list[RunningAttempt] = []
        self._suspect_at: Instant = 0

    def start(self) -> None:
        """Use the loop that is running."""
        self._loop = asyncio.get_running_loop()
        self._steps.start()

    def stop(self) -> None:
        """Start nothing more at its instant."""
        self._steps.stop()
        if self._alarm is not None:
            self._alarm.cancel()

    async def clear(self, grace: float) -> None:
        """Let what is in flight end within ``grace`` seconds, and cancel the rest."""
        tasks = [flight.task for flight in self.flights.values() if flight.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for flight in self.flights.values():
                if flight.task in late:
                    flight.verdict = flight.verdict or "stopped"
                    flight.task.cancel()
            if late:
                await asyncio.wait(late, timeout=ABANDON_S)
        for flight in list(self.flights.values()):
            self._land(flight, None)

    def is_full(self) -> bool:
        """Whether so much waits for room that nothing is to be claimed; told when it has gone."""
        if len(self.waiting.ready) < MOST_READY:
            return False
        self._is_full = True
        return True

    def accept(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Attempts that are this node's to make, each at its instant."""
        now = self._clock.now()
        due: list[ClaimedAttempt] = []
        for attempt in attempts:
            job_id = attempt.job_id
            if job_id and attempt.queued and self._open[job_id]:
                self.waiting.behind.setdefault(job_id, deque()).append(attempt)
                continue
            if job_id:
                self._open[job_id] += 1
            if attempt.start_at > now:
                self.waiting.put_ahead(attempt)
            else:
                due.append(attempt)
        self._begin(due)
        self._set_start_alarm()

    def await_next(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Attempts of runs that are open here; if it has stopped, they wait in the store."""
        if not self._node.is_running:
            return
        for attempt in attempts:
            self.waiting.put_ahead(attempt)
        self._set_start_alarm()

    def _set_start_alarm(self) -> None:
        moment = self.waiting.moments[0] if self.waiting.moments else None
        if moment == self._start_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._start_at = moment
        if moment is not None:
            self._alarm = self._clock.call_at(moment, self._start_due)

    def _start_due(self) -> None:
        """Start what it is time for, a part at a time, so that others get their turn."""
        self._start_at = None
        self._begin(self.waiting.due(self._clock.now(), START_SIZE))
        self._set_start_alarm()

    def _begin(self, attempts: Iterable[ClaimedAttempt]) -> None:
        for attempt in attempts:
            if attempt.job_id in self._held or self._all_held:
                self.waiting.parked[attempt.job_id].append(attempt)
            elif self._is_in_the_way(attempt):
                self.waiting.parked[attempt.job_id].append(attempt)
                attempt.needs_start_record = True  # if it cannot be taken back, it starts
                self._reconsider(attempt)
            elif len(self.flights) >= self._capacity:
                entry = (-attempt.job.priority, attempt.slot, next(self._numbers), attempt)
                heappush(self.waiting.ready, entry)
            elif (most := attempt.job.max_concurrent) and self._by_service[
                attempt.job.service
            ] >= most:
                self.waiting.crowded[attempt.job.service].append(attempt)
            else:
                self._launch(attempt)

    def _is_in_the_way(self, attempt: ClaimedAttempt) -> bool:
        """Whether a run on demand came between the claim of this slot and the slot."""
        if attempt.kind != "scheduled" or attempt.needs_start_record or attempt.attempt_number > 1:
            return False
        job = attempt.job
        most = job.max_parallel or (None if job.on_overlap == "allow" else 1)
        return most is not None and self._open.get(attempt.job_id, 0) > most

    def _launch(self, attempt: ClaimedAttempt) -> None:
        flight = RunningAttempt(attempt)
        self.flights[attempt.run_id] = flight
        self._by_service[attempt.job.service] += 1
        task = self._steps.task()
        if task is None:
            flight.task = self._loop.create_task(self._fly(flight))
        elif not self._goes_on(flight, task):
            return
        if not self._unarmed:
            self._loop.call_soon(self._arm)
        self._unarmed.append(flight)

    def _goes_on(self, flight: RunningAttempt, task: asyncio.Task[None]) -> bool:
        """Make the first step here and now; whether there are others."""
        flight.task = task
        try:
            return self._steps.begin(self._fly(flight))
        except Exception:  # noqa: BLE001 - whatever it was, others are to be started yet
            _log.exception("attempt broken off", extra={"job": flight.attempt.job.name})
            return False

    def _arm(self) -> None:
        """Set deadlines, except for services that have ended at once, as most do."""
        unarmed, self._unarmed = self._unarmed, []
        for flight in unarmed:
            if not flight.is_closed:
                seconds = flight.timeout_ms / 1000
                flight.timer = self._loop.call_later(seconds, self._stop, flight, "timeout")

    async def _fly(self, flight: RunningAttempt) -> None:
        attempt = flight.attempt
        outcome: Outcome | None = None
        try:
            if attempt.needs_start_record and (word := await self.begins(attempt)) != "start":
                self._drop(flight, is_gone=word == "gone")
                return
            attempt.started_at = self._clock.now()
            outcome = await self._run(flight.invocation())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the door raises nothing; if it does, tell
            outcome = Outcome(cid="", error=error)
        self._land(flight, outcome)

    def _drop(self, flight: RunningAttempt, *, is_gone: bool) -> None:
        """Somebody else has closed the run meanwhile, or is at the one before it."""
        flight.is_closed = True
        flight.task = None
        self._leave(flight)
        if is_gone:
            self.forget(flight.attempt)
        else:
            flight.attempt.start_at = self._clock.now() + NODES_EVERY
            self.await_next([flight.attempt])

    def _stop(self, flight: RunningAttempt, verdict: Verdict) -> None:
        if flight.is_closed:
            return
        flight.stop(verdict)
        if flight.timer is not None:
            flight.timer.cancel()
        flight.timer = self._loop.call_later(ABANDON_S, self._abandon, flight)

    def _abandon(self, flight: RunningAttempt) -> None:
        if not flight.is_closed:
            fields = {"service": flight.attempt.job.service, "job": flight.attempt.job.name}
            _log.error("service goes on after it was cancelled", extra=fields)
            self._land(flight, None)

    def _land(self, flight: RunningAttempt, outcome: Outcome | None) -> None:
        if flight.is_closed:
            return
        flight.is_closed = True
        flight.task = None
        if flight.timer is not None:
            flight.timer.cancel()
            flight.timer = None
        ended = flight.ended(outcome, self._clock.now())
        if ended.outcome == "lost":
            ended = self._apart(ended)
        self._leave(flight)
        self.settle(ended)

    def _apart(self, ended: AttemptResult) -> AttemptResult:
        """What was cut off twice may be what cuts off all: it begins alone, as after a crash."""
        if ended.next_step.outcome is not None or ended.attempt.crashes < SUSPECT:
            return ended
        self._suspect_at = max(self._suspect_at, ended.finished_at) + APART
        settled = msgspec.structs.replace(ended.next_step, retry_at=self._suspect_at)
        return msgspec.structs.replace(ended, next_step=settled)

    def prune(self) -> None:
        """Land what was cut off before its first step, and so could not say so."""
        for flight in list(self.flights.values()):
            if flight.task is not None and flight.task.done():
                self._land(flight, None)

    def _leave(self, flight: RunningAttempt) -> None:
        """Make room for the next one."""
        service = flight.attempt.job.service
        del self.flights[flight.attempt.run_id]
        self._by_service[service] -= 1
        if crowd := self.waiting.crowded.get(service):
            self._begin([crowd.popleft()])
        while self.waiting.ready and len(self.flights) < self._capacity:
            self._begin([heappop(self.waiting.ready)[-1]])
        if self._is_full and len(self.waiting.ready) < MOST_READY // 2:
            self._is_full = False
            self._has_room()

    def forget(self, attempt: ClaimedAttempt) -> None:
        """A run is over: the next one of its job may go."""
        job_id = attempt.job_id
        if not job_id:
            return
        left = self._open[job_id] - 1
        if left > 0:
            self._open[job_id] = left
            return
        del self._open[job_id]
        if waiting := self.waiting.behind.get(job_id):
            following = waiting.popleft()
            if not waiting:
                del self.waiting.behind[job_id]
            self._open[job_id] = 1
            self._begin([following])

    def hold(self, job_ids: Collection[int] | None) -> None:
        """Start no run of these jobs, or of any, until they are released."""
        self._all_held += job_ids is None
        for job_id in job_ids or ():
            self._held[job_id] += 1

    def release(self, job_ids: Collection[int] | None, revoked: set[int]) -> None:
        """Go on, but never start the runs that were revoked meanwhile."""
        for attempt in self._withdraw(revoked):
            self.forget(attempt)
        self._all_held -= job_ids is None
        for job_id in job_ids or ():
            self._held[job_id] -= 1
            if not self._held[job_id]:
                del self._held[job_id]
        parked = [attempt for attempts in self.waiting.parked.values() for attempt in attempts]
        self.waiting.parked.clear()
        self._begin(parked)

    def cancel(self, run_id: int) -> bool:
        """Cancel a run that is in flight or waits here; whether there was one."""
        if (flight := self.flights.get(run_id)) is not None:
            self._stop(flight, "cancelled")
            return True
        withdrawn = self._withdraw({run_id})
        for attempt in withdrawn:
            waiting = RunningAttempt(attempt)
            waiting.verdict = "cancelled"
            self.settle(waiting.ended(None, self._clock.now()))
        return bool(withdrawn)

    def _withdraw(self, run_ids: Collection[int]) -> list[ClaimedAttempt]:
        """Take runs that were not begun out of everything that would begin them."""
        if not run_ids:
            return []
        for job_id, behind in self.waiting.behind.items():
            self._open[job_id] += sum(attempt.run_id in run_ids for attempt in behind)
        return self.waiting.remove(run_ids)
