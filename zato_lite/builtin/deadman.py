"""Dead-man's switch: alerts for jobs that have not succeeded for several of their slots.

``alert_after_intervals: 3`` on a job is enough: the job that checks all such jobs is created with
the first of them, and is a job like any other.
"""

import logging
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, NamedTuple, TypedDict

from zato_lite.builtin.output import iso
from zato_lite.clock import Clock
from zato_lite.errors import JobExistsError
from zato_lite.scheduler.commands import JobCommands
from zato_lite.service.base import Service
from zato_lite.service.message import SYSTEM_PRINCIPAL
from zato_lite.service.needs import needs
from zato_lite.store.rows import JobRow, SilenceMark, WatchedRow
from zato_lite.timetable.job import NOTICE, Instant, Interval, Job, OneTime
from zato_lite.timetable.trigger import count_between
from zato_lite.wire import encode

CHECK = "zato.scheduler.job.check-silent"
_EVERY_MINUTES = 1

_log = logging.getLogger(__name__)


class Silence(NamedTuple):
    """The time during which a job has not succeeded.

    Attributes:
        since: the job's last success, or else its creation or the end of its pause.
        slots: number of its slots since then.
        is_alarming: True if they are more than the job allows.
        is_alerted: True if an alert was raised for this silence.
    """

    row: JobRow
    since: Instant
    slots: int
    is_alarming: bool
    is_alerted: bool


class CheckResult(TypedDict):
    """Names of the silent jobs, and of those for which an alert was raised by this check."""

    silent: list[str]
    alerted: list[str]


class CheckSilent(Service[Any, CheckResult]):
    """Find silent jobs, and invoke each one's ``on_error_service`` once for each silence."""

    name = CHECK
    role = "editor"
    scope = "all"
    jobs = needs(JobCommands)
    clock = needs(Clock)

    async def handle(self) -> None:
        watched = await self.jobs.watched()
        now = self.clock.now()
        silences = [silence_of(each, now) for each in watched]
        new = [silence for silence in silences if silence.is_alarming and not silence.is_alerted]
        marks = {each.row.id: SilenceMark(each.since, each.is_alarming) for each in silences}
        before = {each.row.id: each.mark for each in watched}
        changed = {job_id: mark for job_id, mark in marks.items() if before[job_id] != mark}
        for silence in new:
            alert = _alert(silence)
            _log.error("job silent", extra={"job": silence.row.job.name, **alert})
            if silence.row.job.on_error_service is not None:
                job = _alert_run(silence.row.job, silence.row.job.on_error_service, alert, now)
                await self._invoker.invoke_async(job, self.cid)
        # Saved after the alerts: a crash in between raises an alert twice, and loses none.
        if changed:
            await self.jobs.keep_marks(changed)
        self.response.payload = {
            "silent": [each.row.job.name for each in silences if each.is_alarming],
            "alerted": [each.row.job.name for each in new],
        }


def silence_of(watched: WatchedRow, now: Instant) -> Silence:
    """Return the job's silence; slots of a pause do not count."""
    row, succeeded_at, mark = watched
    job = row.job
    marked = mark.since if mark is not None else 0
    since = max(marked, succeeded_at or 0, row.created_at, job.trigger.start - 1)
    if not job.is_active:
        since = now
    slots = count_between(job.trigger, since, now) if since < now else 0
    return Silence(
        row,
        since,
        slots,
        job.alert_after_intervals is not None and slots > job.alert_after_intervals,
        mark is not None and mark.is_told and since == marked,
    )


async def watch_over(wanted: Iterable[Job], jobs: JobCommands, now: Instant) -> None:
    """Create the job that checks for silence, if a job asks for it and it does not exist."""
    if any(job.alert_after_intervals is not None for job in wanted):
        trigger = Interval(start=now, minutes=_EVERY_MINUTES)
        with suppress(JobExistsError):
            job = Job(name=CHECK, service=CHECK, trigger=trigger, principal=SYSTEM_PRINCIPAL)
            await jobs.create([job])


def _alert_run(job: Job, service: str, alert: dict[str, Any], now: Instant) -> Job:
    """Return the definition of the run that raises an alert, on behalf of the job's principal."""
    return Job(
        name=f"{service} alert",
        service=service,
        trigger=OneTime(start=now),
        extra=encode(alert).decode(),
        principal=NOTICE + job.principal,
    )


def _alert(silence: Silence) -> dict[str, Any]:
    return {
        "job_id": silence.row.id,
        "job_name": silence.row.job.name,
        "outcome": "silent",
        "silent_since": iso(silence.since),
        "slots_without_success": silence.slots,
    }
