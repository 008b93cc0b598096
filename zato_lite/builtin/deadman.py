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
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.needs import needs
from zato_lite.store.rows import JobRow, SilenceMark, WatchedRow
from zato_lite.timetable.job import Instant, Interval, Job
from zato_lite.timetable.trigger import count_between

CHECK = "zato.scheduler.job.check-silent"
_EVERY_MINUTES = 1

_log = logging.getLogger(__name__)


class Silence(NamedTuple):
    """How long a job has brought no success.

    Attributes:
        since: its last success, or else its creation or the end of its pause.
        slots: how many of its slots have passed since then.
        is_alarming: they are more than it allows.
        is_told: an alert has been raised for this silence already.
    """

    row: JobRow
    since: Instant
    slots: int
    is_alarming: bool
    is_told: bool


class CheckSilent(Service):
    """Look for jobs that are silent, and tell each one's ``on_error_service`` once a silence."""

    name = CHECK
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        watched = await self.jobs.watched()
        now = self.clock.now()
        silences = [silence_of(each, now) for each in watched]
        new = [each for each in silences if each.is_alarming and not each.is_told]
        marks = {it.row.id: SilenceMark(it.since, it.is_alarming) for it in silences}
        before = {it.row.id: it.mark for it in watched}
        changed = {job_id: mark for job_id, mark in marks.items() if before[job_id] != mark}
        for each in new:
            told = _told(each)
            _log.error("job is silent", extra={"job": each.row.job.name, **told})
            if each.row.job.on_error_service is not None:
                await self.invoke_async(each.row.job.on_error_service, told)
        if changed:  # after the alerts: a crash in between raises one twice, and loses none
            await self.jobs.keep_marks(changed)
        self.response.payload = {
            "silent": [each.row.job.name for each in silences if each.is_alarming],
            "alerted": [each.row.job.name for each in new],
        }


def silence_of(watched: WatchedRow, now: Instant) -> Silence:
    """How long the job has been silent; slots of a pause do not count."""
    row, succeeded_at, mark = watched
    job = row.job
    known = mark.since if mark is not None else 0
    since = max(known, succeeded_at or 0, row.created_at, job.trigger.start - 1)
    if not job.is_active:
        since = now
    slots = count_between(job.trigger, since, now) if since < now else 0
    return Silence(
        row,
        since,
        slots,
        job.alert_after_intervals is not None and slots > job.alert_after_intervals,
        mark is not None and mark.is_told and since == known,
    )


async def watch_over(wanted: Iterable[Job], jobs: JobCommands, now: Instant) -> None:
    """See to it that somebody looks after the jobs that want to be watched, if any does."""
    if any(job.alert_after_intervals is not None for job in wanted):
        trigger = Interval(start=now, minutes=_EVERY_MINUTES)
        with suppress(JobExistsError):
            await jobs.create([Job(name=CHECK, service=CHECK, trigger=trigger)])


def _told(each: Silence) -> dict[str, Any]:
    return {
        "job_id": each.row.id,
        "job_name": each.row.job.name,
        "outcome": "silent",
        "silent_since": iso(each.since),
        "slots_without_success": each.slots,
    }
