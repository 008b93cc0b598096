"""Reader of the JSON that APScheduler's ``export_jobs`` writes; its pickles are never read."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zato_lite.builtin.imports.entry import (
    Entry,
    Options,
    cron_fields,
    decode_document,
    extra_fields,
)
from zato_lite.errors import BadInputError

_CRON_FIELDS = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
_PERIODS = ("weeks", "days", "hours", "minutes", "seconds")


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the jobs of an export, with their triggers.

    Raises:
        BadInputError: the document has no list of jobs.
    """
    decoded = decode_document(document)
    jobs = decoded.get("jobs") if isinstance(decoded, Mapping) else decoded
    if not isinstance(jobs, list):
        raise BadInputError("a JSON object with a list `jobs` is expected")
    for number, job in enumerate(jobs):
        place = f"jobs[{number}]"
        if not isinstance(job, Mapping):
            yield Entry(place, None, ("not a valid entry; an object is expected",))
            continue
        try:
            yield _entry(place, job)
        except (OverflowError, TypeError, ValueError) as error:
            yield Entry(place, None, (f"not a valid entry: {error}",))


def _entry(place: str, job: Mapping[str, Any]) -> Entry:
    trigger = job.get("trigger")
    trigger = {"type": trigger} if isinstance(trigger, str) else trigger
    if not isinstance(trigger, Mapping):
        return Entry(place, None, ("the job has no trigger",))
    kind = str(trigger.get("type") or trigger.get("class") or "").lower()
    differences = ["the job names a service, not a function"]
    if "interval" in kind:
        periods = {unit: trigger[unit] for unit in _PERIODS if trigger.get(unit)}
        when = {"job_type": "interval_based", **periods}
    elif "cron" in kind:
        when = _cron(trigger, differences)
    elif "date" in kind:
        when = {"job_type": "one_time", "start_date": trigger.get("run_date")}
    else:
        return Entry(place, None, (f"triggers of type {kind!r} are not supported",))
    fields = {
        "name": str(job.get("name") or job.get("id") or place),
        "service": str(job.get("func") or job.get("name") or ""),
        **when,
        **_policies(job, trigger),
        **extra_fields(job),
    }
    return Entry(place, fields, tuple(differences))


def _policies(job: Mapping[str, Any], trigger: Mapping[str, Any]) -> dict[str, Any]:
    dates = ("start_date", "end_date", "timezone")
    found = {key: trigger[key] for key in dates if trigger.get(key)}
    if trigger.get("jitter"):
        found["jitter_ms"] = int(float(trigger["jitter"]) * 1000)
    if (grace := job.get("misfire_grace_time")) is not None:
        found["catch_up_window_seconds"] = grace
    if not job.get("coalesce", True):
        found["on_missed"] = "run_all"
    if (instances := int(job.get("max_instances", 1))) > 1:
        found |= {"on_overlap": "allow", "max_parallel": instances}
    return found


def _cron(trigger: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
    """Return the fields of a cron trigger.

    APScheduler's weekdays begin with Monday as 0. Fields before the first given one match any
    value, those after it their lowest.
    """
    given = {key: str(trigger[key]) for key in _CRON_FIELDS if trigger.get(key) is not None}
    first = min((_CRON_FIELDS.index(key) for key in given), default=0)
    parts = {}
    for position, key in enumerate(_CRON_FIELDS):
        lowest = "0" if key in ("hour", "minute", "second") else "1" if key != "year" else "*"
        is_any = position < first or key == "day_of_week"
        parts[key] = given.get(key, "*" if is_any else lowest)
    if given.get("week"):
        differences.append("the week of the year is not supported and left out")
    for key in ("month", "day"):
        if key not in given and _CRON_FIELDS.index("day_of_week") <= first:
            parts[key] = "*"
    if given.get("day_of_week") and "day" not in given:
        parts["day"] = "*"
    weekdays = _from_monday_as_1(parts["day_of_week"])
    clock = (parts["second"], parts["minute"], parts["hour"])
    expression = [*clock, parts["day"], parts["month"], weekdays]
    if "year" in given:
        expression.append(given["year"])
    both = {"cron_day_and": True} if parts["day"] != "*" and weekdays != "*" else {}
    return cron_fields(" ".join(expression)) | both


def _from_monday_as_1(days: str) -> str:
    return re.sub(r"(?<![A-Za-z#/\d])\d", lambda digit: str((int(digit[0]) + 1) % 7), days)
