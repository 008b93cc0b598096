"""Dispatcher: claims attempts that are due, or whose nodes are dead, for the executor.

An attempt that is certain to run is claimed shortly before its slot, so that nothing lies between
the slot and the start: see ``store.claim.claim``. All others are claimed at their slot.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial

from zato_lite.clock import Alarm, Clock
from zato_lite.scheduler.completer import Completer
from zato_lite.scheduler.executor import Executor
from zato_lite.scheduler.metrics import RunMetrics
from zato_lite.scheduler.node import CHECK_EVERY, Node
from zato_lite.scheduler.observer import NoObserver, Observer, tell_edited
from zato_lite.scheduler.principals import Principals
from zato_lite.scheduler.pruner import sleep_until
from zato_lite.store import claim, nodes, recovery
from zato_lite.store.attempts import ClaimedAttempt
from zato_lite.store.claim import ClaimResult
from zato_lite.store.completion import SYSTEM
from zato_lite.store.delivery import write_and_deliver
from zato_lite.store.ports import Connection, Database
from zato_lite.store.recovery import RecoveryResult
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.job_plan import Downtime

LEAD = 3 * SECOND // 4
"""Runs are claimed at most this long before their slot; a crash counts them as started."""

MARGIN = SECOND // 4
"""Runs are claimed at least this long before their slot, as a commit may take long."""

SHARED_LEAD, SHARED_MARGIN = SECOND // 2, 3 * SECOND // 20
"""The same while there are other nodes: a node that dies takes with it what it has claimed."""

MAX_MARGIN = 4 * SECOND
"""The same for a slow store: the margin follows the measured time of commits up to this."""

COMMITS_AHEAD = 2.5
"""Commits that fit into the margin: the one under way, the claim's own, and some reserve."""

CLAIM_SIZE, SERVER_CLAIM_SIZE = 1_000, 300
"""Maximum number of jobs in one claim: of a file, and of a database server, where its locks hold
up the claims of other nodes."""

RECOVERY_SIZE = 1_000
"""Maximum number of runs that one commit takes over."""

MAX_SLEEP = 60 * SECOND
"""Another process may create a job that is due sooner than any that this node knows."""

_log = logging.getLogger("zato_lite.scheduler")


