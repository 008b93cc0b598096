"""Definitions from other schedulers' files: what they say, and what will be different here.

Crontab files, Celery's ``beat_schedule`` as JSON, APScheduler's export as JSON (never its
pickles), and Quartz's cron expressions. Nothing is guessed: what has no like here is reported.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any, NamedTuple

from zato_lite.errors import BadInputError
from zato_lite.wire import decode, encode

_DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_CRON_PARTS = ("minute", "hour", "day_of_month", "month_of_year", "day_of_week")
_CRONTAB_LINE = re.compile(r"(@\w+|(?:\S+\s+){4}\S+)\s+(.+)")
_ASSIGNMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)\s*=\s*(.*)")
_NAME_MOST = 200


class Entry(NamedTuple):
    """One definition of the file, as the fields of a job; None when it has no like here.

    Attributes:
        place: where it stands: a line's number, an entry's name.
        fields: what ``zato.scheduler.job.create`` takes.
        differences: in words, what will not be as it was.
    """

    place: str
    fields: dict[str, Any] | None
    differences: tuple[str, ...] = ()


def crontab(text: str, service: str, *, with_user: bool = False) -> Iterator[Entry]:
    """The jobs of a crontab (crontab(5)): each runs ``service`` with the command as its input.

    Args:
        text: the file.
        service: what runs in the place of the shell.
        with_user: whether a user's name stands before the command, as in /etc/crontab.
    """
    timezone: str | None = None
    ignored: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        if (assignment := _ASSIGNMENT.fullmatch(stripped)) is not None:
            variable, value = assignment[1], assignment[2].strip("'\"")
            if variable == "CRON_TZ":
                timezone = value
            else:
                ignored.append(variable)
            continue
        yield _crontab_line(number, stripped, service, timezone, ignored, with_user=with_user)


def _crontab_line(
    number: int,
    line: str,
    service: str,
    timezone: str | None,
    ignored: list[str],
    *,
    with_user: bool,
) -> Entry:
    place = f"line {number}"
    match = _CRONTAB_LINE.fullmatch(line)
    if match is None:
        return Entry(place, None, (f"{line!r} is no line of a crontab",))
    expression, command = " ".join(match[1].split()), match[2]
    if expression == "@reboot":
        return Entry(place, None, ("@reboot has no like here: a service's start-up is its own",))
    differences = [f"runs the service {service} with the command as its input, not a shell"]
    extra: dict[str, Any] = {}
    if with_user:
        extra["user"], _, command = command.partition(" ")
        differences.append(f"the user {extra['user']!r} is handed to the service, not switched to")
    if ignored:
        differences.append(f"variables are not set: {', '.join(ignored)}")
    if timezone is None:
        differences.append("evaluated in UTC; cron takes the machine's time zone")
    lines = re.split(r"(?<!\\)%", command)
    extra["command"] = lines[0].replace("\\%", "%").strip()
    if lines[1:]:
        extra["stdin"] = "\n".join(lines[1:]).replace("\\%", "%")
    fields = {
        "name": f"crontab line {number}: {extra['command']}"[:_NAME_MOST],
        "service": service,
        "job_type": "cron_style",
        "cron_definition": expression,
        "extra": extra,
    }
    return Entry(place, fields | _zone(timezone), tuple(differences))


def celery(text: str, timezone: str | None = None) -> Iterator[Entry]:
    """The jobs of Celery's ``beat_schedule`` as JSON.

    A schedule is a number of seconds, or an object of crontab's arguments (``minute``, ``hour``,
    ``day_of_week``, ``day_of_month``, ``month_of_year``).
    """
    for entry_name, entry in _objects(text).items():
        if not isinstance(entry, Mapping) or "task" not in entry:
            yield Entry(entry_name, None, ("an entry has a task and a schedule",))
            continue
        differences = []
        if ignored := sorted(set(entry) - {"task", "schedule", "args", "kwargs"}):
            differences.append(f"not carried over: {', '.join(ignored)}")
        try:
            when = _celery_schedule(entry.get("schedule"), differences)
        except (OverflowError, ValueError):
            when = None
        if when is None:
            words = f"its schedule is neither seconds nor crontab: {entry.get('schedule')!r}"
            yield Entry(entry_name, None, (words,))
            continue
        extra = {key: entry[key] for key in ("args", "kwargs") if entry.get(key)}
        fields = {"name": entry_name, "service": str(entry["task"]), **when, **_zone(timezone)}
        yield Entry(entry_name, fields | ({"extra": extra} if extra else {}), tuple(differences))


def _celery_schedule(schedule: Any, differences: list[str]) -> dict[str, Any] | None:
    match schedule:
        case bool():
            return None
        case int() | float():
            differences.append("on a grid from its start, not relative to the last run")
            return {"job_type": "interval_based", **_seconds(schedule)}
        case dict() if schedule and not set(schedule) - set(_CRON_PARTS):
            parts = [str(schedule.get(part, "*")).replace(" ", "") for part in _CRON_PARTS]
            if parts[2] != "*" and parts[4] != "*":
                differences.append("both day fields must match, as in Celery (cron_day_and)")
                return {**_cron(" ".join(parts)), "cron_day_and": True}
            return _cron(" ".join(parts))
        case _:
            return None


def apscheduler(text: str) -> Iterator[Entry]:
    """The jobs of APScheduler's ``export_jobs`` (JSON), with their triggers."""
    document = _decoded(text)
    entries = document.get("jobs") if isinstance(document, Mapping) else document
    if not isinstance(entries, list):
        raise BadInputError("APScheduler's export is a JSON object with a list `jobs`")
    for number, entry in enumerate(entries):
        if not isinstance(entry, Mapping):
            yield Entry(f"jobs[{number}]", None, ("an entry is an object",))
            continue
        try:
            yield _apscheduler_job(f"jobs[{number}]", entry)
        except (OverflowError, TypeError, ValueError) as error:
            yield Entry(f"jobs[{number}]", None, (f"it cannot be read: {error}",))


