"""Clock watch: notices steps of the wall clock, and the jobs that a step back holds up."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from zato_lite.clock import Clock, to_datetime
from zato_lite.store.clock import held_up
from zato_lite.store.ports import Database

CHECK_S = 1.0
"""Seconds between two comparisons of the wall clock with the monotonic one."""

RECOUNT = 10
"""Checks after which jobs that are held up are counted again."""

MIN_STEP_S = 1.0
"""Seconds by which the clocks must part within one check to be called a step."""

_log = logging.getLogger("zato_lite.scheduler")


class ClockWatch:
    """Compares the wall clock with the monotonic clock, once a second.

    Args:
        on_step: awaited after each step, forward or back.

    Attributes:
        steps: number of steps so far.
        warning: the jobs that are held up because the clock was set back, or an empty text.
    """

    def __init__(
        self, database: Database, clock: Clock, on_step: Callable[[], Awaitable[object]]
    ) -> None:
        self.steps = 0
        self.warning = ""
        self._database, self._clock, self._on_step = database, clock, on_step
        self._offset = self._present_offset()
        self._checks = 0

    async def check_periodically(self) -> None:
        """Wait for the interval between two checks, then check once."""
        await asyncio.sleep(CHECK_S)
        await self.check()

    async def check(self) -> None:
        """Notice a step since the last check; count the jobs that are held up."""
        before, self._offset = self._offset, self._present_offset()
        step = self._offset - before
        self._checks += 1
        if abs(step) > MIN_STEP_S:
            self.steps += 1
            event = "clock set back" if step < 0 else "clock set forward"
            _log.warning(event, extra={"seconds": round(abs(step), 3)})
            await self._on_step()
        is_first = self._checks == 1  # the clock may have been set back before the start
        if is_first or step < -MIN_STEP_S or (self.warning and self._checks % RECOUNT == 0):
            await self.count()

    async def count(self) -> None:
        """Count the jobs that are held up, and log them if there are more than before."""
        now = self._clock.now()
        found = await self._database.read(lambda c: held_up(c, now))
        before, self.warning = self.warning, ""
        if found.jobs:
            until = to_datetime(found.until).isoformat()
            self.warning = (
                f"the clock was set back: {found.jobs} jobs have run their slots up to {until} and"
                " start nothing until then; zato.scheduler.continue has them start from now on"
            )
            if not before:
                fields = {"jobs": found.jobs, "until": until, "remedy": "zato.scheduler.continue"}
                _log.warning("jobs held up by the clock", extra=fields)
        elif before:
            _log.warning("jobs no longer held up by the clock")

    def _present_offset(self) -> float:
        return self._clock.now() / 1e6 - self._clock.monotonic()
