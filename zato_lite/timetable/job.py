"""Job definitions: triggers (when a job is due) and policies (what happens in each case).

Instants are microseconds since 1970-01-01T00:00:00Z (``int``). Everything here is frozen; the
store saves it as msgspec's JSON.
"""

from typing import Literal

import msgspec

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z, in UTC."""

SECOND = 1_000_000
"""Microseconds in a second."""

DAY_S = 86_400
"""Seconds in a day."""

DAY = DAY_S * SECOND
"""Microseconds in a day."""

NOTICE = "notice:"
"""Prefix of the principal of an alert, which is sent even if the principal has lost its rights."""

CODE = "code:"
"""Prefix of the principal of a run that the project's own code invoked: for a service of the
project, the principal needs no right but to exist."""

GapPolicy = Literal["run_after", "skip", "shift"]
FoldPolicy = Literal["first", "last", "both"]
MissedPolicy = Literal["run_once", "run_all", "skip"]
OverlapPolicy = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]
CrashPolicy = Literal["rerun", "fail"]
ExcludedPolicy = Literal["skip", "next_day", "previous_day"]


def plain_principal(principal: str) -> str:
    """Return a principal without its prefixes: ``user:ann``, ``key:…``, ``system`` or empty."""
    return principal.removeprefix(NOTICE).removeprefix(CODE)


class _Trigger(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="kind"
):
    """Base of all triggers: a start, an optional end and an optional time zone.

    Attributes:
        start: no slot is before it; the anchor of an interval's grid; a one-time job's only slot.
        end: no slot is at or after it.
        timezone: IANA name of the zone of naive dates and cron expressions; None means UTC.
    """

    start: Instant
    end: Instant | None = None
    timezone: str | None = None


class OneTime(_Trigger, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="one_time"):
    """Trigger with one slot: ``start``."""


class Interval(
    _Trigger, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="interval_based"
):
    """Trigger with slots at ``start`` + n · period, in elapsed time: clock changes cause no drift.

    Attributes:
        weeks, days, hours, minutes, seconds, milliseconds: as given; their sum is the period.
    """

    weeks: int = 0
    days: int = 0
    hours: int = 0
    minutes: int = 0
    seconds: int = 0
    milliseconds: int = 0

    @property
    def period(self) -> int:
        """Microseconds between two slots."""
        hours = (self.weeks * 7 + self.days) * 24 + self.hours
        seconds = (hours * 60 + self.minutes) * 60 + self.seconds
        return seconds * SECOND + self.milliseconds * 1000


class Cron(_Trigger, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="cron_style"):
    """Trigger with a slot wherever wall time in the zone matches the expression.

    Attributes:
        expression: 5 fields; 6 with seconds first; 7 with a year last; or a macro.
        day_and: both day fields must match, instead of cron's either.
        gap: how a fixed time is treated that a spring clock change leaves out.
        fold: which occurrence of a fixed time counts that an autumn clock change repeats.
        seed: the input of ``H``'s hash: the name that the job was created with.
    """

    expression: str
    day_and: bool = False
    gap: GapPolicy = "run_after"
    fold: FoldPolicy = "first"
    seed: str = ""


Trigger = OneTime | Interval | Cron


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A job's definition: service, trigger, input and policies.

    Attributes:
        name: unique among jobs.
        service: name of the service to invoke.
        trigger: when the job is due.
        extra: the service's input, as the text that was given; None for no input.
        is_active: False while paused.
        repeats: the maximum of scheduled runs; None for no limit.
        on_missed: treatment of slots that passed while no node could run them.
        catch_up_window: slots older than this many seconds are missed; None for no limit.
        catch_up_rate: runs a second at most while ``run_all`` catches up; None for no limit.
        on_overlap: treatment of a slot that comes while an earlier run is in flight.
        max_parallel: runs in flight that ``allow`` permits; None for no limit.
        max_execution_time_ms: a run that takes longer is cancelled; None for the default.
        max_retries: attempts after the first one.
        retry_delay_ms, retry_backoff, retry_max_delay_ms, retry_jitter: the wait before attempt
            n+1 is min(max, delay · backoff^(n-1)), spread by ±jitter (a share from 0 to 1).
        on_crash: treatment of a run whose process died.
        max_crashes: the number of crashes after which a run is quarantined.
        jitter_ms: the maximum delay of a slot's run; a pure function of job id and slot.
        priority: higher priorities start first when more runs are due than may start.
        max_concurrent: runs of this job's service in flight on one node; None for no limit.
        calendar: name of the calendar of excluded days; None for no calendar.
        on_excluded: treatment of a slot on an excluded day.
        on_success_service, on_success_job, on_error_service, on_error_job: callbacks, by name.
        pause_note: the reason of a pause. pause_until: the instant at which it ends.
        pause_after_failures: the number of failed runs in a row that pauses the job.
        skip_next: the number of coming slots to skip.
        keep_runs, keep_days: the history to keep; None for the default.
        alert_after_intervals: the number of slots without a success that raises an alert.
        is_declared: the definition is on its service's class.
        principal: the user (``user:ann``), key (``key:…``) or ``system`` on whose behalf runs are
            made; empty if unknown, and then they are denied.
        description: text for people.
        tags: labels to find jobs by, sorted. The last field: a filter looks for a tag in the end
            of the stored definition.
    """

    name: str
    service: str
    trigger: Trigger
    extra: str | None = None
    is_active: bool = True
    repeats: int | None = None
    on_missed: MissedPolicy = "run_once"
    catch_up_window: int | None = None
    catch_up_rate: float | None = None
    on_overlap: OverlapPolicy = "skip"
    max_parallel: int | None = None
    max_execution_time_ms: int | None = None
    max_retries: int = 0
    retry_delay_ms: int = 1_000
    retry_backoff: float = 2.0
    retry_max_delay_ms: int = 3_600_000
    retry_jitter: float = 0.0
    on_crash: CrashPolicy = "rerun"
    max_crashes: int = 3
    jitter_ms: int = 0
    priority: int = 0
    max_concurrent: int | None = None
    calendar: str | None = None
    on_excluded: ExcludedPolicy = "skip"
    on_success_service: str | None = None
    on_success_job: str | None = None
    on_error_service: str | None = None
    on_error_job: str | None = None
    pause_note: str | None = None
    pause_until: Instant | None = None
    pause_after_failures: int | None = None
    skip_next: int = 0
    keep_runs: int | None = None
    keep_days: float | None = None
    alert_after_intervals: int | None = None
    is_declared: bool = False
    principal: str = ""
    description: str | None = None
    tags: tuple[str, ...] = ()