def _apscheduler_job(place: str, entry: Mapping[str, Any]) -> Entry:
    trigger = entry.get("trigger")
    trigger = {"type": trigger} if isinstance(trigger, str) else trigger
    if not isinstance(trigger, Mapping):
        return Entry(place, None, ("it has no trigger",))
    kind = str(trigger.get("type") or trigger.get("class") or "").lower()
    differences = ["a job is kept by its service's name, not by a reference to a function"]
    if "interval" in kind:
        when = {"job_type": "interval_based", **_periods(trigger)}
    elif "cron" in kind:
        when = _apscheduler_cron(trigger, differences)
    elif "date" in kind:
        when = {"job_type": "one_time", "start_date": trigger.get("run_date")}
    else:
        return Entry(place, None, (f"a trigger of type {kind!r} has no like here",))
    dates = {key: trigger[key] for key in ("start_date", "end_date", "timezone", "jitter")
             if trigger.get(key)}  # fmt: skip
    if (jitter := dates.pop("jitter", None)) is not None:
        when["jitter_ms"] = int(float(jitter) * 1000)
    if (grace := entry.get("misfire_grace_time")) is not None:
        when["catch_up_window_seconds"] = grace
    if not entry.get("coalesce", True):
        when["on_missed"] = "run_all"
    if (most := int(entry.get("max_instances", 1))) > 1:
        when |= {"on_overlap": "allow", "max_parallel": most}
    extra = {key: entry[key] for key in ("args", "kwargs") if entry.get(key)}
    fields = {
        "name": str(entry.get("name") or entry.get("id") or place),
        "service": str(entry.get("func") or entry.get("name") or ""),
        **when,
        **dates,
    }
    return Entry(place, fields | ({"extra": extra} if extra else {}), tuple(differences))


