"""Outcomes on their way to the store, in groups, and what the store makes of them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Iterable
from typing import Literal

from zato_lite.clock import Clock
from zato_lite.errors import UnavailableError
from zato_lite.log import Repeats
from zato_lite.scheduler.executor import Executor
from zato_lite.scheduler.failure_log import FailureLog
from zato_lite.scheduler.metrics import RunMetrics
from zato_lite.scheduler.node import Node
from zato_lite.store import completion, recovery
from zato_lite.store.completion import CompletionResult
from zato_lite.store.jobs import NO_STARTED_RUNS, StartedRuns
from zato_lite.store.ports import Database
from zato_lite.store.runs import AttemptResult, ClaimedAttempt
from zato_lite.timetable.outcome import NextStep

LINGER_S = 0.45
"""Outcomes that nobody waits for are kept back so long at most, and so long after the last ones.

The first after a quiet time is kept at once. Each commit costs as much as dozens of runs; and a
claim takes along what there is. A little less than half a second, for what comes each half."""

MOST_LINGERING = 1_000
"""So many outcomes are kept before their time."""

RETRY_S = 1.0
NOT_KEPT = "the outcome could not be kept"

_log = logging.getLogger("zato_lite.scheduler")


class Completer:
    """Keeps how attempts ended.

    Attributes:
        refused: how many results came too late.
        tally: how attempts ended.

    Args:
        accept: takes new runs that follow from an outcome.
        claim_along: claims what is due soon and takes along what there is to be kept; whether
            there is anything to claim.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node: Node,
        runway: Executor,
        *,
        accept: Callable[[Iterable[ClaimedAttempt]], None],
        claim_along: Callable[[], bool],
    ) -> None:
        self._database, self._clock, self._node = database, clock, node
        self._runway, self._accept, self._claim_along = runway, accept, claim_along
        self.refused = 0
        self._rest = asyncio.Event()
        self.tally = RunMetrics()
        self._failing = FailureLog()
        self._done: list[AttemptResult] = []
        self._unkept = 0
        self._flush_is_due = self._is_awaited = False
        self._flush_at = 0.0
        self._latest: asyncio.TimerHandle | None = None
        self._failures = Repeats()

    @property
    def trouble(self) -> str:
        """Why outcomes cannot be kept; empty while they can."""
        return f"no outcome is kept: {self._failures.words}" if self._failures.count else ""

    def start(self) -> None:
        """Use the loop that is running."""
        self._loop = asyncio.get_running_loop()

    def take(self, ended: AttemptResult) -> None:
        """Keep it soon, or at once if anything waits for it."""
        self._done.append(ended)
        if (
            ended.outcome != "ok"  # somebody, or something else, waits for it
            or ended.next_step.callbacks
            or ended.attempt.kind != "scheduled"
            or self._node.others  # they would take it to be in flight
            or self._loop.time() >= self._flush_at
        ):
            self._flush_soon()
        else:
            self._flush_later()
        if len(self._done) >= MOST_LINGERING and not self._unkept:
            self.submit_done()
        if ended.next_step.outcome is not None:
            self._runway.forget(ended.attempt)

    def _flush_soon(self) -> None:
        """Together with all that ends in the same turn of the loop."""
        if not self._flush_is_due:
            self._flush_is_due = True
            self._loop.call_soon(self._flush)

    def _flush_later(self) -> None:
        if self._latest is None:
            self._latest = self._loop.call_later(LINGER_S, self._flush)

    def _flush(self) -> None:
        self._flush_is_due = False
        self._disarm()
        if self._unkept:
            self._is_awaited = True
        elif self._done and not self._claim_along():
            self.submit_done()

    def _disarm(self) -> None:
        if self._latest is not None:
            self._latest.cancel()
            self._latest = None

    def submit_done(self) -> None:
        """Keep what there is."""
        if not self._done:
            return
        batch, self._done = self._done, []
        self._submit(batch)

    def _submit(self, batch: list[AttemptResult]) -> None:
        self._flush_at = self._loop.time() + LINGER_S
        self._disarm()
        now, node = self._clock.now(), self._node.id
        self._unkept += 1
        held = [ended.attempt.job_id for ended in batch if _may_pause(ended)]
        self._runway.hold(held)
        begun = self.begun(held) if held else NO_STARTED_RUNS

        def kept(settlement: CompletionResult | None, error: BaseException | None) -> None:
            self._runway.release(held, set() if settlement is None else set(settlement.revoked))
            self._kept(batch, settlement, error)

        self._database.submit(
            lambda c: completion.complete_attempts(c, batch, now, node, begun), kept
        )

    def _kept(
        self,
        batch: list[AttemptResult],
        settlement: CompletionResult | None,
        error: BaseException | None,
    ) -> None:
        self._unkept -= 1
        if settlement is None:
            if self._failures.again(str(error)):
                fields = {"error": str(error), "runs": len(batch), "so_far": self._failures.count}
                _log.error("settling failed", extra=fields)
            self._settle_again(batch, error)
            return
        if self._failures.count:
            _log.warning("settling goes on", extra={"failures": self._failures.over()})
        late = settlement.refused
        kept = [one for one in batch if one not in late] if late else batch
        self.tally.add(kept)
        self._failing.tell(kept)
        for ended in late:
            self.refused += 1
            fields = {"job": ended.attempt.job.name, "run": ended.attempt.run_number}
            _log.warning("late result refused", extra=fields)
            if ended.next_step.outcome is None:
                self._runway.forget(ended.attempt)
        self._runway.await_next(settlement.next_attempts)
        self._accept(settlement.callbacks)
        if self._is_awaited:
            self._is_awaited = False
            self._flush_soon()
        elif self._done:
            self._flush_later()
        if not self._runway.flights and not self._done and not self._unkept:
            self._rest.set()

    def _settle_again(self, batch: list[AttemptResult], error: BaseException | None) -> None:
        """The store is away, or one outcome cannot be kept, which holds up no other."""
        if isinstance(error, UnavailableError):
            self._done[:0] = batch
            self._loop.call_later(RETRY_S, self._flush)
        elif len(batch) > 1:
            for ended in batch:
                self._submit([ended])
        elif batch[0].error != NOT_KEPT:
            told = NextStep("error")
            self._submit(
                [AttemptResult(batch[0].attempt, told, "error", batch[0].finished_at, NOT_KEPT)]
            )

    async def begins(self, attempt: ClaimedAttempt) -> Literal["start", "wait", "gone"]:
        """Write down that what had to wait begins: a crash is one from now. Whether it may."""
        while True:
            self.submit_done()
            try:
                return await self._database.write(
                    lambda c: recovery.record_start(c, attempt, alone=not self._node.others)
                )
            except UnavailableError:
                await asyncio.sleep(RETRY_S)

    def begun(self, job_ids: Collection[int] | None) -> StartedRuns:
        """Which runs of these jobs, or of all, have begun here; for as long as they are held."""
        attempts = [flight.attempt for flight in self._runway.flights.values()]
        attempts += [ended.attempt for ended in self._done]
        begun = (
            attempt.run_id for attempt in attempts if job_ids is None or attempt.job_id in job_ids
        )
        return StartedRuns(self._node.id, frozenset(begun))

    async def rest(self) -> None:
        """Wait until no run is in flight here, and all that ended is kept."""
        while self._runway.flights or self._done or self._unkept:
            self.submit_done()
            self._rest.clear()
            await self._rest.wait()


def _may_pause(ended: AttemptResult) -> bool:
    return ended.attempt.job.pause_after_failures is not None and ended.outcome != "ok"
