"""Entries of another scheduler's file, and the parts of definitions that several formats share."""

from collections.abc import Callable, Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from zato_lite.builtin.input import MAX_NAME_LENGTH, parse_name, shown
from zato_lite.errors import BadInputError
from zato_lite.timetable.job import SECOND, Instant
from zato_lite.timetable.zone import BLOCK, check_zone, stretches
from zato_lite.wire import decode, encode

MAX_PARTS = 100_000
"""Parts of a value that is not JSON: JSON has no shared parts."""


class Options(NamedTuple):
    """Facts that a file leaves out.

    Attributes:
        service: the service that the entries run; without it, one with the name in the file.
        timezone: the time zone of schedules for which the file names none; None means UTC.
        with_user: a user's name stands before the command, as in /etc/crontab.
        services: services by the names of functions and tasks in the file.
        now: the moment of the import.
    """

    service: str = ""
    timezone: str | None = None
    with_user: bool = False
    services: Mapping[str, str] = {}
    now: Instant = 0


class Entry(NamedTuple):
    """An entry of the file as the fields of a job; None if no job can do the same.

    Attributes:
        place: the line's number or the entry's name.
        fields: the input of ``zato.scheduler.job.create``.
        differences: sentences about what will differ here, or the reason for missing fields.
    """

    place: str
    fields: dict[str, Any] | None
    differences: tuple[str, ...] = ()


class NoEquivalentError(Exception):
    """An entry says something that no job can do; the message says what."""


def count_parts(
    value: Any, most: int = MAX_PARTS, parts_of: Callable[[Any], Any] = lambda value: None
) -> int:
    """Return the number of parts of a value, or a number above ``most`` if it has more.

    A shared part counts each time: the texts of such values could fill the memory, although the
    file is small. A hundred letters count as a part.

    Args:
        value: a value of the file.
        most: the number of parts from which they are not counted further.
        parts_of: returns the parts of a value of another type than these, or None.
    """
    found, waiting = 0, [value]
    while waiting and found <= most:
        each = waiting.pop()
        found += len(each) // 100 + 1 if isinstance(each, str | bytes) else 1
        parts = each if isinstance(each, list | tuple | dict) else parts_of(each)
        if isinstance(parts, dict):
            parts = [*parts, *parts.values()]
        waiting += parts or ()
    return found


def decode_document(document: str) -> Any:
    """Return the values of a JSON document.

    Raises:
        BadInputError: the document is not JSON, or is nested too deeply for a response.
    """
    decoded = decode(document)
    try:
        encode([[[[[[[[decoded]]]]]]]])  # the depth of a response with it inside
    except TypeError as error:
        raise BadInputError("the document is nested too deeply") from error
    return decoded


def cron_fields(expression: str) -> dict[str, Any]:
    """Return the fields of a cron job's trigger."""
    return {"job_type": "cron_style", "cron_definition": expression}


def zone_fields(timezone: str | None) -> dict[str, str]:
    """Return the field of a time zone, if there is one."""
    return {} if timezone is None else {"timezone": timezone}


def period_fields(period: timedelta, notes: list[str]) -> dict[str, Any]:
    """Return the fields of an interval; a period is a whole number of milliseconds.

    Raises:
        NoEquivalentError: the period is shorter than a millisecond.
    """
    milliseconds = period // timedelta(milliseconds=1)
    if milliseconds < 1:
        raise NoEquivalentError(f"an interval of {period} is shorter than a millisecond")
    if period != timedelta(milliseconds=milliseconds):
        notes.append(f"an interval of {period} is rounded down to a millisecond")
    seconds, rest = divmod(milliseconds, 1_000)
    days, seconds = divmod(seconds, 86_400)
    hours, seconds = divmod(seconds, 3_600)
    minutes, seconds = divmod(seconds, 60)
    parts = {"days": days, "hours": hours, "minutes": minutes}
    parts |= {"seconds": seconds, "milliseconds": rest}
    return {"job_type": "interval_based", **{unit: part for unit, part in parts.items() if part}}


def target_fields(
    theirs: str, kind: str, entry: Mapping[str, Any], options: Options
) -> dict[str, Any]:
    """Return the service of an entry that names a function or task, and the job's extra data.

    The service is the one that ``services`` gives for their name, or ``service``, which receives
    their name with the arguments, or the one with their name.
    """
    extra = {key: entry[key] for key in ("args", "kwargs") if entry.get(key)}
    service = options.services.get(theirs)
    if service is None and options.service:
        service, extra = options.service, {kind: theirs, **extra}
    return {"service": service or theirs, **({"extra": extra} if extra else {})}


def note_ignored(
    entry: Mapping[str, Any], known: Collection[str], notes: list[str], place: str = ""
) -> None:
    """Add a difference that lists the fields of an entry that are not carried over."""
    ignored = [key for key in entry if key not in known and entry[key] not in (None, "", [], {})]
    if ignored:
        inside = f" of {place}" if place else ""
        notes.append(f"not carried over{inside}: {', '.join(map(str, sorted(ignored, key=str)))}")


def note_clock_changes(
    timezone: str | None, tool: str, rule: str, options: Options, notes: list[str]
) -> bool:
    """Add a difference about clock changes if the zone has any in the year after the import.

    Returns True if it has.
    """
    if timezone is None:
        return False
    try:
        check_zone(timezone)
    except BadInputError:
        return False  # the definition's own check names the wrong zone
    block = options.now // SECOND // BLOCK
    offsets = {each.offset for at in (block, block + 1) for each in stretches(timezone, at)}
    if len(offsets) > 1:
        notes.append(f"at clock changes in {timezone} {rule}; {tool} has rules of its own")
    return len(offsets) > 1


def inclusive_end(last: datetime) -> str:
    """Return the ``end_date`` of a job that has a slot at ``last``: here the end is excluded."""
    return (last + timedelta(microseconds=1)).isoformat()


def name_of(text: str) -> str:
    """Return a job's name made of a text: without control characters, cut to the maximum."""
    readable = "".join(map(_readable, text))
    return " ".join(readable.split())[:MAX_NAME_LENGTH].strip()


def _readable(letter: str) -> str:
    try:
        parse_name(f"a{letter}a")
    except ValueError:
        return " "
    return letter


def quoted(value: Any) -> str:
    """Return a value of the file as a message shows it."""
    return shown(value)
