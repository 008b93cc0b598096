"""Reader of crontab files, crontab(5): each job runs a service with the command as its input.

Fields are read as Debian's cron reads them (``crontab -n`` is the reference of the tests), with
the extensions of cronie that have an equivalent here: ``CRON_TZ``, ``RANDOM_DELAY`` and ``~``.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    cron_fields,
    name_of,
    note_clock_changes,
    quoted,
    zone_fields,
)
from zato_lite.builtin.imports.numbers import Kind
from zato_lite.errors import BadInputError
from zato_lite.timetable import cron

_KINDS = (numbers.MINUTE, numbers.HOUR, numbers.DAY, numbers.MONTH, numbers.WEEKDAY)
_MACROS = ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")
_LINE = re.compile(r"(-?)(@[^ \t]+|(?:[^ \t]+[ \t]+){4}[^ \t]+)[ \t]+(.+)", re.DOTALL)
_ASSIGNMENT = re.compile(
    r"""(?:"(?P<double>[^"]+)"|'(?P<single>[^']+)'|(?P<bare>[A-Za-z_]\w*))"""
    r"""[ \t]*=[ \t]*(?P<value>.*)"""
)
_STDIN = re.compile(r"(?<!\\)%")
_SIXTH_FIELD = re.compile(r"\?|(?:\*|\d+(?:-\d+)?)(?:/\d+)?(?:,(?:\*|\d+(?:-\d+)?)(?:/\d+)?)*")
_ITEM = re.compile(r"(?:(\*)|(\w+)(?:-(\w+))?)(?:/(\d+))?")
_RANDOM = re.compile(r"(\d*)~(\d*)(/\d+)?")
_USERS = frozenset({"root", "www-data", "nobody", "daemon", "postgres", "mail", "news", "man"})
_PREFIX = (
    "is not a time zone; in a crontab the zone is a line of its own, and a prefix of the schedule "
    "is for Kubernetes (format kubernetes)"
)
_FOR_CRON = ("MAILTO", "MAILFROM", "CRON_TZ", "RANDOM_DELAY", "CONTENT_TYPE")
"""Variables that are for cron itself and not for the command."""


_MAX_COPIED = 1_000_000
"""Letters and variables that the jobs of a file receive together: each has all those above it."""


