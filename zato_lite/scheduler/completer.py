"""Completer: saves attempt results in groups, and returns what follows from them."""

import asyncio
import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Literal, NamedTuple, cast

import msgspec

from zato_lite.clock import Clock
from zato_lite.errors import UnavailableError
from zato_lite.log import Repeats
from zato_lite.scheduler.attempt import RunningAttempt
from zato_lite.scheduler.metrics import RunMetrics
from zato_lite.scheduler.node import Node
from zato_lite.scheduler.transactions import Transaction, Transactions
from zato_lite.store import completion, recovery
from zato_lite.store.attempts import NO_STARTED_RUNS, AttemptResult, ClaimedAttempt, StartedRuns
from zato_lite.store.completion import CompletionResult
from zato_lite.store.jobs import EditResult
from zato_lite.store.ports import Database
from zato_lite.timetable.job import Instant
from zato_lite.timetable.outcome import NextStep, next_step

LINGER_S = 0.45
"""Seconds that results may wait for the next commit if no caller and no callback waits for them.

The first result after a quiet time is saved immediately. A commit costs as much as dozens of runs,
so waiting results share one with the next claim. A little less than half a second, so that jobs
with a period of half a second share each commit, too.
"""

MAX_PENDING = 1_000
"""Number of pending results that are saved before ``LINGER_S`` has passed."""

RETRY_S = 1.0
"""Seconds between two attempts to save results in a store that is unavailable."""

NOT_SAVED = "the outcome could not be saved"

Start = Literal["start", "wait", "gone"]
"""An attempt may start, has to wait, or was closed, held or taken over by another node."""

_log = logging.getLogger("zato_lite.scheduler")


class FollowUps(NamedTuple):
    """Consequences of saved results, for the executor.

    Attributes:
        unfrozen: jobs that were frozen because a result might pause them.
        revoked: runs that must not start, because their jobs were paused.
        refused: attempts whose runs another node has taken over, or a pause holds.
        next_attempts: retries of runs that are open on this node.
        callbacks: new runs that the results caused.
        paused: jobs that the results have paused.
    """

    unfrozen: Sequence[int]
    revoked: Sequence[int] = ()
    refused: Sequence[ClaimedAttempt] = ()
    next_attempts: Sequence[ClaimedAttempt] = ()
    callbacks: Sequence[ClaimedAttempt] = ()
    paused: Sequence[EditResult] = ()


