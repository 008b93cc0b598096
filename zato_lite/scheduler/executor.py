"""Executor: starts claimed attempts at their slots within limits, and tracks them to their end."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable
from contextvars import copy_context
from functools import partial
from typing import Literal

import msgspec

from zato_lite.clock import Alarm, Clock
from zato_lite.errors import ZatoLiteError
from zato_lite.scheduler.attempt import CancelReason, RunningAttempt
from zato_lite.scheduler.completer import may_pause_job
from zato_lite.scheduler.gate import decide
from zato_lite.scheduler.node import CHECK_EVERY, DISTRUSTED_FOR, Node
from zato_lite.scheduler.observer import Observer
from zato_lite.scheduler.principals import FindCaller, Run
from zato_lite.scheduler.queues import AttemptQueues
from zato_lite.scheduler.suspects import Suspects
from zato_lite.scheduler.transactions import Transactions
from zato_lite.service.eager import EagerRunner, Suspended, Unstarted
from zato_lite.service.message import Outcome
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt
from zato_lite.store.recovery import SUSPECT
from zato_lite.timetable.job import SECOND, Instant, Job

START_SIZE = 500
"""Attempts that are started in one turn of the loop, so that other callbacks get their turn."""

MAX_READY = 20_000
"""Attempts that may wait for room on this node; beyond them, due slots are left in the store."""

ABANDON_S = 5.0
"""Seconds after which a service that ignores its cancellation stops being waited for."""

APART = SECOND
"""Microseconds between two runs of this process that were cut off with others, twice."""

_log = logging.getLogger("zato_lite.scheduler")


class Executor:
    """Attempts of this node that wait or run.

    Args:
        run: invokes a service.
        capacity: maximum number of running attempts.
        caller_of: returns the caller of an attempt that starts.
        running: the running attempts by run id; only the executor changes it.
        on_result: receives the result of each attempt.
        record_start: writes that an attempt which had to wait starts; says if it may.
        revoke_claim: takes a claimed slot back, to have it decided again.
        on_room: called when ``is_full`` becomes False.
        observer: is informed of the result of each attempt.

    Attributes:
        is_full: True while the queue of attempts that wait for room is too long to claim more.
    """

    def __init__(
        self,
        run: Run,
        clock: Clock,
        node: Node,
        capacity: int,
        running: dict[int, RunningAttempt],
        *,
        caller_of: FindCaller,
        on_result: Callable[[AttemptResult], None],
        record_start: Callable[[ClaimedAttempt], Awaitable[Literal["start", "wait", "gone"]]],
        revoke_claim: Callable[[ClaimedAttempt], None],
        on_room: Callable[[], None],
        transactions: Transactions,
        observer: Observer,
    ) -> None:
        self._run, self._clock, self._node, self._capacity = run, clock, node, capacity
        self._caller_of = caller_of
        self._on_result, self._record_start = on_result, record_start
        self._revoke_claim, self._on_room = revoke_claim, on_room
        self._transactions, self._observer = transactions, observer
        self.is_full = False
        self._running = running
        self._queues = AttemptQueues()
        self._loop = asyncio.get_running_loop()
        self._eager = EagerRunner(self._loop, copy_context(), self._on_task_end)
        self._alarm: Alarm | None = None
        self._alarm_at: Instant | None = None
        self._open_runs: defaultdict[int, int] = defaultdict(int)
        self._service_runs: defaultdict[str, int] = defaultdict(int)
        self._frozen: defaultdict[int | None, int] = defaultdict(int)
        self._without_deadline: list[RunningAttempt] = []
        self._next_suspect_at: Instant = 0
        self._suspects = Suspects(clock, self._release_suspects)

    @property
    def next_start(self) -> Instant | None:
        """Instant of the first queued start, or None."""
        return self._queues.start_times[0] if self._queues.start_times else None

    # Starting

    def accept(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Start newly claimed attempts, each at its instant."""
        now = self._clock.now()
        due: list[ClaimedAttempt] = []
        attempts = list(attempts)
        self._drop_queued({each.run_id for each in attempts if each.token != each.run_id})
        for attempt in attempts:
            job_id = attempt.job_id
            others = self._open_runs.get(job_id, 0)
            if attempt.queued and (later := self._queues.pop_later(attempt)) is not None:
                self._queues.push_behind_run(later)  # it waits for this one
            elif attempt.queued and decide(attempt, False, others, False, 1, 0) == "previous run":
                self._queues.push_behind_run(attempt)
                continue
            elif job_id:
                self._open_runs[job_id] += 1
            if attempt.is_suspect:
                self._suspects.add(attempt)
            elif attempt.start_at > now:
                self._queues.schedule(attempt)
            else:
                due.append(attempt)
        self._start_all(due)
        self._set_alarm()

    def schedule(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Queue further attempts of open runs; a stopping node leaves them in the store."""
        if not self._node.is_running:
            return
        for attempt in attempts:
            self._queues.schedule(attempt)
        self._set_alarm()

    def _set_alarm(self) -> None:
        """Have the next queued start awaited by one alarm for all."""
        instant = self.next_start
        if instant == self._alarm_at:
            return
        if self._alarm is not None:
            self._alarm.cancel()
            self._alarm = None
        self._alarm_at = instant
        if instant is not None:
            self._alarm = self._clock.call_at(instant, self._start_due)

    def _release_suspects(self, attempts: Iterable[ClaimedAttempt]) -> None:
        if self._node.is_running:
            self._start_all(attempts)

    def _start_due(self) -> None:
        self._alarm_at = None
        self._start_all(self._queues.pop_due(self._clock.now(), START_SIZE))
        self._set_alarm()

    def _start_all(self, attempts: Iterable[ClaimedAttempt]) -> None:
        if not self._node.locks.trusts_itself:
            self._postpone(attempts)
            return
        frozen = self._frozen
        for attempt in attempts:
            job_id = attempt.job_id
            decision = decide(
                attempt,
                True,
                self._open_runs.get(job_id, 0) - 1,
                bool(frozen) and (job_id in frozen or None in frozen),
                self._capacity - len(self._running),
                self._service_runs[attempt.job.service],
            )
            if decision == "start":
                self._start(attempt)
            elif decision == "capacity":
                self._queues.push_over_capacity(attempt)
                self.is_full = self.is_full or len(self._queues.over_capacity) >= MAX_READY
            elif decision == "service limit":
                self._queues.over_service_limit[attempt.job.service].append(attempt)
            else:
                self._queues.frozen.append(attempt)
                if decision == "revoke":
                    attempt.needs_start_record = True  # it starts if it cannot be revoked
                    self._revoke_claim(attempt)

    def _postpone(self, attempts: Iterable[ClaimedAttempt]) -> None:
        """Start attempts later: by now, other nodes may have taken over the runs of this one."""
        for attempt in attempts:
            attempt.start_at = max(attempt.start_at, self._clock.now() + DISTRUSTED_FOR)
            self._queues.schedule(attempt)
        self._set_alarm()

    def _start(self, attempt: ClaimedAttempt) -> None:
        running = RunningAttempt(attempt)
        self._running[attempt.run_id] = running
        self._service_runs[attempt.job.service] += 1
        try:
            rest = self._eager.run(self._run_attempt, running)
        except Exception:  # noqa: BLE001 - the other attempts must start
            _log.exception("attempt broken off", extra={"job": attempt.job.name})
            return
        if type(rest) is Suspended or type(rest) is Unstarted:
            task = running.task = self._eager.resume(rest).task
            if running.cancel_reason is not None:  # during the first step
                task.cancel()
            if not self._without_deadline:
                # Most services end within the turn of the loop, and need no deadline.
                self._loop.call_soon(self._set_deadlines)
            self._without_deadline.append(running)

    def _set_deadlines(self) -> None:
        attempts, self._without_deadline = self._without_deadline, []
        for running in attempts:
            if not running.is_closed and running.timer is None:
                seconds = running.timeout_ms / 1000
                running.timer = self._loop.call_later(seconds, self._cancel, running, "timeout")

    async def _run_attempt(self, running: RunningAttempt) -> None:
        attempt = running.attempt
        outcome: Outcome | None = None
        try:
            if attempt.needs_start_record:
                answer = await self._record_start(attempt)
                if answer != "start":
                    self._put_back(running, is_gone=answer == "gone")
                    return
                await self._node.wait_for_trust()
                if has_no_retry_left(attempt):
                    self._finish(running, Outcome(cid=attempt.cid, error=_no_retry(attempt)))
                    return
            attempt.started_at = now = self._clock.now()
            attempt.place = self._node.journal.begin(attempt.token, now)
            opener = partial(self._transactions.open, attempt)
            outcome = await self._run(
                running.invocation(self._caller_of(attempt), opener, self._node.cids)
            )
        except asyncio.CancelledError:
            pass  # ``running.cancel_reason`` has the reason, if the executor cancelled it
        except Exception as error:  # noqa: BLE001 - ``run`` should not raise; if so, record it
            outcome = Outcome(cid="", error=error)
        self._finish(running, outcome)

    def _put_back(self, running: RunningAttempt, *, is_gone: bool) -> None:
        """Undo a start: the run was closed meanwhile, or another node has the one before it."""
        running.is_closed = True
        running.task = None
        attempt = running.attempt
        self._remove(running)
        if is_gone:
            self.close_run(attempt)
        elif self._queues.has_earlier(attempt):  # here, and it waits for this one
            self._queues.push_behind_run(attempt)
            self.close_run(attempt)
        else:
            attempt.start_at = self._clock.now() + CHECK_EVERY
            self._queues.checked[attempt.job_id] = attempt
            self.schedule([attempt])

    def check_waiting(self) -> None:
        """Start attempts that wait for runs of other nodes, if these have ended."""
        if waiting := self._queues.pop_checked():
            self._start_all(waiting)

    # Ending

    def _finish(self, running: RunningAttempt, outcome: Outcome | None) -> None:
        if running.is_closed:
            return
        running.is_closed = True
        running.task = None
        if running.attempt.place:
            self._node.journal.end(running.attempt.place)
        if running.timer is not None:
            running.timer.cancel()
            running.timer = None
        result = running.result(outcome, self._clock.now())
        if result.outcome == "lost":
            result = self._delay_suspect(result)
        self._remove(running)
        self._emit(result)

    def _emit(self, result: AttemptResult) -> None:
        """Hand a result over to be saved; if it ends the run, let the job's next run start."""
        attempt = result.attempt
        if result.outcome != "ok" and may_pause_job(result):
            # Until the result is saved, nobody knows if it pauses the job; see ``FollowUps``.
            self.freeze_jobs([attempt.job_id])
        self._on_result(result)
        if self._observer.is_wanted:
            self._observer.run_ended(result)
        if result.next_step.outcome is not None:
            self.close_run(attempt)

    def _delay_suspect(self, result: AttemptResult) -> AttemptResult:
        """Start suspects one after another: each may cancel all that run beside it."""
        if result.next_step.outcome is not None or result.attempt.crashes < SUSPECT:
            return result
        self._next_suspect_at = max(self._next_suspect_at, result.finished_at) + APART
        following = msgspec.structs.replace(result.next_step, retry_at=self._next_suspect_at)
        return msgspec.structs.replace(result, next_step=following)

    def _remove(self, running: RunningAttempt) -> None:
        """Give the attempt's place to the next ones that wait for room."""
        attempt, queues = running.attempt, self._queues
        if attempt.is_suspect:
            self._suspects.discard(attempt.run_id)
        service = attempt.job.service
        if self._running[attempt.run_id] is running:  # not a later attempt, see ``_drop_queued``
            del self._running[attempt.run_id]
        self._service_runs[service] -= 1
        if waiting := queues.over_service_limit.get(service):
            self._start_all([waiting.popleft()])
        while queues.over_capacity and len(self._running) < self._capacity:
            self._start_all([queues.pop_over_capacity()])
        if self.is_full and len(queues.over_capacity) < MAX_READY // 2:
            self.is_full = False
            self._on_room()

    def close_run(self, attempt: ClaimedAttempt) -> None:
        """Count a run as ended, and start the job's next queued one."""
        job_id = attempt.job_id
        if not job_id:
            return
        left = self._open_runs[job_id] - 1
        if left > 0:
            self._open_runs[job_id] = left
            return
        del self._open_runs[job_id]
        if self._queues.behind_run and (following := self._queues.pop_behind_run(job_id)):
            self._open_runs[job_id] = 1
            self._start_all([following])

    # Cancelling

    def cancel(self, run_id: int) -> bool:
        """Cancel a run that is in flight or waits here; return False if there is none."""
        if (running := self._running.get(run_id)) is not None:
            self._cancel(running, "cancelled")
            return True
        removed = [*self._remove_queued({run_id}), *self._suspects.remove({run_id})]
        for attempt in removed:
            waiting = RunningAttempt(attempt, cancel_reason="cancelled")
            self._emit(waiting.result(None, self._clock.now()))
        return bool(removed)

    def cancel_jobs(self, job_ids: Collection[int]) -> None:
        """Cancel all runs of these jobs."""
        waiting = [*self._queues.all(), *self._suspects.waiting]
        attempts = [*waiting, *(running.attempt for running in self._running.values())]
        for attempt in attempts:
            if attempt.job_id in job_ids:
                self.cancel(attempt.run_id)

    def _cancel(self, running: RunningAttempt, reason: CancelReason) -> None:
        if running.is_closed:
            return
        running.cancel(reason)
        if running.timer is not None:
            running.timer.cancel()
        running.timer = self._loop.call_later(ABANDON_S, self._abandon, running)

    def _abandon(self, running: RunningAttempt) -> None:
        if not running.is_closed:
            job = running.attempt.job
            fields = {"service": job.service, "job": job.name}
            _log.error("service abandoned: cancellation ignored", extra=fields)
            self._finish(running, None)

    def _on_task_end(self, task: "asyncio.Task[None]") -> None:
        """Finish attempts whose task was cancelled before its first step."""
        if task.cancelled():
            for running in list(self._running.values()):
                if running.task is not None and running.task.done():
                    self._finish(running, None)

    # Freezing

    def freeze_jobs(self, job_ids: Collection[int] | None) -> None:
        """Start no run of these jobs, or of any job, until they are unfrozen."""
        for job_id in (None,) if job_ids is None else job_ids:
            self._frozen[job_id] += 1

    def unfreeze_jobs(
        self, job_ids: Collection[int] | None, revoked: Collection[int] = ()
    ) -> None:
        """Start runs of these jobs again, except those that were revoked meanwhile."""
        self._drop_queued(revoked)
        for job_id in (None,) if job_ids is None else job_ids:
            self._frozen[job_id] -= 1
            if not self._frozen[job_id]:
                del self._frozen[job_id]
        self._start_all(self._queues.pop_frozen())

    def _drop_queued(self, run_ids: Collection[int]) -> None:
        """Drop attempts that have not started, as their runs were taken from this node.

        It may get such a run again: another node has held it, and its hold has ended.
        """
        if run_ids:
            for attempt in [*self._remove_queued(run_ids), *self._suspects.remove(run_ids)]:
                self.close_run(attempt)

    def _remove_queued(self, run_ids: Collection[int]) -> list[ClaimedAttempt]:
        if not run_ids:
            return []
        for job_id, waiting in self._queues.behind_run.items():
            # Only admitted runs are counted as open, and each removed one is closed again.
            self._open_runs[job_id] += sum(entry[-1].run_id in run_ids for entry in waiting)
        return self._queues.remove(run_ids)

    # Changed definitions

    def replace_job(self, job_id: int, job: Job) -> None:
        """Give a job's attempts that have not started its new definition."""
        if not self._open_runs.get(job_id) and job_id not in self._queues.behind_run:
            return
        ended: list[ClaimedAttempt] = []
        for attempt in (*self._queues.all(), *self._suspects.waiting):
            if attempt.job_id == job_id:
                attempt.job = job
                if attempt.start_at > self._clock.now() and has_no_retry_left(attempt):
                    ended.append(attempt)
        self._queues.remove({attempt.run_id for attempt in ended})
        self._start_all(ended)

    def replace_principal(self, job_ids: Collection[int], principal: str) -> None:
        """Have attempts of these jobs that have not started made on behalf of a principal."""
        wanted = frozenset(job_ids)
        for attempt in (*self._queues.all(), *self._suspects.waiting):
            if attempt.job_id in wanted:
                attempt.job = msgspec.structs.replace(attempt.job, principal=principal)

    # Stopping

    def stop(self) -> list[ClaimedAttempt]:
        """Start nothing more; return the attempts that have not started."""
        self._eager.close()
        if self._alarm is not None:
            self._alarm.cancel()
        return [*self._queues.clear(), *self._suspects.clear()]

    async def finish_running(self, grace: float) -> None:
        """Wait ``grace`` seconds for running attempts, then cancel the rest."""
        tasks = [running.task for running in self._running.values() if running.task is not None]
        if tasks:
            _, late = await asyncio.wait(tasks, timeout=grace)
            for running in self._running.values():
                if running.task in late:
                    running.cancel_reason = running.cancel_reason or "stopped"
                    running.task.cancel()
            if late:
                await asyncio.wait(late, timeout=ABANDON_S)
        for running in list(self._running.values()):
            self._finish(running, None)

    def crash(self) -> None:
        """Drop all attempts without results, as when the process is killed."""
        self.stop()
        self.forget()

    def forget(self) -> int:
        """Drop all attempts, and cancel those that run; return the number of these.

        Other nodes have taken them over.
        """
        for running in self._running.values():
            running.is_closed = True
            if running.timer is not None:
                running.timer.cancel()
            if running.task is not None:
                running.task.cancel()
        count = len(self._running)
        self._running.clear()
        self._queues.clear()
        self._queues.checked.clear()
        self._suspects.clear()
        for counts in (self._open_runs, self._service_runs):
            counts.clear()
        self._without_deadline.clear()
        self._set_alarm()
        return count


def has_no_retry_left(attempt: ClaimedAttempt) -> bool:
    """Return True if the job's definition no longer allows this retry."""
    return attempt.attempt_number > 1 and attempt.counted_attempts > attempt.job.max_retries + 1


def _no_retry(attempt: ClaimedAttempt) -> Exception:
    failed, limit = attempt.attempt_number - 1, attempt.job.max_retries
    return ZatoLiteError(f"attempt {failed} failed, and `max_retries` was reduced to {limit}")