class Dispatcher:
    """Claims whenever something is due, and saves results in the same commits.

    Args:
        metrics: counts claims.
        commit_seconds: returns the recent duration of commits.
        wake: set by anything that the dispatcher has to act on: due slots, due results, room.
        principals: the rights of users and keys, brought up to date by each claim.
        answer_wishes: answers what other nodes ask for.

    Attributes:
        downtime: time before the start during which no node ran; None if unknown.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node: Node,
        executor: Executor,
        completer: Completer,
        *,
        metrics: RunMetrics,
        wake: asyncio.Event,
        principals: Principals | None = None,
        commit_seconds: Callable[[], float] = float,
        answer_wishes: Callable[[], Awaitable[None]] | None = None,
        observer: Observer | None = None,
    ) -> None:
        self._observer = observer or NoObserver()
        self._commit_seconds, self._answer_wishes = commit_seconds, answer_wishes
        self._database, self._clock, self._node = database, clock, node
        self._executor, self._completer = executor, completer
        self._metrics, self._wake, self._principals = metrics, wake, principals
        self.downtime: Downtime | None = None
        self._is_claim_due = self._is_recovery_due = False
        self._deaths = recovery.Deaths(node.journal_of)
        self._alarm: Alarm | None = None
        self._claim_at: Instant | None = None
        self._next_due: Instant | None = None

    async def run_once(self) -> None:
        """Wait until woken; then claim if anything can be claimed, and save due results."""
        await self._wake.wait()
        self._wake.clear()
        if self._is_recovery_due and not self._executor.is_full:
            await self.recover_runs()
        if self._node.is_running and (self._is_claim_due or self._can_claim_ahead()):
            await self.claim()
        else:
            self._completer.save_due()

    @property
    def _margin(self) -> int:
        least = MARGIN if self._node.is_alone else SHARED_MARGIN
        return margin_for(self._commit_seconds(), least)

    @property
    def _lead(self) -> int:
        more = LEAD - MARGIN if self._node.is_alone else SHARED_LEAD - SHARED_MARGIN
        return self._margin + more

    def _can_claim_ahead(self) -> bool:
        return self._next_due is not None and self._next_due <= self._clock.now() + self._lead

    async def claim(self) -> None:
        """Claim all that is due, in parts; results that wait are saved by the same commits."""
        self._metrics.claims += 1
        # Cleared first: a change during this claim may come too late for it.
        self._is_claim_due, self._claim_at, self._next_due = False, None, None
        position, claim_again_at, node = claim.FIRST_POSITION, None, self._node
        margin, lead, share = self._margin, self._lead, node.share
        while True:
            self._completer.save()
            if self._executor.is_full or not node.is_running:
                self._is_claim_due = True  # the executor wakes the dispatcher when it has room
                return
            now = self._clock.now()
            operation = partial(
                claim.claim,
                now=now,
                horizon=now + lead,
                node=node.id,
                limit=SERVER_CLAIM_SIZE if node.locks.needs_stamps else CLAIM_SIZE,
                position=position,
                margin=margin,
                downtime=self.downtime,
                rights_version=self._principals.version if self._principals else None,
                share=share,
                elsewhere=node.elsewhere,
            )
            claimed = await write_and_deliver(self._database, operation, self._deliver)
            if claimed.resumed or (claimed.is_shared and node.is_alone):
                await self.recover_runs()
            claim_again_at = _earliest(claim_again_at, claimed.claim_again_at)
            if not claimed.has_more:
                break
            position = claimed.position
        self._schedule_next(claim_again_at, claimed.next_due)

    def _deliver(self, claimed: ClaimResult) -> None:
        if claimed.rights is not None and self._principals is not None:
            self._principals.update(claimed.rights)
        if claimed.jobs_to_cancel:
            self._executor.cancel_jobs(claimed.jobs_to_cancel)
            self._node.ring(claimed.asked)
        if claimed.attempts:
            self.deliver(claimed.attempts)
        if self._observer.is_wanted:
            self._observer.claimed(claimed)

    def deliver(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Hand claimed attempts to the executor; a node that has stopped releases them."""
        if self._node.is_running:
            self._executor.accept(attempts)
        elif self._node.id and (released := list(attempts)):
            started = self._completer.started_runs(None)
            # If this fails, another node recovers the runs, as after a crash.
            self._database.submit(
                lambda c: recovery.release_claims(c, released, started), lambda *_: None
            )

    # When to claim next

    def claim_now(self) -> None:
        """Claim as soon as possible."""
        self._is_claim_due = True
        self._wake.set()

    def claim_in_time_for(self, due: Instant | None = None) -> None:
        """Claim in time for a slot that is due then; without an instant, now."""
        now = self._clock.now()
        instant = now if due is None else max(now, due - self._margin)
        if self._claim_at is None or instant < self._claim_at:
            self._set_alarm(instant)

    def _schedule_next(self, claim_again_at: Instant | None, next_due: Instant | None) -> None:
        now = self._clock.now()
        node = self._node
        # On a database server, a job may also become due by a program that is not a node, and a
        # timer that was locked during the claim may be left as it was.
        is_sole = node.is_alone and not node.locks.needs_stamps
        instants = [now + (MAX_SLEEP if is_sole else CHECK_EVERY)]
        if claim_again_at is not None:
            instants.append(claim_again_at)
        if next_due is not None:
            instants.append(next_due - self._margin)
        if self._claim_at is not None:
            instants.append(self._claim_at)
        self._next_due = _earliest(claim_again_at, next_due) if node.is_alone else None
        if not self._is_claim_due:
            self._set_alarm(min(instants))

    def _set_alarm(self, instant: Instant) -> None:
        self.stop()
        self._claim_at = instant
        if instant <= self._clock.now():
            self.claim_now()
        else:
            self._alarm = self._clock.call_at(instant, self.claim_now)

    def stop(self) -> None:
        """Cancel the alarm for the next claim."""
        if self._alarm is not None:
            self._alarm.cancel()

    # Recovery

    async def recover_periodically(self) -> None:
        """Wait for the interval between two checks, then recover runs of dead nodes."""
        await sleep_until(self._clock, self._clock.now() + self._node.check_every)
        share = self._node.share
        await self.recover_runs()
        if self._node.share != share:
            self.claim_now()

    def recover_now(self) -> None:
        """Recover released runs as soon as possible: a pause has ended."""
        self._is_recovery_due = True
        self._wake.set()

    async def recover_runs(self) -> None:
        """Take over the runs of dead nodes, and those that other nodes have released.

        Runs that find no room here are left to other nodes, and to this one when it has room.
        """
        self._is_recovery_due = False
        await self._node.remove_dead()
        deaths = self._deaths
        while await self._recover_part(deaths):
            pass
        if self._executor.is_full:
            self._is_recovery_due = True
        else:
            self._node.forget_dead()
            self._deaths = recovery.Deaths(self._node.journal_of)
        if self._answer_wishes is not None and not self._node.is_alone:
            await self._answer_wishes()

    async def _recover_part(self, deaths: recovery.Deaths) -> bool:
        now, node, elsewhere = self._clock.now(), self._node.id, self._node.elsewhere
        limit = 0 if self._executor.is_full else RECOVERY_SIZE

        def recover(connection: Connection) -> RecoveryResult:  # also of none: the node lives
            nodes.record_seen(connection, node, now)
            return recovery.recover_runs(
                connection, node, now, limit=limit, deaths=deaths, elsewhere=elsewhere
            )

        recovered = await write_and_deliver(
            self._database, recover, lambda recovered: self.deliver(recovered.attempts)
        )
        if recovered.attempts or recovered.closed:
            fields = {"again": len(recovered.attempts), "closed": recovered.closed}
            _log.warning("runs recovered", extra=fields)
        if recovered.paused and self._observer.is_wanted:
            tell_edited(self._observer, recovered.paused, SYSTEM)
        return recovered.has_more


def margin_for(commit_s: float, least: int = MARGIN) -> int:
    """Return how long before their slots runs are claimed, if a commit takes this long."""
    return min(max(least, int(commit_s * COMMITS_AHEAD * SECOND)), MAX_MARGIN)


def _earliest(*instants: Instant | None) -> Instant | None:
    return min((instant for instant in instants if instant is not None), default=None)
