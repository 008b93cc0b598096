"""The timetable in motion: claims what is due, runs it at its instant, settles what came of it.

Runs that are sure to be are claimed shortly before their instant, so that nothing lies between
the instant and the start: see ``store.claims.claim``. What is not sure is claimed at its instant.
Everything here happens in the loop's thread.
"""

import asyncio
import contextlib
import logging
import os
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from types import TracebackType
from typing import Literal, Self, TypeVar, cast

from zato_lite.clock import Alarm, Clock
from zato_lite.errors import UnavailableError
from zato_lite.scheduler.flight import Flight, Verdict
from zato_lite.service.message import Invocation, Outcome
from zato_lite.store import claims, jobs, nodes, settling, takeover
from zato_lite.store.claims import Claimed
from zato_lite.store.jobs import NOBODY, Begun
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Connection, Database
from zato_lite.store.retention import Swept, sweep
from zato_lite.store.rows import LogLine
from zato_lite.store.runs import Ended, Fire
from zato_lite.store.settling import Settlement
from zato_lite.store.takeover import Adopted
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.plan import Downtime
from zato_lite.timetable.settle import Settled

Result = TypeVar("Result")
Run = Callable[[Invocation], Awaitable[Outcome]]
"""The one door of services; raises nothing that a service raises."""

LEAD = SECOND // 2
"""Runs are claimed by so much before their instant, and at least by half of it."""

CLAIM_SIZE = 1_000
START_SIZE = 500
NODES_EVERY = 1 * SECOND
"""Other processes on the same database are looked at so often, when there are any."""

NODES_SELDOM = 10 * SECOND
"""The same when there are none, so far as is known."""

LONGEST_NAP = 60 * SECOND
"""Another process may have died, or put a job that is due sooner than all that this one knows."""

TIDY_EVERY = 600 * SECOND
TIDY_PAUSE = SECOND // 20

ABANDON_S = 5.0
"""A service that goes on for so long after it was cancelled is left to itself."""

RETRY_S = 1.0
NOT_KEPT = "the outcome could not be kept"
LAST_WORDS_S = 10.0
"""At the end, a store that takes no outcomes is waited for so long."""

MOST_READY = 20_000
"""So many runs at most are claimed and wait for room; the others stay in the store."""

LINGER_S = 0.25
"""Between two commits of outcomes that nobody waits for; the first after a quiet time is kept at
once. Each commit costs as much as dozens of runs; and a claim takes along what there is."""

MOST_LINGERING = 1_000
"""So many outcomes are kept before their time."""

_log = logging.getLogger("zato_lite.scheduler")


