"""What a job is: a trigger that says when, and policies that say what if.

Instants are microseconds since 1970-01-01T00:00:00Z (``int``). Everything here is frozen, and is
kept in the store as the JSON that msgspec makes of it.
"""

from typing import Literal

import msgspec

Instant = int
"""Microseconds since 1970-01-01T00:00:00Z, in UTC."""

SECOND = 1_000_000
"""Microseconds in a second."""

GapPolicy = Literal["run_after", "skip", "shift"]
FoldPolicy = Literal["first", "last", "both"]
MissedPolicy = Literal["run_once", "run_all", "skip"]
OverlapPolicy = Literal["skip", "queue_one", "queue_all", "cancel_running", "allow"]
CrashPolicy = Literal["rerun", "fail"]
ExcludedPolicy = Literal["skip", "next_day", "previous_day"]


class _Trigger(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag_field="kind"
):
    """What all triggers have: they begin, may end, and may have a time zone.

    Attributes:
        start: no slot is before it; the anchor of an interval's grid; a one-time job's one slot.
        end: no slot is at or after it.
        timezone: IANA name in which a naive ``start_date`` was read and cron is evaluated; None
            means UTC.
    """

    start: Instant
    end: Instant | None = None
    timezone: str | None = None


class OneTime(_Trigger, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="one_time"):
    """One slot: ``start``."""


class Interval(
    _Trigger, frozen=True, kw_only=True, omit_defaults=True, gc=False, tag="interval_based"
):
    """Slots on the grid ``start`` + n · period, in elapsed time: no drift, whatever the zone does.

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
    """Slots where wall time in the zone matches the expression.

    Attributes:
        expression: 5 fields; 6 with seconds first; 7 with a year last; or a macro.
        day_and: both day fields must match, instead of cron's either.
        gap: what a fixed time does that a spring clock change leaves out.
        fold: which of the two runs that an autumn clock change makes of a fixed time.
        seed: what spreads ``H``: the name that the job was created with.
    """

    expression: str
    day_and: bool = False
    gap: GapPolicy = "run_after"
    fold: FoldPolicy = "first"
    seed: str = ""


Trigger = OneTime | Interval | Cron


class Job(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, gc=False):
    """A definition: which service runs, when, with what, and by which policies.

    Attributes:
        name: unique among jobs.
        service: name of the service that runs.
        trigger: when.
        extra: what the service receives, as the text that was given; None for nothing.
        is_active: False while paused.
        repeats: how many scheduled runs there are; None for no bound.
        on_missed: what slots get that passed while nobody could run them.
        catch_up_window: older slots than this many seconds are missed; None for no bound.
        catch_up_rate: runs a second at most while ``run_all`` catches up; None for no bound.
        on_overlap: what a slot gets while an earlier run is in flight.
        max_parallel: how many runs ``allow`` allows at once; None for no bound.
        max_execution_time_ms: a run is cancelled when it takes longer; None for the default.
        max_retries: attempts after the first one.
        retry_delay_ms, retry_backoff, retry_max_delay_ms, retry_jitter: the wait before attempt
            n+1 is min(max, delay · backoff^(n-1)), spread by ±jitter (a share from 0 to 1).
        on_crash: what becomes of a run whose process died.
        max_crashes: after so many crashes of one run it is quarantined.
        jitter_ms: a slot's run is delayed by up to this; a pure function of job id and slot.
        priority: the higher goes first when more is due than can run.
        max_concurrent: runs of this job's service at once on one node; None for no bound.
        calendar: name of the calendar of excluded days; None for none.
        on_excluded: what a slot on an excluded day gets.
        on_success_service, on_success_job, on_error_service, on_error_job: callbacks, by name.
        pause_note: why it is paused. pause_until: when it resumes by itself.
        pause_after_failures: it pauses itself after so many failed runs in a row.
        skip_next: so many of the next slots are skipped.
        keep_runs, keep_days: how much history is kept; None for the default.
        alert_after_intervals: an alert is raised when so many slots in a row brought no success.
        is_declared: its definition is on its service's class.
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
