"""Reader of Celery's ``beat_schedule`` as JSON.

A schedule is a number of seconds, or an object of crontab's arguments (``minute``, ``hour``,
``day_of_week``, ``day_of_month``, ``month_of_year``).
"""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from zato_lite.builtin.imports.entry import (
    Entry,
    Options,
    cron_fields,
    decode_document,
    extra_fields,
    zone_fields,
)
from zato_lite.errors import BadInputError

_PARTS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the entries of a beat schedule.

    Raises:
        BadInputError: the document is not a JSON object.
    """
    entries = decode_document(document)
    if not isinstance(entries, Mapping):
        raise BadInputError("a JSON object of entries by name is expected")
    for name, entry in entries.items():
        if isinstance(entry, Mapping) and "task" in entry:
            yield _entry(name, entry, options)
        else:
            yield Entry(name, None, ("not a valid entry; task and schedule are required",))


def _entry(name: str, entry: Mapping[str, Any], options: Options) -> Entry:
    differences = []
    if ignored := sorted(set(entry) - {"task", "schedule", "args", "kwargs"}):
        differences.append(f"not carried over: {', '.join(ignored)}")
    try:
        when = _schedule(entry.get("schedule"), differences)
    except (OverflowError, ValueError):
        when = None
    if when is None:
        text = f"schedule is neither seconds nor crontab: {entry.get('schedule')!r}"
        return Entry(name, None, (text,))
    fields = {"name": name, "service": str(entry["task"]), **when}
    fields |= zone_fields(options.timezone) | extra_fields(entry)
    return Entry(name, fields, tuple(differences))


def _schedule(schedule: Any, differences: list[str]) -> dict[str, Any] | None:
    match schedule:
        case bool():
            return None
        case int() | float():
            differences.append("on a grid from its start, not relative to the last run")
            return {"job_type": "interval_based", **_seconds(schedule)}
        case dict() if schedule and not set(schedule) - set(_PARTS):
            parts = [str(schedule.get(part, "*")).replace(" ", "") for part in _PARTS]
            when = cron_fields(" ".join(parts))
            if parts[2] != "*" and parts[4] != "*":
                differences.append("both day fields must match, as in Celery (cron_day_and)")
                when["cron_day_and"] = True
            return when
        case _:
            return None


def _seconds(count: float) -> dict[str, Any]:
    period = timedelta(seconds=count)
    milliseconds = round(period.microseconds / 1000)
    parts = {"days": period.days, "seconds": period.seconds, "milliseconds": milliseconds}
    return {unit: value for unit, value in parts.items() if value}
