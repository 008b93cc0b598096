"""From time to time what no job needs to keep any more is deleted."""

import asyncio

from zato_lite.clock import Clock
from zato_lite.store.ports import Database
from zato_lite.store.retention import PruneResult, prune
from zato_lite.timetable.job import SECOND, Instant

TIDY_EVERY = 600 * SECOND
TIDY_PAUSE = SECOND // 20


async def tidy(database: Database, clock: Clock) -> int:
    """Delete what is too old, in parts that hold nobody up; how many runs went."""
    gone, place = 0, -1
    while True:
        swept = await _sweep(database, clock, place)
        gone += swept.deleted_runs
        if swept.next_job_id is None:
            return gone
        place = swept.next_job_id
        await until(clock, clock.now() + TIDY_PAUSE)


async def _sweep(database: Database, clock: Clock, place: int) -> PruneResult:
    now = clock.now()
    return await database.write(lambda c: prune(c, now, place))


async def until(clock: Clock, moment: Instant) -> None:
    """Wait for a moment."""
    reached = asyncio.Event()
    alarm = clock.call_at(moment, reached.set)
    try:
        await reached.wait()
    finally:
        alarm.cancel()
