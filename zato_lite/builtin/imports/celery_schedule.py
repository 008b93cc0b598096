"""Schedules of Celery as triggers: intervals, and crontabs as ``crontab_parser`` reads them."""

import re
from collections.abc import Iterable, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    cron_fields,
    name_of,
    note_clock_changes,
    note_ignored,
    period_fields,
    quoted,
    target_fields,
    zone_fields,
)
from zato_lite.builtin.imports.numbers import Kind

CRONTAB: Mapping[str, Kind] = {
    "minute": numbers.MINUTE,
    "hour": numbers.HOUR,
    "day_of_month": numbers.DAY,
    "month_of_year": numbers.MONTH,
    "day_of_week": numbers.WEEKDAY,
}
"""Arguments of crontab, in the order of an expression."""

_PART = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d{1,9}))?")
_NAMED = frozenset({"task", "args", "kwargs"})


class Every(NamedTuple):
    """An interval."""

    period: timedelta
    is_relative: bool = False


class Crontab(NamedTuple):
    """Arguments of a crontab, and its own time zone if it has one."""

    fields: Mapping[str, Any]
    timezone: str | None = None


class Once(NamedTuple):
    """A single moment, in ISO 8601."""

    at: str


class Periodic(NamedTuple):
    """A periodic task: its name, its schedule, its other values, and fields of the job."""

    name: str
    schedule: Every | Crontab | Once
    values: Mapping[str, Any]
    fields: Mapping[str, Any] = {}
    notes: tuple[str, ...] = ()


def entry(place: str, task: Periodic, options: Options) -> Entry:
    """Return a periodic task as an entry.

    Raises:
        NoEquivalentError: no job can do the same.
    """
    notes = [*task.notes]
    values = dict(task.values)
    fields = dict(task.fields)
    if not isinstance(values.get("task"), str) or not values["task"]:
        raise NoEquivalentError(f"the task is not a name: {quoted(values.get('task'))}")
    if (enabled := values.pop("enabled", True)) is not True:
        fields["is_active"] = bool(enabled)
    if values.pop("relative", False) and isinstance(task.schedule, Every):
        task = task._replace(schedule=task.schedule._replace(is_relative=True))
    note_ignored(values, _NAMED, notes)
    found = {
        "name": name_of(task.name or values["task"]),
        **_when(task.schedule, options, notes),
        **target_fields(values["task"], "task", values, options),
        **fields,
    }
    return Entry(place, found, tuple(notes))


def _when(schedule: Every | Crontab | Once, options: Options, notes: list[str]) -> dict[str, Any]:
    if isinstance(schedule, Once):
        once = {"job_type": "one_time", "start_date": schedule.at}
        return once | zone_fields(options.timezone)
    if isinstance(schedule, Every):
        if schedule.is_relative:
            notes.append("relative: slots are on a grid from the job's start, not on round times")
        else:
            notes.append("on a grid from its start, not relative to the last run")
        return period_fields(schedule.period, notes) | zone_fields(options.timezone)
    timezone = schedule.timezone or options.timezone
    if timezone is None:
        notes.append("evaluated in UTC, Celery's default; import with timezone if the app has one")
    note_clock_changes(
        timezone, "Celery", "fixed times follow dst_gap and dst_fold", options, notes
    )
    return _cron(schedule.fields, notes) | zone_fields(timezone)


def _cron(given: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    parts = [_field(name, given.get(name, "*")) for name in CRONTAB]
    when = cron_fields(" ".join(parts))
    if parts[2] != "*" and parts[4] != "*":
        notes.append("both day fields must match, as in Celery (cron_day_and)")
        when["cron_day_and"] = True
    return when


def _field(name: str, value: Any) -> str:
    """Return an argument of crontab, a number, a text or a list of numbers, as a field of ours."""
    kind = CRONTAB[name]
    if value is None:
        return "*"
    if isinstance(value, str):
        found = [each for part in value.split(",") for each in _part(name, part.strip())]
        return numbers.written(kind, found, value.replace(" ", ""))
    listed = [value] if isinstance(value, int) else value
    if isinstance(listed, Iterable) and not isinstance(listed, Mapping):
        found = [*listed]
        if found and all(type(each) is int and each in kind.all for each in found):
            return numbers.written(kind, found)
    raise NoEquivalentError(
        f"{name}: {quoted(value)} is not allowed; a number from {kind.low} to {kind.high}, a "
        f"list of them, or a text of cron"
    )


def _part(name: str, part: str) -> Iterable[int]:
    kind = CRONTAB[name]
    match = _PART.fullmatch(part)
    if match is None:
        raise NoEquivalentError(f"{name}: {quoted(part)} is not valid in Celery")
    star, first, last, step = match.groups()
    by = int(step) if step is not None else 1
    if by < 1:
        raise NoEquivalentError(f"{name}: {quoted(part)} has a step of 0")
    if star:
        return kind.all[::by]
    low = _number(name, first)
    if last is None:
        if step is not None:
            raise NoEquivalentError(
                f"{name}: {quoted(part)}: Celery refuses a step after a single number; write "
                f"{first}-{kind.high}/{step}"
            )
        return [low]
    high = _number(name, last)
    if low <= high:
        return range(low, high + 1)[::by]
    return [*range(low, kind.high + 1), *range(kind.low, high + 1)][::by]


def _number(name: str, text: str) -> int:
    kind = CRONTAB[name]
    names = numbers.NAMES.get(kind, ())
    if text[:3].lower() in names and text.isalpha():  # «sunday» is sun, as in Celery
        return names.index(text[:3].lower()) + kind.low
    if not (text.isascii() and text.isdigit()) or int(text[:9]) not in kind.all:
        words = f" or {names[0]}-{names[-1]}" if names else ""
        raise NoEquivalentError(
            f"{name}: {quoted(text)} is not allowed; {kind.low}-{kind.high}{words}"
        )
    return int(text)
