"""Scheduler: the life of the parts that run jobs, and the values that pass between them.

The dispatcher hands claimed attempts to the executor, the executor hands results to the completer,
and the completer returns follow-ups, which the scheduler alone passes back to the executor.
Everything here happens in the loop's thread.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from functools import partial
from typing import ClassVar, Self, TypeVar

from zato_lite.clock import Clock
from zato_lite.errors import StoreError, StoreLockedError, UnavailableError
from zato_lite.scheduler.attempt import RunningAttempt
from zato_lite.scheduler.clock_watch import ClockWatch
from zato_lite.scheduler.completer import Completer, FollowUps
from zato_lite.scheduler.dispatcher import Dispatcher
from zato_lite.scheduler.executor import Executor
from zato_lite.scheduler.metrics import RunMetrics
from zato_lite.scheduler.node import Node
from zato_lite.scheduler.observer import NoObserver, Observer, tell_edited
from zato_lite.scheduler.principals import Principals, Run, system
from zato_lite.scheduler.pruner import ActivePruner, prune_periodically
from zato_lite.scheduler.transactions import Transactions, refuse_transactions
from zato_lite.scheduler.wishes import Wishes
from zato_lite.service.supervisor import Supervisor
from zato_lite.store import jobs, recovery
from zato_lite.store.attempts import ClaimedAttempt, StartedRuns
from zato_lite.store.companion import accompanied
from zato_lite.store.completion import SYSTEM
from zato_lite.store.delivery import resolve, write_and_deliver
from zato_lite.store.jobs import EditResult
from zato_lite.store.nodes import NodeLocks
from zato_lite.store.others import NEW_RIGHTS, NEW_RUNS, Others
from zato_lite.store.ports import Connection, Database, lane_for_scheduler
from zato_lite.store.rights import AllRights, changed_rights
from zato_lite.store.rows import LogLine
from zato_lite.store.wishes import Asked, ask_owners
from zato_lite.timetable.job import Instant

Result = TypeVar("Result")
_Started = tuple[Sequence[ClaimedAttempt], AllRights | None]


_log = logging.getLogger("zato_lite.scheduler")


def _call_soon(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    loop.call_soon_threadsafe(callback)


def _ignore(_: str) -> None:
    pass


def _no_edits(_: object) -> Iterable[EditResult]:
    return ()


RETRY_S = 1.0
"""Seconds between two attempts to claim from a store that is unavailable."""

REFUSED_RETRY_S = 10.0
"""Seconds between two attempts to come back to a store that refuses this program."""

RIGHTS_EVERY_S = 3.0
"""Seconds after which changed users and keys of another node are read, if its ring is lost."""

SAVE_TIMEOUT_S = 10.0
"""Seconds that shutdown waits for the last outcomes to be saved; unsaved runs are run again."""


class Scheduler:
    """Runs jobs at their slots while its ``async with`` block lasts, or until it is drained.

    Args:
        database: the store of jobs and runs.
        run: invokes a service.
        capacity: maximum number of runs at the same time.
        node_name: name of this process among others on the same store.
        grace: seconds that runs in flight may take to end when the scheduler stops.
        locks: proof of which nodes are alive; by default this node is alone.
        principals: the rights of users and keys; without them, SYSTEM makes all runs.
        commit_seconds: returns the recent duration of the store's commits.
        observer: is informed of results, claims and changes of jobs.
        services: returns the names of the services that this process has.

    Attributes:
        capacity: maximum number of runs at the same time.
        metrics: counters of claims and of the attempts that were saved here.
        on_message: called with each text that another node has sent.
    """

    executor_class: ClassVar[type[Executor]] = Executor

    def __init__(
        self,
        database: Database,
        run: Run,
        clock: Clock,
        *,
        capacity: int = 10_000,
        node_name: str = "zato-lite",
        grace: float = 30.0,
        locks: Others | None = None,
        principals: Principals | None = None,
        commit_seconds: Callable[[], float] = float,
        observer: Observer | None = None,
        services: Callable[[], Iterable[str]] = tuple,
    ) -> None:
        self.observer = observer or NoObserver()
        self._database, self._grace, self._principals = database, grace, principals
        self._own = own = lane_for_scheduler(database)
        self.capacity = capacity
        self._clock = clock
        self.on_message: Callable[[str], None] = _ignore
        self._new_rights = asyncio.Event()
        self._burial: asyncio.Task[None] | None = None
        self.metrics = metrics = RunMetrics()
        self._node = node = Node(own, clock, node_name, locks or _locks_of(database), services)
        self._running: dict[int, RunningAttempt] = {}
        self._transactions = Transactions(getattr(database, "connect_run", refuse_transactions))
        wake = asyncio.Event()
        self._completer = completer = Completer(
            own,
            clock,
            node,
            self._running,
            metrics=metrics,
            wake=wake.set,
            on_saved=self._start_follow_ups,
            transactions=self._transactions,
        )
        self._executor = executor = self._make_executor(run, clock, capacity, wake)
        self._wishes = wishes = Wishes(database, clock, node, executor, self._change_runs)
        self._dispatcher = Dispatcher(
            own,
            clock,
            node,
            executor,
            completer,
            metrics=metrics,
            wake=wake,
            principals=principals,
            commit_seconds=commit_seconds,
            answer_wishes=wishes.answer,
            observer=self.observer,
        )
        self._claiming = self._supervise("scheduler", self._dispatcher.run_once)
        self._supervisors = (self._claiming, *self._supervise_upkeep(database, clock))
        self._clock_watch = ClockWatch(database, clock, self._follow_clock)
        self._watching = self._supervise("clock", self._clock_watch.check_periodically)

    def _make_executor(
        self, run: Run, clock: Clock, capacity: int, wake: asyncio.Event
    ) -> Executor:
        return self.executor_class(
            run,
            clock,
            self._node,
            capacity,
            self._running,
            caller_of=self._principals.caller_of if self._principals is not None else system,
            on_result=self._completer.add,
            record_start=self._completer.record_start,
            revoke_claim=self._revoke_claim,
            on_room=wake.set,
            transactions=self._transactions,
            observer=self.observer,
        )

    def _supervise_upkeep(self, database: Database, clock: Clock) -> Iterable[Supervisor]:
        """Return the supervisors of pruning and of the recovery of other nodes' runs."""
        active_pruner = ActivePruner(database, clock)
        return (
            self._supervise("retention", lambda: prune_periodically(database, clock)),
            self._supervise("active retention", active_pruner.prune_periodically),
            self._supervise("takeover", self._dispatcher.recover_periodically),
        )

    def _supervise(self, name: str, work: Callable[[], Awaitable[object]]) -> Supervisor:
        restart = self._dispatcher.claim_now
        return Supervisor(name, work, min_delay_s=RETRY_S, max_delay_s=RETRY_S, on_restart=restart)

    # Life

    async def __aenter__(self) -> Self:
        await self.load_rights()
        loop = asyncio.get_running_loop()
        self._node.on_buried(partial(_call_soon, loop, self._note_burial))
        downtime = await self._node.enter()
        self._node.listen(self._hear)
        await self._recover_if_unlocked()
        if self._node.is_alone:
            self._dispatcher.downtime = downtime
        self._dispatcher.claim_now()
        for supervisor in self._supervisors:
            supervisor.start()
        self._watching.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.drain()

    async def drain(self, grace: float | None = None) -> None:
        """Claim no more, let runs in flight end within ``grace`` seconds, release the rest.

        Runs that have not ended by then are cancelled; unless their job says ``on_crash: fail``,
        the node that recovers them makes another attempt.
        """
        while self._burial is not None and not self._burial.done():
            self._burial.cancel()
            await asyncio.wait([self._burial])
            if not self._node.is_running:  # not back: nothing to save
                await self.crash()
        if not self._node.is_running:
            return
        self._node.is_running = False
        try:
            await self._stop(self._grace if grace is None else grace)
        except UnavailableError:
            if not self._node.is_buried:
                raise
        finally:
            # To the end, as the dispatcher saves the results of the runs that end meanwhile.
            await self._stop_background()
            await self._node.leave()

    async def _stop(self, grace: float) -> None:
        self._dispatcher.stop()
        left = self._executor.stop()
        # Writes are answered in order: a claim that is under way is delivered before this one.
        await self._database.write(lambda _: None)
        if left:
            self._completer.save()
            started = self._completer.started_runs(None)
            await self._own.write(lambda c: recovery.release_claims(c, left, started))
            self._node.ring(self._node.others)
        await self._wishes.stop()
        await self._executor.finish_running(grace)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SAVE_TIMEOUT_S):
                await self.wait_until_idle()

    async def crash(self) -> None:
        """Stop without saving or releasing anything, as a killed process does."""
        self._drop_all()
        await self._stop_background()

    def _drop_all(self) -> None:
        self._node.crash()
        self._wishes.crash()
        self._dispatcher.stop()
        self._executor.crash()
        self._completer.crash()

    async def _stop_background(self) -> None:
        await self._watching.stop()
        for supervisor in self._supervisors:
            await supervisor.stop()

    def _note_burial(self) -> None:
        """Drop all that this node had: others have taken it for dead, and its runs over."""
        self._node.is_buried = True
        lost = self._executor.forget() + self._completer.forget()
        self.metrics.refused_results += lost
        _log.error("node buried by another one", extra={"node": self._node.id, "runs_lost": lost})
        if not self._node.is_running:  # it stops
            return
        self._node.is_running = False
        self._burial = asyncio.ensure_future(self._enter_again())

    async def _enter_again(self) -> None:
        """Enter as a new node, once no write of the old one is under way."""
        while True:
            try:
                with contextlib.suppress(UnavailableError):
                    await self._database.write(lambda _: None)
                self._node.crash()
                await self._node.enter()
                break
            except UnavailableError:
                await asyncio.sleep(RETRY_S)
            except StoreError as error:
                _log.error("node cannot come back", extra={"why": str(error)})
                await asyncio.sleep(REFUSED_RETRY_S)
        self._node.listen(self._hear)
        with contextlib.suppress(UnavailableError):  # the next check of the nodes does it
            await self._recover_if_unlocked()
        self._dispatcher.claim_now()

    async def _recover_if_unlocked(self) -> None:
        """Recover runs; if another transaction locks one, the next check of the nodes does it."""
        try:
            await self._dispatcher.recover_runs()
        except StoreLockedError as error:
            _log.warning("runs not recovered yet", extra={"why": str(error)})

    async def _follow_clock(self) -> None:
        """Begin the waits of background work again, whose ends the wall clock has moved."""
        for supervisor in self._supervisors:
            if supervisor is not self._claiming:
                await supervisor.stop()
                supervisor.start()
        self._dispatcher.claim_now()

    async def check_clock(self) -> None:
        """Notice a step of the clock now, and count the jobs that it holds up."""
        await self._clock_watch.check()
        await self._clock_watch.count()

    async def tick(self) -> None:
        """Claim once what is due, and save the results that wait."""
        await self._dispatcher.claim()

    def save_results(self) -> None:
        """Save the results that wait for the next commit."""
        self._completer.save()

    async def wait_until_idle(self) -> None:
        """Wait until no run is in flight here and all results are saved."""
        await self._completer.wait_until_idle()

    # Follow-ups

    def _start_follow_ups(self, follow_ups: FollowUps) -> None:
        executor = self._executor
        executor.unfreeze_jobs(follow_ups.unfrozen, follow_ups.revoked)
        for attempt in follow_ups.refused:
            executor.close_run(attempt)
        executor.schedule(follow_ups.next_attempts)
        if follow_ups.callbacks:
            self._dispatcher.deliver(follow_ups.callbacks)
        if follow_ups.paused and self.observer.is_wanted:
            tell_edited(self.observer, follow_ups.paused, SYSTEM)

    def _revoke_claim(self, attempt: ClaimedAttempt) -> None:
        """Revoke a claimed slot, so that it is decided by the present state of its job."""
        job_id = attempt.job_id

        def done(_: object, error: BaseException | None) -> None:
            self.reschedule_claim()

        self._submit_change(
            [job_id], lambda c, started: jobs.revoke_claims(c, job_id, started), set, done
        )

    # Commands

    async def load_rights(self) -> None:
        """Read the rights of users and keys if they have changed; attempts have them from now."""
        version = self._principals.version if self._principals is not None else None
        self._use_rights(await self._database.read(lambda c: changed_rights(c, version)))

    async def announce_rights(self) -> None:
        """Have other nodes read changed rights, and read them here."""
        self.send(None, NEW_RIGHTS)
        await self.load_rights()

    async def follow_rights(self) -> None:
        """Wait until another node announces changed rights, or some seconds; then read them."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(RIGHTS_EVERY_S):
                await self._new_rights.wait()
        self._new_rights.clear()
        with contextlib.suppress(UnavailableError):  # the store's own trouble is known
            await self.load_rights()

    def _use_rights(self, rights: AllRights | None) -> None:
        if rights is not None and self._principals is not None:
            self._principals.update(rights)

    def reschedule_claim(self, due: Instant | None = None) -> None:
        """Claim in time for a slot that is due at the given instant; without one, now."""
        if self._node.is_running:
            self._dispatcher.claim_in_time_for(due)

    async def start_runs(
        self,
        operation: Callable[[Connection], Sequence[ClaimedAttempt]],
        job_ids: Collection[int] = (),
    ) -> Sequence[ClaimedAttempt]:
        """Write runs on demand, and start them even if the caller is cancelled meanwhile.

        Slots of ``job_ids`` that other nodes have claimed ahead are given back before.
        """
        version = self._principals.version if self._principals is not None else None
        operation, node = accompanied(operation), self._node.id

        def work(connection: Connection) -> _Started | Asked:
            if job_ids and (asked := ask_owners(connection, job_ids, node, self._clock.now())):
                return asked
            return operation(connection), changed_rights(connection, version)

        async def attempt() -> _Started | Asked:
            return await write_and_deliver(self._database, work, self._deliver)

        return (await self._wishes.insist(attempt))[0]

    def _deliver(self, started: _Started | Asked) -> None:
        if isinstance(started, Asked):
            return
        attempts, rights = started
        self._use_rights(rights)
        self._dispatcher.deliver(attempts)

    async def change_jobs(
        self,
        job_ids: Collection[int] | None,
        operation: Callable[[Connection, StartedRuns], Result],
        revoked: Callable[[Result], Collection[int]],
        edits: Callable[[Result], Iterable[EditResult]] = _no_edits,
    ) -> Result:
        """Write a change of these jobs, or of all; until it is written, no run of them starts.

        Runs that other nodes have claimed, and not started, are given back before. Runs that the
        change has ``revoked`` never start here; others get the new definitions of its ``edits``,
        and held runs start if these end a pause.
        """
        operation, node = accompanied(operation), self._node.id
        was_asked = False

        def work(connection: Connection, started: StartedRuns) -> Result | Asked:
            if asked := ask_owners(connection, job_ids, node, self._clock.now()):
                return asked
            return operation(connection, started)

        def written(result: Result | Asked) -> Collection[int]:
            if isinstance(result, Asked):
                return ()
            for edit in edits(result):
                self._apply_edit(edit)
            return revoked(result)

        async def attempt() -> Result | Asked:
            nonlocal was_asked
            result = await self._write_change(job_ids, work, written)
            was_asked = was_asked or isinstance(result, Asked)
            return result

        changed = await self._wishes.insist(attempt)
        if was_asked:  # runs that were given back to any node may start
            self.release_held()
        return changed

    async def _change_runs(
        self,
        job_ids: Collection[int],
        operation: Callable[[Connection, StartedRuns], Collection[int]],
    ) -> Collection[int]:
        """Write a change of runs of these jobs; those that it returns do not start here."""
        return await self._write_change(job_ids, operation, lambda revoked: revoked)

    async def _write_change(
        self,
        job_ids: Collection[int] | None,
        operation: Callable[[Connection, StartedRuns], Result],
        revoked: Callable[[Result], Collection[int]],
    ) -> Result:
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        self._submit_change(
            job_ids, operation, revoked, lambda result, error: resolve(future, result, error)
        )
        return await future

    def _apply_edit(self, edit: EditResult) -> None:
        self._executor.replace_job(edit.row.id, edit.row.job)
        for job_id, job in edit.renamed.items():
            self._executor.replace_job(job_id, job)
        if edit.has_resumed:
            self.release_held()

    def replace_principal(self, job_ids: Collection[int], principal: str) -> None:
        """Have attempts of these jobs that wait here made on behalf of a principal."""
        self._executor.replace_principal(job_ids, principal)

    def release_held(self) -> None:
        """Start runs that a pause held, as soon as possible: it has ended."""
        if self._node.is_running:
            self._dispatcher.recover_now()

    def _submit_change(
        self,
        job_ids: Collection[int] | None,
        operation: Callable[[Connection, StartedRuns], Result],
        revoked: Callable[[Result], Collection[int]],
        then: Callable[[Result | None, BaseException | None], None],
    ) -> None:
        def done(result: Result | None, error: BaseException | None) -> None:
            self._executor.unfreeze_jobs(job_ids, set() if result is None else revoked(result))
            then(result, error)

        self._executor.freeze_jobs(job_ids)
        self._completer.save()
        started = self._completer.started_runs(job_ids)
        self._database.submit(lambda c: operation(c, started), done)

    def cancel_run(self, run_id: int) -> bool:
        """Cancel a run that is in flight or waits here; return False if there is none."""
        return self._executor.cancel(run_id)

    def ring(self, nodes: Collection[int]) -> None:
        """Wake other nodes, which were asked for something."""
        self._node.ring(nodes)

    def send(self, node: int | None, text: str) -> None:
        """Send a text to another node, or to all others; it may be lost."""
        for each in self._node.others if node is None else (node,):
            self._node.locks.ring(each, text)

    def _hear(self, text: str) -> None:
        if text == NEW_RUNS:
            self._dispatcher.recover_now()
        elif text == NEW_RIGHTS:
            self._new_rights.set()
        elif text:
            self.on_message(text)
        else:
            self._wishes.hear()

    # Queries

    def log_lines(self, run_id: int) -> Sequence[LogLine]:
        """Return the lines that a run in flight here has logged so far."""
        running = self._running.get(run_id)
        return () if running is None or running.lines is None else tuple(running.lines)

    def started_at(self, run_id: int) -> Instant | None:
        """Return the start of a run in flight here, or None."""
        running = self._running.get(run_id)
        return None if running is None else running.attempt.started_at or None

    @property
    def node_id(self) -> int:
        """This process's number among the nodes; 0 before the start and after the end."""
        return self._node.id

    @property
    def is_running(self) -> bool:
        """True while runs are claimed and started."""
        return self._node.is_running

    @property
    def trouble(self) -> str:
        """Reason for which runs cannot be claimed or saved, or an empty text."""
        failures = self._claiming.failures
        if failures.count:
            return f"runs cannot be claimed: {failures.words}"
        return self._completer.trouble

    @property
    def clock_warning(self) -> str:
        """The jobs that a clock set back holds up, in a sentence, or an empty text."""
        return self._clock_watch.warning

    @property
    def in_flight(self) -> int:
        """Number of runs in flight here."""
        return len(self._running)

    @property
    def next_start(self) -> Instant | None:
        """Instant of the first start among the claimed runs, or None."""
        return self._executor.next_start


def _locks_of(database: Database) -> NodeLocks:
    """Return locks of a node that is alone; nodes after it on this database read its journal."""
    alone = getattr(getattr(database, "locks", None), "alone", None)
    found: NodeLocks = NodeLocks(":memory:") if alone is None else alone()
    return found