class Scheduler:
    """Runs jobs at their slots, from ``async with`` on until it is left or drained.

    Args:
        database: where jobs and runs are kept.
        run: invokes a service.
        capacity: so many runs at once at most.
        node_name: what this process is called among others on the same database.
        grace: seconds that runs in flight are given to end when the scheduler stops.
        locks: how it is known which processes are alive; without them, this one is alone.
    """

    def __init__(
        self,
        database: Database,
        run: Run,
        clock: Clock,
        *,
        capacity: int = 10_000,
        node_name: str = "zato-lite",
        grace: float = 30.0,
        locks: NodeLocks | None = None,
    ) -> None:
        self._database, self._run, self._clock = database, run, clock
        self._capacity, self._node_name, self._grace = capacity, node_name, grace
        self._locks = locks or NodeLocks(":memory:")
        self.node = 0
        self.is_running = False
        self.refused = 0
        self._others = 0
        self._numbers = count()
        self._bell = asyncio.Event()
        self._rest = asyncio.Event()
        self._tasks: list[asyncio.Task[None]] = []
        self._alarm: Alarm | None = None
        self._start_alarm: Alarm | None = None
        self._start_at: Instant | None = None
        self._wake_at: Instant | None = None
        self._ahead: dict[Instant, list[Fire]] = {}
        self._moments: list[Instant] = []
        self._ready: list[tuple[int, Instant, int, Fire]] = []
        self._behind: dict[int, deque[Fire]] = {}
        self._open: defaultdict[int, int] = defaultdict(int)
        self._by_service: defaultdict[str, int] = defaultdict(int)
        self._crowded: defaultdict[str, deque[Fire]] = defaultdict(deque)
        self._held: defaultdict[int, int] = defaultdict(int)
        self._all_held = 0
        self._errands: set[asyncio.Task[None]] = set()
        self._is_full = False
        self._downtime: Downtime | None = None
        self._parked: defaultdict[int, list[Fire]] = defaultdict(list)
        self._flights: dict[int, Flight] = {}
        self._unarmed: list[Flight] = []
        self._done: list[Ended] = []
        self._unkept: int = 0
        self._flush_is_due = False
        self._flushed_at = 0.0

    # Life

    async def __aenter__(self) -> Self:
        self._loop = asyncio.get_running_loop()
        name, pid = self._node_name, os.getpid()
        self.node = await self._database.write(nodes.number)
        self._locks.take(self.node)
        now = self._clock.now()
        last_seen = await self._database.read(nodes.last_seen)
        await self._database.write(lambda c: nodes.enter(c, self.node, name, pid, now))
        self.is_running = True
        await self._adopt()
        if last_seen is not None and not self._others:
            self._downtime = Downtime(last_seen, now)
        self._bell.set()
        self._tasks = [
            asyncio.create_task(self._for_ever(work, name), name=name)
            for name, work in (
                ("scheduler", self._claim_on),
                ("retention", self._tidy_up),
                ("takeover", self._look_at_others),
            )
        ]
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.drain()

    async def drain(self, grace: float | None = None) -> None:
        """Claim no more, let runs in flight end within ``grace`` seconds, hand the rest back."""
        if not self.is_running:
            return
        self.is_running = False
        await self._stop_claiming()
        left = self._take_all_unbegun()
        if left:
            self._submit_done()
            begun = self._begun(None)
            await self._database.write(lambda c: takeover.give_up(c, left, begun))
        await self._wait_for_flights(self._grace if grace is None else grace)
        node, now = self.node, self._clock.now()
        await self._database.write(lambda c: nodes.leave(c, node, now))
        self._locks.release(node)
        self.node = 0

    async def _stop_claiming(self) -> None:
        for alarm in (self._alarm, self._start_alarm):
            if alarm is not None:
                alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        # A claim that was under way is taken when it is committed; so is this, and after it.
        await self._database.write(lambda _: None)

    def _take_all_unbegun(self) -> list[Fire]:
        left = list(self._unbegun())
        self._ahead.clear()
        self._moments.clear()
        self._ready.clear()
        for waiting in (self._behind, self._crowded, self._parked):
            waiting.clear()
        return left

    def _unbegun(self) -> Iterator[Fire]:
        yield from (entry[-1] for entry in self._ready)
        for ahead in self._ahead.values():
            yield from ahead
        for waiting in (*self._behind.values(), *self._crowded.values()):
            yield from waiting
        for parked in self._parked.values():
            yield from parked

    async def _wait_for_flights(self, grace: float) -> None:
        tasks = [flight.task for flight in self._flights.values() if flight.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for task in late:
                task.cancel()
            if late:
                await asyncio.wait(late, timeout=ABANDON_S)
        for flight in list(self._flights.values()):
            self._land(flight, None)
        with contextlib.suppress(TimeoutError):  # what a broken store does not take is run again
            async with asyncio.timeout(LAST_WORDS_S):
                await self.rest()

    # Claiming

    def changed(self, next_at: Instant | None = None) -> None:
        """Look again what is due: at once, or in time for the instant given."""
        if not self.is_running:
            return
        now = self._clock.now()
        moment = now if next_at is None else max(now, next_at - LEAD // 2)
        if self._wake_at is None or moment < self._wake_at:
            self._wake_in_time(moment)

    async def tick(self) -> None:
        """Claim what is due once, and start what it is time for."""
        self._wake_at = None  # from now on whatever changes counts, as this claim may miss it
        place, more, exact = claims.PLACE, True, None
        claimed: Claimed | None = None
        while more:
            if len(self._ready) >= MOST_READY:
                self._is_full = True
                return
            now = self._clock.now()
            horizon = now if self._others else now + LEAD
            self._submit_done()
            claimed = await self._claim(now, horizon, place)
            place, more = claimed.place, claimed.more
            if claimed.is_shared and not self._others:
                await self._adopt()
            exact = min((at for at in (exact, claimed.exact) if at is not None), default=None)
        if claimed is not None:
            self._nap(exact, claimed.following)

    async def _claim_on(self) -> None:
        await self._bell.wait()
        self._bell.clear()
        await self.tick()

    async def _for_ever(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Do it again and again: a store that is full or away comes back.

        And a service may cancel all tasks that it finds: these end by ``drain`` only.
        """
        has_failed = False
        while self.is_running:
            try:
                if has_failed:
                    await asyncio.sleep(RETRY_S)
                    has_failed = False
                await work()
            except asyncio.CancelledError:
                if not self.is_running:
                    raise
                self._bell.set()
            except Exception:  # noqa: BLE001 - whatever it was, it is tried again
                _log.exception("work failed", extra={"work": name})
                has_failed = True
                self._bell.set()

    async def _claim(self, now: Instant, horizon: Instant, place: tuple[Instant, int]) -> Claimed:
        node = self.node
        return await self.carry(
            lambda c: claims.claim(
                c, now, horizon, node, limit=CLAIM_SIZE, place=place, downtime=self._downtime
            ),
            self._take,
        )

    def _take(self, claimed: Claimed) -> None:
        if claimed.cancel:
            mine = [*self._unbegun(), *(flight.fire for flight in self._flights.values())]
            for fire in mine:
                if fire.job_id in claimed.cancel:
                    self.cancel(fire.run_id)
        self.accept(claimed.fires)

    def _nap(self, exact: Instant | None, following: Instant | None) -> None:
        now = self._clock.now()
        moments = [now + (NODES_EVERY if self._others else LONGEST_NAP)]
        if exact is not None:
            moments.append(exact)
        if following is not None:
            moments.append(following - (0 if self._others else LEAD // 2))
        if self._wake_at is not None:
            moments.append(self._wake_at)
        if not self._bell.is_set():
            self._wake_in_time(min(moments))

    def _wake_in_time(self, moment: Instant) -> None:
        if self._alarm is not None:
            self._alarm.cancel()
        self._wake_at = moment
        if moment <= self._clock.now():
            self._bell.set()
        else:
            self._alarm = self._clock.call_at(moment, self._bell.set)

    # Retention

    async def _tidy_up(self) -> None:
        """From time to time delete what is too old, in parts that hold nobody up."""
        await self._until(self._clock.now() + TIDY_EVERY)
        await self.tidy()

    async def tidy(self) -> int:
        """Delete what no job needs to keep any more; how many runs went."""
        gone, place = 0, -1
        while True:
            swept = await self._sweep(place)
            gone += swept.runs
            if swept.place is None:
                return gone
            place = swept.place
            await self._until(self._clock.now() + TIDY_PAUSE)

    async def _sweep(self, place: int) -> Swept:
        now = self._clock.now()
        return await self._database.write(lambda c: sweep(c, now, place))

    async def _until(self, moment: Instant) -> None:
        reached = asyncio.Event()
        alarm = self._clock.call_at(moment, reached.set)
        try:
            await reached.wait()
        finally:
            alarm.cancel()

    # Other processes

    async def _look_at_others(self) -> None:
        await self._until(self._clock.now() + (NODES_EVERY if self._others else NODES_SELDOM))
        before = self._others
        await self._adopt()
        if self._others != before:
            self._bell.set()

    async def _adopt(self) -> None:
        """Take over what dead processes had, and what others handed back."""
        known = await self._database.read(nodes.known)
        alive = self._locks.alive([node.id for node in known])
        self._others = len([node for node in alive if node != self.node])
        dead = [node.id for node in known if node.id not in alive]
        if dead:
            await self._database.write(lambda c: nodes.bury(c, dead))
        while await self._adopt_some(alive):
            pass

    async def _adopt_some(self, alive: Sequence[int]) -> bool:
        now, node = self._clock.now(), self.node

        def work(connection: Connection) -> Adopted:
            nodes.seen(connection, node, now)
            return takeover.adopt(connection, alive, node, now)

        adopted = await self.carry(work, lambda adopted: self.accept(adopted.fires))
        if adopted.fires or adopted.closed:
            fields = {"again": len(adopted.fires), "closed": adopted.closed}
            _log.warning("runs taken over", extra=fields)
        return adopted.more

    # Starting

    def accept(self, fires: Iterable[Fire]) -> None:
        """Attempts that are this node's to make, each at its instant."""
        if not self.is_running:
            self._give_up(list(fires))
            return
        now = self._clock.now()
        due: list[Fire] = []
        for fire in fires:
            job_id = fire.job_id
            if job_id and fire.queued and self._open[job_id]:
                self._behind.setdefault(job_id, deque()).append(fire)
                continue
            if job_id:
                self._open[job_id] += 1
            if fire.at > now:
                self._put_ahead(fire)
            else:
                due.append(fire)
        self._begin(due)
        self._set_start_alarm()

    def _put_ahead(self, fire: Fire) -> None:
        """Start it at its instant; those of one instant lie together."""
        together = self._ahead.get(fire.at)
        if together is None:
            self._ahead[fire.at] = [fire]
            heappush(self._moments, fire.at)
        else:
            together.append(fire)

    def _give_up(self, fires: list[Fire]) -> None:
        """It comes too late: the scheduler has stopped, or was never there."""
        if self.node and fires:
            begun = self._begun(None)
            self._database.submit(lambda c: takeover.give_up(c, fires, begun), _ignore)

    def _await_next_attempts(self, fires: Iterable[Fire]) -> None:
        """Attempts of runs that are open here; if it has stopped, they wait in the store."""
        if not self.is_running:
            return
        for fire in fires:
            self._put_ahead(fire)
        self._set_start_alarm()

    def _set_start_alarm(self) -> None:
        moment = self._moments[0] if self._moments else None
        if moment == self._start_at:
            return
        if self._start_alarm is not None:
            self._start_alarm.cancel()
            self._start_alarm = None
        self._start_at = moment
        if moment is not None:
            self._start_alarm = self._clock.call_at(moment, self._start_due)

    def _start_due(self) -> None:
        """Start what it is time for, a part at a time, so that others get their turn."""
        self._start_at = None
        now, moments = self._clock.now(), self._moments
        due: list[Fire] = []
        while moments and moments[0] <= now and len(due) < START_SIZE:
            together = self._ahead.pop(moments[0])
            due += together[:START_SIZE]
            if len(together) > START_SIZE:
                self._ahead[moments[0]] = together[START_SIZE:]
            else:
                heappop(moments)
        self._begin(due)
        self._set_start_alarm()

    def _begin(self, fires: Iterable[Fire]) -> None:
        for fire in fires:
            if fire.job_id in self._held or self._all_held:
                self._parked[fire.job_id].append(fire)
            elif self._is_in_the_way(fire):
                self._reconsider(fire)
            elif len(self._flights) >= self._capacity:
                entry = (-fire.job.priority, fire.slot, next(self._numbers), fire)
                heappush(self._ready, entry)
            elif (most := fire.job.max_concurrent) and self._by_service[fire.job.service] >= most:
                self._crowded[fire.job.service].append(fire)
            else:
                self._launch(fire)

    def _is_in_the_way(self, fire: Fire) -> bool:
        """Whether a run on demand came between the claim of this slot and the slot."""
        if fire.kind != "scheduled" or fire.waited or fire.attempt > 1:
            return False
        job = fire.job
        most = job.max_parallel or (None if job.on_overlap == "allow" else 1)
        return most is not None and self._open.get(fire.job_id, 0) > most

    def _reconsider(self, fire: Fire) -> None:
        """Take the claim back, so that the slot is decided by how things are now."""
        job_id = fire.job_id
        self._parked[job_id].append(fire)

        async def reconsider() -> None:
            await self.change([job_id], lambda c, begun: jobs.revoke(c, job_id, begun), set)
            self.changed()

        fire.waited = True  # if it cannot be taken back, it starts
        task = self._loop.create_task(reconsider())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    def _launch(self, fire: Fire) -> None:
        flight = Flight(fire)
        self._flights[fire.run_id] = flight
        self._by_service[fire.job.service] += 1
        flight.task = self._loop.create_task(self._fly(flight))
        if not self._unarmed:
            self._loop.call_soon(self._arm)
        self._unarmed.append(flight)

    def _arm(self) -> None:
        """Set deadlines, except for services that have ended at once, as most do."""
        unarmed, self._unarmed = self._unarmed, []
        for flight in unarmed:
            if not flight.is_closed:
                seconds = flight.timeout_ms / 1000
                flight.timer = self._loop.call_later(seconds, self._stop, flight, "timeout")

    async def _fly(self, flight: Flight) -> None:
        fire = flight.fire
        outcome: Outcome | None = None
        try:
            if fire.waited and (word := await self._begins(fire)) != "begin":
                self._drop(flight, is_gone=word == "gone")
                return
            fire.started_at = self._clock.now()
            outcome = await self._run(flight.invocation())
        except asyncio.CancelledError:
            pass
        except Exception as error:  # noqa: BLE001 - the door raises nothing; if it does, tell
            outcome = Outcome(cid="", error=error)
        self._land(flight, outcome)

    async def _begins(self, fire: Fire) -> Literal["begin", "wait", "gone"]:
        """Write down that what had to wait begins: a crash is one from now. Whether it may."""
        while True:
            self._submit_done()
            try:
                return await self._database.write(
                    lambda c: takeover.begin_again(c, fire, alone=not self._others)
                )
            except UnavailableError:
                await asyncio.sleep(RETRY_S)

    def _drop(self, flight: Flight, *, is_gone: bool) -> None:
        """Somebody else has closed the run meanwhile, or is at the one before it."""
        flight.is_closed = True
        flight.task = None
        self._leave(flight)
        if is_gone:
            self._forget(flight.fire)
        else:
            flight.fire.at = self._clock.now() + NODES_EVERY
            self._await_next_attempts([flight.fire])

    def _stop(self, flight: Flight, verdict: Verdict) -> None:
        if flight.is_closed:
            return
        flight.stop(verdict)
        if flight.timer is not None:
            flight.timer.cancel()
        flight.timer = self._loop.call_later(ABANDON_S, self._abandon, flight)

    def _abandon(self, flight: Flight) -> None:
        if not flight.is_closed:
            fields = {"service": flight.fire.job.service, "job": flight.fire.job.name}
            _log.error("service goes on after it was cancelled", extra=fields)
            self._land(flight, None)

    # Landing

    def _land(self, flight: Flight, outcome: Outcome | None) -> None:
        if flight.is_closed:
            return
        flight.is_closed = True
        flight.task = None
        if flight.timer is not None:
            flight.timer.cancel()
            flight.timer = None
        ended = flight.ended(outcome, self._clock.now())
        self._leave(flight)
        self._settle(ended)

    def _settle(self, ended: Ended) -> None:
        self._done.append(ended)
        if not self._flush_is_due:
            self._flush_in_time()
        if len(self._done) >= MOST_LINGERING and not self._unkept:
            self._submit_done()
        if ended.outcome != "ok" or ended.settled.callbacks or ended.fire.kind != "scheduled":
            self._loop.call_soon(self._flush)  # somebody, or something else, waits for it
        if ended.settled.outcome is not None:
            self._forget(ended.fire)

    def _leave(self, flight: Flight) -> None:
        """Make room for the next one."""
        service = flight.fire.job.service
        del self._flights[flight.fire.run_id]
        self._by_service[service] -= 1
        if crowd := self._crowded.get(service):
            self._begin([crowd.popleft()])
        while self._ready and len(self._flights) < self._capacity:
            self._begin([heappop(self._ready)[-1]])
        if self._is_full and len(self._ready) < MOST_READY // 2:
            self._is_full = False
            self._bell.set()

    def _forget(self, fire: Fire) -> None:
        """A run is over: the next one of its job may go."""
        job_id = fire.job_id
        if not job_id:
            return
        left = self._open[job_id] - 1
        if left > 0:
            self._open[job_id] = left
            return
        del self._open[job_id]
        if waiting := self._behind.get(job_id):
            following = waiting.popleft()
            if not waiting:
                del self._behind[job_id]
            self._open[job_id] = 1
            self._begin([following])

    # Settling

    def _flush_in_time(self) -> None:
        self._flush_is_due = True
        if self._others:  # they would take it to be in flight
            self._loop.call_soon(self._flush)
        else:
            self._loop.call_at(self._flushed_at + LINGER_S, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        if not self._unkept:
            self._submit_done()

    def _submit_done(self) -> None:
        if not self._done:
            return
        batch, self._done = self._done, []
        self._submit(batch)

    def _submit(self, batch: list[Ended]) -> None:
        self._flushed_at = self._loop.time()
        now, node = self._clock.now(), self.node
        self._unkept += 1
        held = [ended.fire.job_id for ended in batch if _may_pause(ended)]
        for job_id in held:
            self._held[job_id] += 1
        begun = self._begun(held) if held else NOBODY

        def kept(settlement: Settlement | None, error: BaseException | None) -> None:
            self._release(held, set() if settlement is None else set(settlement.revoked))
            self._kept(batch, settlement, error)

        self._database.submit(lambda c: settling.settle_all(c, batch, now, node, begun), kept)

    def _kept(
        self,
        batch: list[Ended],
        settlement: Settlement | None,
        error: BaseException | None,
    ) -> None:
        self._unkept -= 1
        if settlement is None:
            _log.error("settling failed", extra={"error": str(error), "runs": len(batch)})
            self._settle_again(batch, error)
            return
        for ended in settlement.refused:
            self.refused += 1
            fields = {"job": ended.fire.job.name, "run": ended.fire.number}
            _log.warning("late result refused", extra=fields)
            if ended.settled.outcome is None:
                self._forget(ended.fire)
        self._await_next_attempts(settlement.again)
        self.accept(settlement.fires)
        if self._done and not self._flush_is_due:
            self._flush_in_time()
        if not self._flights and not self._done and not self._unkept:
            self._rest.set()

    def _settle_again(self, batch: list[Ended], error: BaseException | None) -> None:
        """The store is away, or one outcome cannot be kept, which holds up no other."""
        if isinstance(error, UnavailableError):
            self._done[:0] = batch
            self._loop.call_later(RETRY_S, self._flush)
        elif len(batch) > 1:
            for ended in batch:
                self._submit([ended])
        elif batch[0].error != NOT_KEPT:
            told = Settled("error")
            self._submit([Ended(batch[0].fire, told, "error", batch[0].finished_at, NOT_KEPT)])

    # For the door of jobs

    async def carry(
        self, operation: Callable[[Connection], Result], take: Callable[[Result], object]
    ) -> Result:
        """Write, and take what comes of it, even when nobody waits for it any more.

        What is committed is ours to do; the task that asked may be cancelled meanwhile.
        """
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Result | None, error: BaseException | None) -> None:
            if error is None:
                take(cast("Result", result))
            if future.done():
                return
            if error is None:
                future.set_result(cast("Result", result))
            else:
                future.set_exception(error)

        self._database.submit(operation, done)
        return await future

    async def change(
        self,
        job_ids: Collection[int] | None,
        operation: Callable[[Connection, Begun], Result],
        revoked: Callable[[Result], Collection[int]],
    ) -> Result:
        """Write a change of these jobs, or of all, and start no run of them before it is made.

        Runs that are ``revoked`` by it never start.
        """
        self._all_held += job_ids is None
        for job_id in job_ids or ():
            self._held[job_id] += 1
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Result | None, error: BaseException | None) -> None:
            self._release(job_ids, set() if result is None else set(revoked(result)))
            if future.done():
                return
            if error is None:
                future.set_result(cast("Result", result))
            else:
                future.set_exception(error)

        self._submit_done()
        begun = self._begun(job_ids)
        self._database.submit(lambda c: operation(c, begun), done)
        return await future

    def _begun(self, job_ids: Collection[int] | None) -> Begun:
        """Which runs of these jobs, or of all, have begun here; for as long as they are held."""
        fires = [flight.fire for flight in self._flights.values()]
        fires += [ended.fire for ended in self._done]
        begun = (fire.run_id for fire in fires if job_ids is None or fire.job_id in job_ids)
        return Begun(self.node, frozenset(begun))

    def _release(self, job_ids: Collection[int] | None, revoked: set[int]) -> None:
        for fire in self._withdraw(revoked):
            self._forget(fire)
        self._all_held -= job_ids is None
        for job_id in job_ids or ():
            self._held[job_id] -= 1
            if not self._held[job_id]:
                del self._held[job_id]
        parked = [fire for fires in self._parked.values() for fire in fires]
        self._parked.clear()
        self._begin(parked)

    def cancel(self, run_id: int) -> bool:
        """Cancel a run that is in flight here; whether there was one."""
        if (flight := self._flights.get(run_id)) is not None:
            self._stop(flight, "cancelled")
            return True
        withdrawn = self._withdraw({run_id})
        for fire in withdrawn:
            waiting = Flight(fire)
            waiting.verdict = "cancelled"
            self._settle(waiting.ended(None, self._clock.now()))
        return bool(withdrawn)

    def _withdraw(self, run_ids: Collection[int]) -> list[Fire]:
        """Take runs that were not begun out of everything that would begin them."""
        found = [fire for fire in self._unbegun() if fire.run_id in run_ids]
        if not found:
            return found
        self._ready = [entry for entry in self._ready if entry[-1].run_id not in run_ids]
        heapify(self._ready)
        for ahead in self._ahead.values():
            ahead[:] = [fire for fire in ahead if fire.run_id not in run_ids]
        for job_id, behind in self._behind.items():
            self._open[job_id] += sum(fire.run_id in run_ids for fire in behind)
        for waiting in (*self._behind.values(), *self._crowded.values(), *self._parked.values()):
            for fire in [fire for fire in waiting if fire.run_id in run_ids]:
                waiting.remove(fire)
        return found

    def lines(self, run_id: int) -> Sequence[LogLine]:
        """What a run in flight here has logged so far."""
        flight = self._flights.get(run_id)
        return () if flight is None or flight.lines is None else tuple(flight.lines)

    def started(self, run_id: int) -> Instant | None:
        """When the run in flight here was started."""
        flight = self._flights.get(run_id)
        return None if flight is None else flight.fire.started_at or None

    @property
    def in_flight(self) -> int:
        """How many runs are in flight here."""
        return len(self._flights)

    @property
    def next_start(self) -> Instant | None:
        """When the first of the runs that are claimed already is to start."""
        return self._moments[0] if self._moments else None

    async def rest(self) -> None:
        """Wait until no run is in flight here, and all that ended is kept."""
        while self._flights or self._done or self._unkept:
            self._submit_done()
            self._rest.clear()
            await self._rest.wait()


def _ignore(result: object, error: BaseException | None) -> None:
    """Nobody waits for it; if it failed, the runs are taken over as those of a dead process."""


def _may_pause(ended: Ended) -> bool:
    return ended.fire.job.pause_after_failures is not None and ended.outcome != "ok"