class Completer:
    """Results of attempts that are not saved yet.

    Args:
        running: the running attempts by run id.
        wake: called when results are due; ``save_due`` has to be called soon after.
        metrics: counts saved and refused results.
        on_saved: receives the follow-ups of saved results, if there are any.
    """

    def __init__(
        self,
        database: Database,
        clock: Clock,
        node: Node,
        running: Mapping[int, RunningAttempt],
        *,
        metrics: RunMetrics,
        wake: Callable[[], None],
        on_saved: Callable[[FollowUps], None],
        transactions: Transactions,
    ) -> None:
        self._database, self._clock, self._node, self._running = database, clock, node, running
        self._metrics, self._wake, self._on_saved = metrics, wake, on_saved
        self._transactions = transactions
        self._committing: dict[asyncio.Task[None], ClaimedAttempt] = {}
        self._loop = asyncio.get_running_loop()
        self._idle = asyncio.Event()
        self._failures = Repeats()
        self._pending: list[AttemptResult] = []
        self._saves_in_progress = 0
        self._is_wake_requested = self._is_next_save_due = False
        self._linger_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def trouble(self) -> str:
        """Reason for which results cannot be saved, or an empty text."""
        failures = self._failures
        return f"outcomes cannot be saved: {failures.words}" if failures.count else ""

    def add(self, result: AttemptResult) -> None:
        """Save a result soon if anything waits for it, otherwise with the next commit."""
        opened = self._transactions.opened
        if opened and (transaction := opened.pop(result.attempt.token, None)) is not None:
            task = self._loop.create_task(self._commit_with(transaction, result))
            self._committing[task] = result.attempt
            return
        self._pending.append(result)
        if (
            result.outcome != "ok"  # a retry or a caller waits for it
            or result.next_step.callbacks
            or result.attempt.kind != "scheduled"
            or not self._node.is_alone  # other nodes would see the run as in flight
            or self._loop.time() >= self._linger_until
        ):
            self._wake_soon()
        elif self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._wake)
        if len(self._pending) >= MAX_PENDING and not self._saves_in_progress:
            self.save()

    async def _commit_with(self, transaction: Transaction, result: AttemptResult) -> None:
        """Commit a result in the transaction of its run, or roll the transaction back."""
        now, node, is_shared = self._clock.now(), self._node.id, not self._node.is_alone
        saved: CompletionResult | None = None

        def is_wanted(found: CompletionResult) -> bool:
            nonlocal saved
            saved = found  # before the commit, whose answer may be lost
            return not found.refused

        try:
            if result.outcome == "ok":
                await transaction.commit_with(
                    lambda c: completion.complete_attempts(
                        c, [result], now, node, NO_STARTED_RUNS, is_shared
                    ),
                    is_wanted,
                )
            else:
                await transaction.connection.give_up()
        except (Exception, asyncio.CancelledError) as error:  # noqa: BLE001 - of any kind
            if not await self._is_kept(result):
                saved, result = None, failed(result, error, now)
        self._committing.pop(cast("asyncio.Task[None]", asyncio.current_task()))
        if saved is None:
            self.add(result)
        else:
            self._saves_in_progress += 1
            self._saved([result], [], saved, None)

    async def _is_kept(self, result: AttemptResult) -> bool:
        """Return True if a result was committed although the answer was lost."""
        attempt, at = result.attempt, result.finished_at
        while True:
            try:
                return await self._database.write(
                    lambda c: completion.is_saved(c, attempt.run_id, attempt.token, at)
                )
            except UnavailableError:
                await asyncio.sleep(RETRY_S)

    def _wake_soon(self) -> None:
        if not self._is_wake_requested:
            self._is_wake_requested = True
            # All results of the same turn of the loop are saved together.
            self._loop.call_soon(self._wake)

    def save_due(self) -> None:
        """Save pending results now; during another save, right after it, to group them."""
        if self._saves_in_progress:
            self._is_wake_requested = False
            self._is_next_save_due = True
        else:
            self.save()

    def save(self) -> None:
        """Submit all pending results to the store."""
        self._is_wake_requested = False
        if self._pending:
            batch, self._pending = self._pending, []
            self._submit(batch)

    def _submit(self, batch: list[AttemptResult]) -> None:
        self._linger_until = self._loop.time() + LINGER_S
        self._cancel_timer()
        now, node, is_shared = self._clock.now(), self._node.id, not self._node.is_alone
        self._saves_in_progress += 1
        frozen = _frozen_by(batch)
        started = self.started_runs(frozen) if frozen else NO_STARTED_RUNS
        self._database.submit(
            lambda c: completion.complete_attempts(c, batch, now, node, started, is_shared),
            lambda saved, error: self._saved(batch, frozen, saved, error),
        )

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _saved(
        self,
        batch: list[AttemptResult],
        frozen: list[int],
        saved: CompletionResult | None,
        error: BaseException | None,
    ) -> None:
        self._saves_in_progress -= 1
        if saved is None:
            self._retry(batch, frozen, error)
            return
        if self._failures.count:
            _log.warning("saving resumed", extra={"failures": self._failures.over()})
        if saved.to_ring:
            self._node.ring(saved.to_ring)
        refused, journal = saved.refused, self._node.journal
        for result in batch:
            journal.clear(result.attempt.place)
        self._metrics.record([r for r in batch if r not in refused] if refused else batch)
        for result in refused:
            self._metrics.refused_results += 1
            fields = {"job": result.attempt.job.name, "run": result.attempt.run_number}
            _log.warning("late result refused", extra=fields)
        has_more = saved.next_attempts or saved.callbacks or saved.paused or saved.held
        if frozen or refused or has_more:
            # The executor has closed runs already whose result was final.
            open_runs = [r.attempt for r in refused if r.next_step.outcome is None]
            open_runs += saved.held
            more = saved.next_attempts, saved.callbacks, saved.paused
            self._on_saved(FollowUps(frozen, saved.revoked, open_runs, *more))
        if self._is_next_save_due:
            self._is_next_save_due = False
            self._wake_soon()
        elif self._pending and self._timer is None:
            self._timer = self._loop.call_later(LINGER_S, self._wake)
        if not (self._running or self._pending or self._saves_in_progress or self._committing):
            self._idle.set()

    def _retry(
        self, batch: list[AttemptResult], frozen: list[int], error: BaseException | None
    ) -> None:
        """Save again later, or one by one, so that one unusable result delays no other."""
        if self._failures.again(str(error)):
            fields = {"error": str(error), "runs": len(batch), "so_far": self._failures.count}
            _log.error("saving failed", extra=fields)
        if isinstance(error, UnavailableError):
            self._pending[:0] = batch
            self._loop.call_later(RETRY_S, self._wake)
        elif len(batch) > 1:
            for result in batch:
                self._submit([result])
        elif batch[0].error != NOT_SAVED:
            attempt, finished_at = batch[0].attempt, batch[0].finished_at
            self._submit(
                [AttemptResult(attempt, NextStep("error"), "error", finished_at, NOT_SAVED)]
            )
        else:
            self._node.journal.clear(batch[0].attempt.place)
            self._on_saved(FollowUps(frozen))

    async def record_start(self, attempt: ClaimedAttempt) -> Start:
        """Write that an attempt which had to wait starts, so that a crash counts from now on."""
        while True:
            self.save()  # the result that the attempt waited for is written first
            try:
                answer: Start = await self._database.write(
                    lambda c: recovery.record_start(c, attempt, self._node.id)
                )
            except UnavailableError:
                await asyncio.sleep(RETRY_S)
                continue
            if answer != "start":  # the executor is about to put the attempt back
                self._loop.call_soon(self._check_idle)
            return answer

    def started_runs(self, job_ids: Collection[int] | None) -> StartedRuns:
        """Return the runs of these jobs, or of all, that have started here and are not saved."""
        attempts = [running.attempt for running in self._running.values()]
        attempts += [result.attempt for result in self._pending]
        attempts += self._committing.values()
        run_ids = (a.run_id for a in attempts if job_ids is None or a.job_id in job_ids)
        return StartedRuns(self._node.id, frozenset(run_ids))

    def _check_idle(self) -> None:
        if not self._is_busy:
            self._idle.set()

    @property
    def _is_busy(self) -> bool:
        return bool(self._running or self._pending or self._saves_in_progress or self._committing)

    async def wait_until_idle(self) -> None:
        """Wait until no run is in flight here and all results are saved."""
        while self._is_busy:
            self.save()
            self._idle.clear()
            await self._idle.wait()

    def crash(self) -> None:
        """Drop all results, as when the process is killed."""
        self.forget()
        self._transactions.drop()

    def forget(self) -> int:
        """Drop all results, and return their number: other nodes have taken their runs over."""
        dropped, self._pending = self._pending, []
        self._cancel_timer()
        if frozen := _frozen_by(dropped):
            self._on_saved(FollowUps(frozen))
        return len(dropped)


def _frozen_by(results: Sequence[AttemptResult]) -> list[int]:
    """Return the jobs that the executor has frozen, as these results may pause them."""
    failed = [result for result in results if result.outcome != "ok"]
    return [result.attempt.job_id for result in failed if may_pause_job(result)]


def may_pause_job(result: AttemptResult) -> bool:
    """Return True if a failed attempt pauses its job, or may do so."""
    if result.next_step.pause_note is not None:
        return True
    return result.attempt.job.pause_after_failures is not None


def failed(result: AttemptResult, error: BaseException, now: Instant) -> AttemptResult:
    """Return the result of an attempt whose transaction could not be committed."""
    attempt = result.attempt
    following = next_step(
        attempt.job,
        "error",
        attempt.counted_attempts,
        attempt.crashes,
        0,
        now,
        job_id=attempt.job_id,
        slot=attempt.slot,
    )
    words = f"the transaction of the run was not committed: {error}"
    return msgspec.structs.replace(
        result, next_step=following, outcome="error", error=words, result=None
    )
