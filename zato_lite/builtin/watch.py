"""A dead-man's switch: a job that has not succeeded for so many of its slots raises an alert.

``alert_after_intervals: 3`` on a job is all it takes; the job that looks after all such jobs is
made with the first of them, and is a job like any other.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple

from zato_lite.builtin.fields import iso
from zato_lite.clock import Clock
from zato_lite.errors import JobExistsError
from zato_lite.scheduler.jobs import Jobs
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Interval, Job
from zato_lite.timetable.trigger import count_between

CHECK = "zato.scheduler.job.check-silent"
_EVERY_MINUTES = 1

_log = logging.getLogger(__name__)


class Silent(NamedTuple):
    """A job that has brought no success for too long.

    Attributes:
        since: its last success, or else its creation or the end of its pause.
        slots: how many slots have passed since then.
    """

    row: JobRow
    since: Instant
    slots: int


class CheckSilent(Service):
    """Look for jobs that are silent, and tell each one's ``on_error_service`` once a silence."""

    name = CHECK
    jobs = needs(Jobs)
    clock = needs(Clock)

    async def handle(self) -> None:
        found = silent(await self.jobs.watched(), self.clock.now())
        alerted = [each for each in found if await self.jobs.alert_once(each.row.id, each.since)]
        for each in alerted:
            told = _told(each)
            _log.error("job is silent", extra={"job": each.row.job.name, **told})
            if each.row.job.on_error_service is not None:
                await self.invoke_async(each.row.job.on_error_service, told)
        self.response.payload = {
            "silent": [each.row.job.name for each in found],
            "alerted": [each.row.job.name for each in alerted],
        }


def silent(watched: Iterable[tuple[JobRow, Instant | None]], now: Instant) -> list[Silent]:
    """Which of the jobs have had as many slots without a success as they allow, or more."""
    found = []
    for row, succeeded_at in watched:
        since = max(succeeded_at or 0, row.created_at, row.job.trigger.start - 1)
        slots = count_between(row.job.trigger, since, now)
        if row.job.alert_after_intervals is not None and slots > row.job.alert_after_intervals:
            found.append(Silent(row, since, slots))
    return found


async def watch_over(wanted: Iterable[Job], jobs: Jobs, now: Instant) -> None:
    """See to it that somebody looks after the jobs that want to be watched, if any does."""
    if any(job.alert_after_intervals is not None for job in wanted):
        trigger = Interval(start=now, minutes=_EVERY_MINUTES)
        with suppress(JobExistsError):
            await jobs.create([Job(name=CHECK, service=CHECK, trigger=trigger)])


def _told(each: Silent) -> dict[str, Any]:
    return {
        "job_id": each.row.id,
        "job_name": each.row.job.name,
        "outcome": "silent",
        "silent_since": iso(each.since),
        "slots_without_success": each.slots,
    }
