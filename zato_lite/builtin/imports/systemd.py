"""Reader of systemd timer units: each trigger of a unit is a job that runs the same service.

Several units may follow each other in a document, as ``systemctl cat`` prints them: a comment
line with the path of a ``.timer`` file names the unit.
"""

import re
from collections.abc import Iterator
from datetime import timedelta
from pathlib import PurePosixPath
from typing import Any

from zato_lite.builtin.imports import systemd_calendar
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    name_of,
    note_clock_changes,
    period_fields,
    quoted,
    zone_fields,
)
from zato_lite.errors import BadInputError

_PATH = re.compile(r"[#;] (/\S+\.timer|\S+\.timer)")
_SECTION = re.compile(r"\[([^]]+)\]")
_REPEATING = ("OnUnitActiveSec", "OnUnitInactiveSec")
_AT_BOOT = ("OnBootSec", "OnStartupSec", "OnActiveSec")
_TRIGGERS = ("OnCalendar", *_REPEATING, *_AT_BOOT)
_TRUE = frozenset({"1", "yes", "y", "true", "t", "on"})
_FALSE = frozenset({"0", "no", "n", "false", "f", "off"})
_SPAN = re.compile(r"(\d{1,12}(?:\.\d{1,6})?)\s*([A-Za-zµμ]*)")
_UNITS = {
    "usec us µs μs": timedelta(microseconds=1),
    "msec ms": timedelta(milliseconds=1),
    "seconds second sec s ": timedelta(seconds=1),
    "minutes minute min m": timedelta(minutes=1),
    "hours hour hr h": timedelta(hours=1),
    "days day d": timedelta(days=1),
    "weeks week w": timedelta(weeks=1),
    "months month M": timedelta(seconds=2_629_800),
    "years year y": timedelta(seconds=31_557_600),
}
_UNIT_OF = {name: length for names, length in _UNITS.items() for name in names.split(" ")}
_DEFAULT_ACCURACY = "1min"
_ZERO = timedelta(0)

_Settings = dict[str, list[str]]