def _apscheduler_cron(trigger: Mapping[str, Any], differences: list[str]) -> dict[str, Any]:
    """APScheduler's weekdays begin with Monday as 0; fields left of the first given are least."""
    names = ("year", "month", "day", "week", "day_of_week", "hour", "minute", "second")
    given = {key: str(trigger[key]) for key in names if trigger.get(key) is not None}
    first = min((names.index(key) for key in given), default=0)
    parts = {}
    for place, key in enumerate(names):
        least = "0" if key in ("hour", "minute", "second") else "1" if key != "year" else "*"
        parts[key] = given.get(key, "*" if place < first or key == "day_of_week" else least)
    if given.get("week"):
        differences.append("its week of the year has no like here and is left out")
    for key in ("month", "day"):
        if key not in given and names.index(key) < names.index("day_of_week") <= first:
            parts[key] = "*"
    if given.get("day_of_week") and "day" not in given:
        parts["day"] = "*"
    weekdays = _monday_is_1(parts["day_of_week"])
    expression = [parts["second"], parts["minute"], parts["hour"], parts["day"], parts["month"],
                  weekdays]  # fmt: skip
    if "year" in given:
        expression.append(given["year"])
    both = {"cron_day_and": True} if parts["day"] != "*" and weekdays != "*" else {}
    return _cron(" ".join(expression)) | both


def quartz(expression: str) -> tuple[str, tuple[str, ...]]:
    """Quartz's cron expression in ours, with what is different.

    Quartz counts Sunday as 1 and wants ``?`` in one of the day fields; seconds come first in both.
    """
    parts = expression.split()
    if len(parts) not in (6, 7):
        raise BadInputError(f"a Quartz expression has 6 or 7 fields, not {len(parts)}")
    differences = []
    days = re.sub(r"(?<![A-Za-z#/\d])\d", lambda it: str((int(it[0]) - 1) % 7), parts[5])
    if days != parts[5]:
        differences.append(f"day of week {parts[5]} is {days}: Quartz counts Sunday as 1")
    differences.append("at clock changes cron's rules hold; Quartz skips and loses hours")
    return " ".join([*parts[:5], days, *parts[6:]]), tuple(differences)


def quartz_lines(text: str, service: str, timezone: str | None = None) -> Iterator[Entry]:
    """One job for each line of Quartz expressions; each runs ``service``."""
    for number, line in enumerate(text.splitlines(), 1):
        if not (expression := line.strip()) or expression.startswith("#"):
            continue
        try:
            ours, differences = quartz(expression)
        except BadInputError as error:
            yield Entry(f"line {number}", None, (str(error),))
            continue
        fields = {"name": f"quartz line {number}: {expression}"[:_NAME_MOST], "service": service}
        yield Entry(f"line {number}", fields | _cron(ours) | _zone(timezone), differences)


def _monday_is_1(days: str) -> str:
    return re.sub(r"(?<![A-Za-z#/\d])\d", lambda it: str((int(it[0]) + 1) % 7), days)


def _objects(text: str) -> Mapping[str, Any]:
    document = _decoded(text)
    if not isinstance(document, Mapping):
        raise BadInputError("a JSON object of entries by name is expected")
    return document


def _decoded(text: str) -> Any:
    document = decode(text)
    try:
        encode([[[[[[[[document]]]]]]]])  # as deep as an answer wraps it
    except TypeError as error:
        raise BadInputError("it is nested too deep") from error
    return document


def _periods(trigger: Mapping[str, Any]) -> dict[str, Any]:
    units = ("weeks", "days", "hours", "minutes", "seconds")
    return {unit: trigger[unit] for unit in units if trigger.get(unit)}


def _seconds(count: float) -> dict[str, Any]:
    period = timedelta(seconds=count)
    milliseconds = round(period.microseconds / 1000)
    parts = {"days": period.days, "seconds": period.seconds, "milliseconds": milliseconds}
    return {unit: value for unit, value in parts.items() if value}


def _cron(expression: str) -> dict[str, Any]:
    return {"job_type": "cron_style", "cron_definition": expression}


def _zone(timezone: str | None) -> dict[str, str]:
    return {} if timezone is None else {"timezone": timezone}
