"""A scheduler that tests can crash, and that can lose the first attempt of each run."""

import asyncio
from collections import Counter
from functools import partial
from typing import Any, ClassVar, Literal, cast, get_args

from msgspec.structs import replace

from zato_lite.errors import DeniedError
from zato_lite.scheduler.attempt import RunningAttempt
from zato_lite.scheduler.executor import Executor
from zato_lite.scheduler.scheduler import Scheduler
from zato_lite.service.base import Service
from zato_lite.service.message import RUN_CHANNELS, Outcome
from zato_lite.store.attempts import AttemptResult, ClaimedAttempt

CrashPoint = Literal["before_begin", "after_handle", "before_save"]
"""Points of a run at which a process can die: its slot is claimed, but the service has not begun;
the service has ended; the result is on its way to the store."""

TWICE = "every_run_twice: the result of the first attempt was dropped, as by a crash"

_POLL_S = 0.002
"""Seconds between two looks for runs that have begun to sleep."""


class CrashableExecutor(Executor):
    """Executor that crashes its scheduler when a run reaches a point, and may run each run twice.

    Attributes:
        scheduler: the scheduler to crash.
        crash_at, crash_job: the point, and the name of the job; None for any.
        runs_twice: True to drop the result of the first attempt of each run.
    """

    scheduler: "CrashableScheduler"
    crash_at: CrashPoint | None = None
    crash_job: str | None = None
    runs_twice = False

    def _start(self, attempt: ClaimedAttempt) -> None:
        if self._node.is_running and not self._has_crashed("before_begin", attempt):
            super()._start(attempt)

    def _finish(self, running: RunningAttempt, outcome: Outcome | None) -> None:
        attempt, is_ended = running.attempt, outcome is not None
        if running.is_closed or (is_ended and self._has_crashed("after_handle", attempt)):
            return
        is_cancelled = running.cancel_reason is not None
        if self.runs_twice and outcome and not is_cancelled and _repeats(attempt, outcome):
            outcome = None
        super()._finish(running, outcome)

    def _emit(self, result: AttemptResult) -> None:
        if self._has_crashed("before_save", result.attempt):
            return
        if self.runs_twice and result.outcome == "lost":
            result = replace(result, error=TWICE)
        super()._emit(result)

    def _has_crashed(self, point: CrashPoint, attempt: ClaimedAttempt) -> bool:
        """Crash if this is the point, and return True."""
        is_hit = self.crash_at == point and self.crash_job in {None, attempt.job.name}
        if is_hit:
            self.crash_at = None
            self.scheduler.kill()
        return is_hit

    def expire(self, now: int) -> None:
        """Time out the runs whose maximum duration has passed by the clock."""
        for running in tuple(self._running.values()):
            if (end := _end_of(running)) is not None and end <= now:
                self._cancel(running, "timeout")


class CrashableScheduler(Scheduler):
    """Scheduler that can die at a point of a run, and come back on the same store.

    Attributes:
        is_dead: True from a crash until ``revive``.
    """

    executor_class: ClassVar[type[Executor]] = CrashableExecutor

    def __init__(self, *args: Any, runs_twice: bool = False, **options: Any) -> None:
        super().__init__(*args, **options)
        self.is_dead = False
        self._asleep: Counter[int] = Counter()
        self._wakes: list[int] = []
        self.executor.scheduler, self.executor.runs_twice = self, runs_twice

    @property
    def executor(self) -> CrashableExecutor:
        """The executor."""
        return cast("CrashableExecutor", self._executor)

    def arm(self, point: CrashPoint, job: str | None) -> None:
        """Crash when the next run of a job, or of any job, reaches this point."""
        if point not in get_args(CrashPoint):
            points = ", ".join(get_args(CrashPoint))
            raise ValueError(f"unknown point of a crash: {point!r}; use {points}")
        self.executor.crash_at, self.executor.crash_job = point, job

    def kill(self) -> None:
        """Die, as a killed process does."""
        self.is_dead = True
        self._drop_all()
        self._completer._check_idle()  # noqa: SLF001 - nothing that it had is left

    async def revive(self) -> None:
        """Start again, as the next process does."""
        await self.crash()
        await self.__aenter__()
        self.is_dead = False

    async def wait_until_idle(self) -> None:
        """Wait until no run is in flight, or all that are wait for the clock."""
        idle = asyncio.ensure_future(super().wait_until_idle())
        try:
            while not (idle.done() or self._is_asleep):
                await asyncio.wait({idle}, timeout=_POLL_S)
        finally:
            idle.cancel()

    @property
    def _is_asleep(self) -> bool:
        completer = self._completer
        is_saving = completer._pending or completer._saves_in_progress or completer._committing  # noqa: SLF001
        return bool(self._running) and len(self._running) == len(self._asleep) and not is_saving

    async def sleep(self, service: Service[Any, Any], microseconds: int) -> None:
        """Have a service wait until the clock has advanced."""
        root, woken = service._root, asyncio.get_running_loop().create_future()  # noqa: SLF001
        at, runs = self._clock.now() + microseconds, [id(root)] * (root.channel in RUN_CHANNELS)
        alarm = self._clock.call_at(at, partial(_wake, woken))
        self._wakes.append(at)
        self._asleep.update(runs)
        try:
            await woken
        finally:
            alarm.cancel()
            self._wakes.remove(at)
            self._asleep.subtract(runs)
            self._asleep += Counter()  # without those that are awake

    @property
    def next_wake(self) -> int | None:
        """The instant at which the first sleeping service wakes up or times out."""
        ends = (_end_of(running) for running in self._running.values() if self._asleep)
        return min((*self._wakes, *(end for end in ends if end is not None)), default=None)


def _wake(woken: "asyncio.Future[None]") -> None:
    if not woken.done():
        woken.set_result(None)


def _end_of(running: RunningAttempt) -> int | None:
    started_at = running.attempt.started_at
    return started_at + running.timeout_ms * 1000 if started_at else None


def _repeats(attempt: ClaimedAttempt, outcome: Outcome) -> bool:
    """Return True if the process could die at this point, and the run would be made again."""
    is_first = attempt.attempt_number == 1 and attempt.job.max_crashes > 1
    is_denied = isinstance(outcome.error, DeniedError)
    return is_first and attempt.job.on_crash != "fail" and not is_denied