class _Line(NamedTuple):
    """A line with a job: its number, its text, and the variables above it."""

    number: int
    text: str
    variables: Mapping[str, str]


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the entries of a crontab; a variable holds for the lines after it, as in cron."""
    variables: dict[str, str] = {}
    copied = 0
    for number, line in enumerate(document.removeprefix("\ufeff").split("\n"), 1):
        stripped = line.strip(" \t\r")
        if not stripped or stripped.startswith("#"):
            continue
        if (assignment := _ASSIGNMENT.fullmatch(stripped)) is not None:
            name = assignment["double"] or assignment["single"] or assignment["bare"]
            value = _unquoted(assignment["value"])
            if name in ("CRON_TZ", "TZ") and len(value.split()) > 1:
                yield Entry(f"line {number}", None, (f"{name}={quoted(value)} {_PREFIX}",))
            else:
                variables[name] = value
            continue
        place = f"line {number}"
        copied += sum(map(len, variables.values())) + len(variables)
        if copied > _MAX_COPIED:
            raise BadInputError(f"{place}: variables are too long for the number of lines")
        try:
            yield _entry(place, _Line(number, stripped, variables), options)
        except NoEquivalentError as error:
            yield Entry(place, None, (str(error),))


def _unquoted(value: str) -> str:
    is_quoted = len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"
    return value[1:-1] if is_quoted else value


def _entry(place: str, line: _Line, options: Options) -> Entry:
    match = _LINE.fullmatch(line.text)
    if match is None:
        raise NoEquivalentError(
            f"not a valid crontab line: {quoted(line.text)}; five fields or a macro and a command "
            f"are expected"
        )
    silent, when, command = match.groups()
    notes = [f"runs the service {options.service} with the command as its input, not a shell"]
    if silent:
        notes.append("the leading - has no effect: every run is in the history")
    extra: dict[str, Any] = {}
    if options.with_user:
        extra["user"], command = _user_and_command(command)
        notes.append(f"the service receives the user {extra['user']!r} but runs as its own")
    _check_command(command, notes, options)
    trigger = _trigger(when, notes)
    extra["command"], *stdin = (part.replace("\\%", "%") for part in _STDIN.split(command))
    extra["command"] = extra["command"].strip(" \t")
    if stdin:
        extra["stdin"] = "\n".join(stdin)
    more = _variables(line.variables, extra, notes)
    timezone = line.variables.get("CRON_TZ") or options.timezone
    if timezone is None:
        notes.append("evaluated in UTC; cron takes the machine's time zone")
    _note_cadence(trigger["cron_definition"], timezone, options, notes)
    fields = {
        "name": name_of(f"crontab line {line.number}: {extra['command']}"),
        "service": options.service,
        **trigger,
        "extra": extra,
        **zone_fields(timezone),
        **more,
    }
    return Entry(place, fields, tuple(notes))


def _user_and_command(text: str) -> tuple[str, str]:
    user, *rest = re.split(r"[ \t]+", text, maxsplit=1)
    if _SIXTH_FIELD.fullmatch(user):
        raise NoEquivalentError(_too_many_fields(user))
    if not rest:
        raise NoEquivalentError(
            f"the line ends after {quoted(user)}; with_user expects a user's name and a command"
        )
    return user, rest[0]


def _check_command(command: str, notes: list[str], options: Options) -> None:
    words = re.split(r"[ \t]+", command)
    if _SIXTH_FIELD.fullmatch(words[0]):
        raise NoEquivalentError(_too_many_fields(words[0]))
    if not options.with_user and len(words) > 1 and words[0] in _USERS:
        notes.append(
            f"the command begins with {words[0]!r}; if that is a user, as in /etc/crontab, import "
            "with with_user: true"
        )


def _too_many_fields(word: str) -> str:
    return (
        f"it has six or more time fields; a crontab has five, and cron would take {quoted(word)} "
        "as the beginning of the command. For seconds or years create the job with a "
        "cron_definition of 6 or 7 fields"
    )


def _variables(
    variables: Mapping[str, str], extra: dict[str, Any], notes: list[str]
) -> dict[str, Any]:
    """Return the fields that variables stand for; the command's own go to its service."""
    more: dict[str, Any] = {}
    if environment := {key: text for key, text in variables.items() if key not in _FOR_CRON}:
        extra["environment"] = environment
        notes.append(f"the service receives the variables {', '.join(environment)}")
    if "TZ" in variables:
        notes.append("TZ is for the command only: it moves no schedule, as in Debian's cron")
    if "CRON_TZ" in variables:
        notes.append("CRON_TZ is the job's time zone, as in cronie; Debian's cron ignores it")
    unset = [key for key in ("MAILTO", "MAILFROM", "CONTENT_TYPE") if key in variables]
    if unset:
        notes.append(f"variables are not set: {', '.join(unset)}")
        notes.append("no output is mailed; on_error_service can report failures")
    if "RANDOM_DELAY" in variables:
        delay = variables["RANDOM_DELAY"].strip()
        if not (delay.isascii() and delay.isdigit() and int(delay[:9]) <= 24 * 60):
            raise NoEquivalentError(f"RANDOM_DELAY is not a number of minutes: {quoted(delay)}")
        more["jitter_ms"] = int(delay) * 60_000
        notes.append("RANDOM_DELAY is a delay (jitter_ms) that stays the same for a slot")
    return more


