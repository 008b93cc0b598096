"""The timetable in motion: claims what is due, runs it at its instant, settles what came of it.

Runs that are sure to be are claimed shortly before their instant, so that nothing lies between
the instant and the start: see ``store.claims.claim``. What is not sure is claimed at its instant.
Everything here happens in the loop's thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from types import TracebackType
from typing import Self, TypeVar, cast

from zato_lite.clock import Alarm, Clock
from zato_lite.log import Repeats
from zato_lite.scheduler import pruner
from zato_lite.scheduler.completer import RETRY_S, Completer
from zato_lite.scheduler.executor import Executor, Run
from zato_lite.scheduler.metrics import RunMetrics
from zato_lite.scheduler.node import NODES_EVERY, NODES_SELDOM, Node
from zato_lite.scheduler.pruner import TIDY_EVERY, until
from zato_lite.store import claim, jobs, nodes, recovery
from zato_lite.store.claim import ClaimResult
from zato_lite.store.jobs import StartedRuns
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.ports import Connection, Database
from zato_lite.store.recovery import RecoveryResult
from zato_lite.store.rows import LogLine
from zato_lite.store.runs import ClaimedAttempt
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.job_plan import Downtime

Result = TypeVar("Result")

LEAD = 3 * SECOND // 4
"""Runs are claimed by so much before their instant at most: so long may pass between two claims,
with ``MARGIN`` for the next one. More of it would have a crash count more runs as begun."""

MARGIN = SECOND // 4
"""They are claimed by so much before it at least: a commit may take long."""

CLAIM_SIZE = 1_000

LONGEST_NAP = 60 * SECOND
"""Another process may have died, or put a job that is due sooner than all that this one knows."""

LAST_WORDS_S = 10.0
"""At the end, a store that takes no outcomes is waited for so long."""

_CLAIMING = "scheduler"
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

    Attributes:
        ticks: how often it looked for what is due.
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
        self._database, self._clock, self._grace = database, clock, grace
        self._node = Node(database, clock, node_name, locks or NodeLocks(":memory:"))
        self._bell = asyncio.Event()
        self._runway = Executor(
            run,
            clock,
            self._node,
            capacity,
            reconsider=self._reconsider,
            has_room=self._bell.set,
        )
        self._settler = Completer(
            database,
            clock,
            self._node,
            self._runway,
            accept=self.accept,
            claim_along=self._claim_along,
        )
        self._runway.settle, self._runway.begins = self._settler.take, self._settler.begins
        self._tasks: list[asyncio.Task[None]] = []
        self._errands: set[asyncio.Task[None]] = set()
        self._alarm: Alarm | None = None
        self._wake_at: Instant | None = None
        self._next_due: Instant | None = None
        self._is_idle = False
        self._downtime: Downtime | None = None
        self._troubles: dict[str, Repeats] = {}
        self.ticks = 0

    # Life

    async def __aenter__(self) -> Self:
        self._runway.start()
        self._settler.start()
        downtime = await self._node.enter()
        await self._adopt()
        if not self._node.others:
            self._downtime = downtime
        self._bell.set()
        self._tasks = [
            asyncio.create_task(self._for_ever(work, name), name=name)
            for name, work in (
                (_CLAIMING, self._claim_on),
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
        """Claim no more, let runs in flight end within ``grace`` seconds, hand the rest back.

        What has not ended by then is cancelled; unless its job says ``on_crash: fail``, its next
        attempt is whoever's takes it over.
        """
        if not self._node.is_running:
            return
        self._node.is_running = False
        try:
            await self._end(self._grace if grace is None else grace)
        finally:
            await self._node.leave()

    async def _end(self, grace: float) -> None:
        await self._stop_claiming()
        left = self._runway.waiting.clear()
        if left:
            self._settler.submit_done()
            begun = self._settler.begun(None)
            await self._database.write(lambda c: recovery.release_claims(c, left, begun))
        await self._runway.clear(grace)
        with contextlib.suppress(TimeoutError):  # what a broken store does not take is run again
            async with asyncio.timeout(LAST_WORDS_S):
                await self.rest()

    async def _stop_claiming(self) -> None:
        self._runway.stop()
        if self._alarm is not None:
            self._alarm.cancel()
        for task in self._tasks:
            task.cancel()
        await asyncio.wait(self._tasks)
        # A claim that was under way is taken when it is committed; so is this, and after it.
        await self._database.write(lambda _: None)

    # Claiming

    def reschedule_claim(self, next_at: Instant | None = None) -> None:
        """Look again what is due: at once, or in time for the instant given."""
        if not self._node.is_running:
            return
        now = self._clock.now()
        moment = now if next_at is None else max(now, next_at - MARGIN)
        if self._wake_at is None or moment < self._wake_at:
            self._wake_in_time(moment)

    async def tick(self) -> None:
        """Claim what is due once, and start what it is time for."""
        self.ticks += 1
        self._wake_at = self._next_due = None  # whatever changes from now on, this may miss it
        position, more, exact = claim.FIRST_POSITION, True, None
        claimed: ClaimResult | None = None
        while more:
            self._settler.submit_done()
            if self._runway.is_full():
                return
            now = self._clock.now()
            horizon = now if self._node.others else now + LEAD
            claimed = await self._claim(now, horizon, position)
            position, more = claimed.position, claimed.has_more
            if claimed.is_shared and not self._node.others:
                await self._adopt()
            exact = min(
                (at for at in (exact, claimed.claim_again_at) if at is not None), default=None
            )
        if claimed is not None:
            self._nap(exact, claimed.next_due)

    async def _claim_on(self) -> None:
        self._is_idle = True
        try:
            await self._bell.wait()
        finally:
            self._is_idle = False
        self._bell.clear()
        await self.tick()

    def _claim_along(self) -> bool:
        """Claim now if anything can be claimed: outcomes that are to be kept come along."""
        if not self._is_idle or self._runway.is_full():
            return False
        if self._next_due is None or self._next_due > self._clock.now() + LEAD:
            return False
        self._bell.set()
        return True

    async def _for_ever(self, work: Callable[[], Awaitable[object]], name: str) -> None:
        """Do it again and again: a store that is full or away comes back.

        And a service may cancel all tasks that it finds: these end by ``drain`` only.
        """
        trouble = self._troubles[name] = Repeats()
        while self._node.is_running:
            try:
                if trouble.count:
                    await asyncio.sleep(RETRY_S)
                await work()
                if trouble.count:
                    _log.warning("work goes on", extra={"work": name, "failures": trouble.over()})
            except asyncio.CancelledError:
                if not self._node.is_running:
                    raise
                asyncio.get_running_loop().call_soon(self._runway.prune)
                self._bell.set()
            except Exception as error:  # noqa: BLE001 - whatever it was, it is tried again
                if trouble.again(str(error)):
                    fields = {"work": name, "so_far": trouble.count}
                    _log.exception("work failed", extra=fields)
                self._bell.set()

    async def _claim(
        self, now: Instant, horizon: Instant, position: tuple[Instant, int]
    ) -> ClaimResult:
        node = self._node.id
        return await self.carry(
            lambda c: claim.claim(
                c,
                now,
                horizon,
                node,
                limit=CLAIM_SIZE,
                position=position,
                margin=MARGIN,
                downtime=self._downtime,
            ),
            self._take,
        )

    def _take(self, claimed: ClaimResult) -> None:
        if claimed.jobs_to_cancel:
            mine = [
                *self._runway.waiting.all(),
                *(flight.attempt for flight in self._runway.flights.values()),
            ]
            for attempt in mine:
                if attempt.job_id in claimed.jobs_to_cancel:
                    self._runway.cancel(attempt.run_id)
        self.accept(claimed.attempts)

    def _nap(self, exact: Instant | None, following: Instant | None) -> None:
        now, is_alone = self._clock.now(), not self._node.others
        moments = [now + (LONGEST_NAP if is_alone else NODES_EVERY)]
        if exact is not None:
            moments.append(exact)
        if following is not None:
            moments.append(following - (MARGIN if is_alone else 0))
        due = [moment for moment in (exact, following) if moment is not None]
        self._next_due = min(due, default=None) if is_alone else None
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

    def accept(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Attempts that are this node's to make, each at its instant."""
        if self._node.is_running:
            self._runway.accept(attempts)
        else:
            self._give_up(list(attempts))

    def _give_up(self, attempts: list[ClaimedAttempt]) -> None:
        """It comes too late: the scheduler has stopped, or was never there."""
        if self._node.id and attempts:
            begun = self._settler.begun(None)
            self._database.submit(lambda c: recovery.release_claims(c, attempts, begun), _ignore)

    def _reconsider(self, attempt: ClaimedAttempt) -> None:
        """Take the claim back, so that the slot is decided by how things are now."""
        job_id = attempt.job_id

        async def reconsider() -> None:
            await self.change_jobs(
                [job_id], lambda c, begun: jobs.revoke_claims(c, job_id, begun), set
            )
            self.reschedule_claim()

        task = asyncio.create_task(reconsider())
        self._errands.add(task)
        task.add_done_callback(self._errands.discard)

    # Now and then

    async def _tidy_up(self) -> None:
        """From time to time delete what is too old, in parts that hold nobody up."""
        await until(self._clock, self._clock.now() + TIDY_EVERY)
        await pruner.tidy(self._database, self._clock)

    async def _look_at_others(self) -> None:
        await until(
            self._clock, self._clock.now() + (NODES_EVERY if self._node.others else NODES_SELDOM)
        )
        before = self._node.others
        await self._adopt()
        if self._node.others != before:
            self._bell.set()

    async def _adopt(self) -> None:
        """Take over what dead processes had, and what others handed back."""
        alive = await self._node.look_around()
        while await self._adopt_some(alive):
            pass

    async def _adopt_some(self, alive: Sequence[int]) -> bool:
        now, node = self._clock.now(), self._node.id

        def work(connection: Connection) -> RecoveryResult:
            nodes.record_seen(connection, node, now)
            return recovery.recover_runs(connection, alive, node, now)

        adopted = await self.carry(work, lambda adopted: self.accept(adopted.attempts))
        if adopted.attempts or adopted.closed:
            fields = {"again": len(adopted.attempts), "closed": adopted.closed}
            _log.warning("runs taken over", extra=fields)
        return adopted.has_more

    # For the door of jobs

    async def carry(
        self, operation: Callable[[Connection], Result], take: Callable[[Result], object]
    ) -> Result:
        """Write, and take what comes of it, even when nobody waits for it any more.

        What is committed is ours to do; the task that asked may be cancelled meanwhile.
        """

        def done(result: Result | None, error: BaseException | None) -> None:
            if error is None:
                take(cast("Result", result))

        return await self._written(operation, done)

    async def start_runs(
        self, operation: Callable[[Connection], Sequence[ClaimedAttempt]]
    ) -> Sequence[ClaimedAttempt]:
        """Write runs on demand, and start them."""
        return await self.carry(operation, self.accept)

    async def change_jobs(
        self,
        job_ids: Collection[int] | None,
        operation: Callable[[Connection, StartedRuns], Result],
        revoked: Callable[[Result], Collection[int]],
    ) -> Result:
        """Write a change of these jobs, or of all, and start no run of them before it is made.

        Runs that are ``revoked`` by it never start.
        """

        def done(result: Result | None, error: BaseException | None) -> None:
            self._runway.release(job_ids, set() if result is None else set(revoked(result)))

        self._runway.hold(job_ids)
        self._settler.submit_done()
        begun = self._settler.begun(job_ids)
        return await self._written(lambda c: operation(c, begun), done)

    async def _written(
        self,
        operation: Callable[[Connection], Result],
        then: Callable[[Result | None, BaseException | None], None],
    ) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()

        def done(result: Result | None, error: BaseException | None) -> None:
            then(result, error)
            if future.done():
                return
            if error is None:
                future.set_result(cast("Result", result))
            else:
                future.set_exception(error)

        self._database.submit(operation, done)
        return await future

    def cancel_run(self, run_id: int) -> bool:
        """Cancel a run that is in flight or waits here; whether there was one."""
        return self._runway.cancel(run_id)

    def log_lines(self, run_id: int) -> Sequence[LogLine]:
        """What a run in flight here has logged so far."""
        flight = self._runway.flights.get(run_id)
        return () if flight is None or flight.lines is None else tuple(flight.lines)

    def started_at(self, run_id: int) -> Instant | None:
        """When the run in flight here was started."""
        flight = self._runway.flights.get(run_id)
        return None if flight is None else flight.attempt.started_at or None

    @property
    def node_id(self) -> int:
        """The number of this process among those that run jobs; 0 before and after."""
        return self._node.id

    @property
    def is_running(self) -> bool:
        """Whether it claims and starts runs."""
        return self._node.is_running

    @property
    def trouble(self) -> str:
        """Why it cannot do what it is there for; empty while it can."""
        claiming = self._troubles.get(_CLAIMING)
        if claiming is not None and claiming.count:
            return f"nothing is started: {claiming.words}"
        return self._settler.trouble

    @property
    def refused(self) -> int:
        """How many results came too late."""
        return self._settler.refused

    @property
    def tally(self) -> RunMetrics:
        """How attempts ended that were made here."""
        return self._settler.tally

    @property
    def in_flight(self) -> int:
        """How many runs are in flight here."""
        return len(self._runway.flights)

    @property
    def next_start(self) -> Instant | None:
        """When the first of the runs that are claimed already is to start."""
        return self._runway.waiting.moments[0] if self._runway.waiting.moments else None

    async def rest(self) -> None:
        """Wait until no run is in flight here, and all that ended is kept."""
        await self._settler.rest()


def _ignore(result: object, error: BaseException | None) -> None:
    """Nobody waits for it; if it failed, the runs are taken over as those of a dead process."""