class _Unit:
    """A timer unit: its name, the number of its first line, and its settings by section."""

    def __init__(self, name: str, line: int) -> None:
        self.name = name
        self.line = line
        self.sections: dict[str, _Settings] = {}


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the triggers of all timer units in a document.

    Raises:
        BadInputError: the document has no section [Timer].
    """
    units = [*_units(document)]
    if not any("Timer" in unit.sections for unit in units):
        raise BadInputError("a timer unit of systemd with a section [Timer] is expected")
    for unit in units:
        if "Timer" not in unit.sections:
            yield Entry(unit.name, None, ("the unit has no section [Timer]",))
            continue
        yield from _entries(unit, options)


def _units(document: str) -> Iterator[_Unit]:
    unit = _Unit("", 1)
    section = ""
    lines = re.sub(r"\\[ \t]*\n", " ", document.removeprefix("\ufeff")).split("\n")
    for number, line in enumerate(lines, 1):
        stripped = line.strip()
        if (path := _PATH.fullmatch(stripped)) is not None:
            if unit.sections:
                yield unit
                unit = _Unit("", number)
            unit.name = PurePosixPath(path[1]).stem
        elif not stripped or stripped[0] in "#;":
            continue
        elif (header := _SECTION.fullmatch(stripped)) is not None:
            section = header[1]
            if section == "Unit" and "Timer" in unit.sections:  # the next unit, without a path
                yield unit
                unit = _Unit("", number)
            unit.sections.setdefault(section, {})
        else:
            key, equals, value = stripped.partition("=")
            values = unit.sections.setdefault(section, {}).setdefault(key.strip(), [])
            if not value.strip() and equals:
                values.clear()  # an empty value resets a list
            values += [value.strip()] if value.strip() else []
    if unit.sections:
        yield unit


def _entries(unit: _Unit, options: Options) -> Iterator[Entry]:
    timer = unit.sections["Timer"]
    name = unit.name or _stem(_last(timer, "Unit")) or f"timer in line {unit.line}"
    triggers = [("OnCalendar", each) for each in timer.get("OnCalendar", [])]
    triggers += [(key, each) for key in _REPEATING for each in timer.get(key, [])]
    if not triggers:
        at_boot = ", ".join(key for key in _AT_BOOT if timer.get(key)) or "no trigger"
        text = f"{at_boot}: only OnCalendar= and OnUnitActiveSec= are schedules; a run at the "
        yield Entry(name, None, (f"{text}start belongs in a service's start-up hook",))
        return
    for number, (key, value) in enumerate(triggers, 1):
        place = f"{name}: {key}={value}"
        try:
            notes = _common_notes(unit, options)
            if len(triggers) > 1:
                notes.append(f"the unit has {len(triggers)} triggers; each is a job")
            fields = {
                "name": name_of(name if number == 1 else f"{name} {number}"),
                "service": options.service,
                **_trigger(key, value, options, notes),
                **_policies(timer, key, notes),
                "extra": {"unit": _last(timer, "Unit") or f"{name}.service"},
            }
            yield Entry(place, fields, tuple(notes))
        except NoEquivalentError as error:
            yield Entry(place, None, (str(error),))


def _stem(unit: str) -> str:
    return unit.rpartition(".")[0]


def _last(settings: _Settings, key: str) -> str:
    values = settings.get(key)
    return values[-1] if values else ""


def _common_notes(unit: _Unit, options: Options) -> list[str]:
    timer = unit.sections["Timer"]
    notes = [f"runs the service {options.service} with the unit's name as its input, not a unit"]
    known = {*_TRIGGERS, "Unit", "Persistent", "RandomizedDelaySec", "AccuracySec"}
    known |= {"FixedRandomDelay"}
    ignored = [key for key in timer if key not in known and timer[key]]
    for section, settings in unit.sections.items():
        if section != "Timer":
            ignored += [f"{section}.{key}" for key in settings if settings[key]]
    if ignored:
        notes.append(f"not carried over: {', '.join(ignored)}")
    if at_boot := [key for key in _AT_BOOT if timer.get(key)]:
        notes.append(f"no run at the start: {', '.join(at_boot)} is not carried over")
    accuracy = _last(timer, "AccuracySec") or _DEFAULT_ACCURACY
    if _span("AccuracySec", accuracy) > timedelta(seconds=1):
        notes.append(f"runs are on time, not up to {accuracy} late (AccuracySec)")
    return notes


def _trigger(key: str, value: str, options: Options, notes: list[str]) -> dict[str, Any]:
    if key == "OnCalendar":
        found = systemd_calendar.convert(value)
        zone = found.timezone or options.timezone
        if zone is None:
            notes.append("evaluated in UTC; systemd takes the machine's time zone")
        rule = "a fixed time follows dst_gap and dst_fold"
        note_clock_changes(zone, "systemd", rule, options, notes)
        return found.fields | zone_fields(zone)
    end = "activation" if key == "OnUnitActiveSec" else "end"
    notes.append(f"on a grid from its start, not relative to the unit's last {end}")
    return period_fields(_span(key, value), notes)


def _policies(timer: _Settings, key: str, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if key == "OnCalendar":
        is_persistent = _flag("Persistent", _last(timer, "Persistent"))
        found["on_missed"] = "run_once" if is_persistent else "skip"
    elif _last(timer, "Persistent"):
        notes.append("Persistent= is for OnCalendar= only")
    delay = _last(timer, "RandomizedDelaySec")
    if delay and (span := _span("RandomizedDelaySec", delay)) > _ZERO:
        found["jitter_ms"] = span // timedelta(milliseconds=1)
        fixed = _flag("FixedRandomDelay", _last(timer, "FixedRandomDelay"))
        notes.append(
            "the random delay is one for each slot, not the same for all (FixedRandomDelay)"
            if fixed
            else "the random delay of a slot stays the same"
        )
    return found


def _flag(key: str, text: str) -> bool:
    if text.lower() in _TRUE:
        return True
    if not text or text.lower() in _FALSE:
        return False
    raise NoEquivalentError(f"{key}={text} is neither yes nor no")


def _span(key: str, text: str) -> timedelta:
    """Return the time span of systemd.time(7): ``1h 30min``, ``90``."""
    rest, found = text.strip(), _ZERO
    while rest:
        match = _SPAN.match(rest)
        if match is None or match[2] not in _UNIT_OF:
            raise NoEquivalentError(f"{key}={quoted(text)} is not a time span, such as 1h 30min")
        try:
            found += float(match[1]) * _UNIT_OF[match[2]]
        except OverflowError:
            raise NoEquivalentError(f"{key}={quoted(text)} is too long") from None
        rest = rest[match.end() :].lstrip()
    return found