def _note_cadence(
    expression: str, timezone: str | None, options: Options, notes: list[str]
) -> None:
    """Add a difference if the job keeps another rhythm at clock changes than in Debian's cron."""
    parsed = cron.parse(cron.MACROS.get(expression, expression), "name")
    minute, hour = parsed.fields[1:3]
    if parsed.cadence != (minute.startswith("*") or hour.startswith("*")):
        note_clock_changes(
            timezone,
            "cron",
            "a job with a range keeps real time and may run twice",
            options,
            notes,
        )


# ---- fields


def _trigger(when: str, notes: list[str]) -> dict[str, Any]:
    if when.startswith("@"):
        return cron_fields(_macro(when))
    fields = when.split()
    if any("~" in field for field in fields):
        notes.append(
            "~ is H here: a value picked by the job's name, which stays the same; Debian's cron "
            "refuses ~"
        )
    return cron_fields(
        " ".join(_field(kind, field) for kind, field in zip(_KINDS, fields, strict=True))
    )


def _macro(word: str) -> str:
    if word == "@reboot":
        raise NoEquivalentError("@reboot is not supported; use a service's start-up hook")
    if word.removeprefix("@") not in _MACROS:
        known = " ".join(f"@{each}" for each in _MACROS)
        raise NoEquivalentError(f"unknown macro {quoted(word)}; cron knows {known} and @reboot")
    return word


def _field(kind: Kind, text: str) -> str:
    """Return a field of a crontab as one of ours.

    Raises:
        NoEquivalentError: cron refuses it; the message names the part.
    """
    if "~" in text:
        return ",".join(_random(kind, item) for item in text.split(","))
    found: set[int] = set()
    for item in text.split(","):
        found.update(_item(kind, item))
    return numbers.written(kind, found, text, has_star=text.startswith("*"))


def _item(kind: Kind, item: str) -> Iterator[int]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise NoEquivalentError(_invalid(kind, item))
    star, first, last, step = match.groups()
    if step is not None and star is None and last is None:
        raise NoEquivalentError(
            f"{item!r} in the {kind.name} field: cron refuses a step after a single number; "
            f"write {first}-{kind.high}/{step}"
        )
    by = 1 if step is None else int(step[:9])
    if by < 1:
        raise NoEquivalentError(f"{item!r} in the {kind.name} field: a step of 0")
    if star:
        return iter(kind.all[::by])
    low = _number(kind, first, item)
    high = low if last is None else _number(kind, last, item)
    if high < low:
        raise NoEquivalentError(
            f"{item!r} in the {kind.name} field: cron's ranges do not wrap around; "
            "it would never match"
        )
    is_weekday = kind is numbers.WEEKDAY
    return (number % 7 if is_weekday else number for number in range(low, high + 1, by))


def _number(kind: Kind, text: str, item: str) -> int:
    names = numbers.NAMES.get(kind, ())
    if text.lower() in names:
        return names.index(text.lower()) + kind.low
    highest = 7 if kind is numbers.WEEKDAY else kind.high
    if not (text.isascii() and text.isdigit()) or not kind.low <= int(text[:9]) <= highest:
        raise NoEquivalentError(_invalid(kind, item))
    return int(text)


def _random(kind: Kind, item: str) -> str:
    match = _RANDOM.fullmatch(item)
    if match is None:
        numbers_of_item = sorted(set(_item(kind, item)))
        return numbers.written(kind, numbers_of_item, item)
    low, high, step = match.groups()
    if not low and not high:
        return f"h{step or ''}"
    first, last = (
        _number(kind, low or str(kind.low), item),
        _number(kind, high or str(kind.high), item),
    )
    if last < first:
        raise NoEquivalentError(f"{item!r} in the {kind.name} field: the range is empty")
    return f"h({first}-{last}){step or ''}"


def _invalid(kind: Kind, item: str) -> str:
    names = numbers.NAMES.get(kind)
    highest = 7 if kind is numbers.WEEKDAY else kind.high
    allowed = f"{kind.low}-{highest}" + (f" or {names[0]}-{names[-1]}" if names else "")
    return f"{item!r} is not a valid {kind.name}: {allowed}, *, ranges, lists, and steps of both"
