"""Pruner: deletes history that no job has to keep any more."""

import asyncio
from collections.abc import Sequence

from zato_lite.clock import Clock
from zato_lite.store.ports import Database
from zato_lite.store.retention import (
    PruneResult,
    jobs_with_runs_after,
    prune,
    prune_jobs,
)
from zato_lite.timetable.job import SECOND, Instant

PRUNE_EVERY = 600 * SECOND
"""Interval between two passes over all jobs, for what has become too old."""

PRUNE_ACTIVE_EVERY = 20 * SECOND
"""Interval between two passes over the jobs that have run since, for ``keep_runs``."""

PAUSE = SECOND // 20
"""Pause between two batches of deletions, during which other writes may go first."""


async def prune_periodically(database: Database, clock: Clock) -> None:
    """Wait for the interval between two prunings, then prune once."""
    await sleep_until(clock, clock.now() + PRUNE_EVERY)
    await prune_history(database, clock)


async def prune_history(database: Database, clock: Clock) -> int:
    """Delete expired history in batches, and return the number of deleted runs."""
    deleted, job_id = 0, -1
    while True:
        pruned = await _prune_batch(database, clock, job_id)
        deleted += pruned.deleted_runs
        if pruned.continue_after is None:
            return deleted
        job_id = pruned.continue_after
        await sleep_until(clock, clock.now() + PAUSE)


class ActivePruner:
    """Prunes the jobs that have run lately, so that ``keep_runs`` holds under load as well."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._newest: int | None = None

    async def prune_periodically(self) -> None:
        """Wait for the interval between two passes, then prune once."""
        if self._newest is None:
            _, self._newest = await self._active(2**62)
        await sleep_until(self._clock, self._clock.now() + PRUNE_ACTIVE_EVERY)
        await self.prune()

    async def prune(self) -> None:
        """Delete expired history of the jobs that have run since the last call."""
        jobs, newest = await self._active(self._newest or 0)
        left: Sequence[int] = jobs
        while left:
            left = await self._prune_batch(left)
            if left:
                await sleep_until(self._clock, self._clock.now() + PAUSE)
        self._newest = newest

    async def _active(self, run_id: int) -> tuple[list[int], int]:
        return await self._database.read(lambda c: jobs_with_runs_after(c, run_id))

    async def _prune_batch(self, jobs: Sequence[int]) -> Sequence[int]:
        now = self._clock.now()
        return await self._database.write(lambda c: prune_jobs(c, now, jobs))


async def _prune_batch(database: Database, clock: Clock, job_id: int) -> PruneResult:
    now = clock.now()
    return await database.write(lambda c: prune(c, now, job_id))


async def sleep_until(clock: Clock, instant: Instant) -> None:
    """Wait until an instant by the given clock."""
    reached = asyncio.Event()
    alarm = clock.call_at(instant, reached.set)
    try:
        await reached.wait()
    finally:
        alarm.cancel()
