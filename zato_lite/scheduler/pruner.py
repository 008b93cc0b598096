"""Pruner: deletes history that no job has to keep any more."""

import asyncio

from zato_lite.clock import Clock
from zato_lite.store.ports import Database
from zato_lite.store.retention import PruneResult, prune
from zato_lite.timetable.job import SECOND, Instant

PRUNE_EVERY = 600 * SECOND
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
