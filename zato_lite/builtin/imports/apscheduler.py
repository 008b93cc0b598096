"""Reader of the jobs of APScheduler 3: what ``export_jobs`` writes, and flat definitions.

The flat form has the arguments of ``add_job``: Flask-APScheduler's ``JOBS`` and its REST API have
it, as JSON. Pickles are read by ``pickles``, which executes nothing.
"""

from collections.abc import Iterator, Mapping
from datetime import date, datetime, timedelta
from typing import Any, NamedTuple

from zato_lite.builtin.imports import aps_cron, pickles
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    decode_document,
    inclusive_end,
    name_of,
    note_clock_changes,
    note_ignored,
    period_fields,
    quoted,
    target_fields,
    zone_fields,
)
from zato_lite.errors import BadInputError
from zato_lite.timetable.job import Cron
from zato_lite.timetable.trigger import next_after
from zato_lite.timetable.zone import parse_moment, to_datetime

_PERIODS = ("weeks", "days", "hours", "minutes", "seconds")
_DATES = ("start_date", "end_date", "timezone", "jitter")
_ARGUMENTS = {
    "cron": frozenset((*aps_cron.FIELD_NAMES, *_DATES)),
    "interval": frozenset((*_PERIODS, *_DATES)),
    "date": frozenset(("run_date", "timezone")),
}
"""Arguments of triggers in the flat form."""

_EXPORTED = frozenset({"__apscheduler_class__", "__apscheduler_state__"})
_STATE = {
    "cron": frozenset(("version", "fields", *_DATES)),
    "interval": frozenset(("version", "interval", *_DATES)),
    "date": frozenset(("version", "run_date")),
}
"""Attributes of triggers in an export."""

_POLICIES = ("misfire_grace_time", "coalesce", "max_instances", "next_run_time")
_KNOWN = frozenset(
    ("version", "id", "name", "func", "trigger", "args", "kwargs", "executor", *_POLICIES)
)
_DEFAULT_GRACE_S = 1
_DEPTH = 20
_MAX_VALUES = 100_000


class _Trigger(NamedTuple):
    """A trigger: its kind, its arguments, and True if they come from an export's state."""

    kind: str
    values: Mapping[str, Any]
    is_state: bool


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the jobs of an export, with their triggers.

    Raises:
        BadInputError: the document has no list of jobs.
    """
    decoded = decode_document(document)
    jobs = decoded.get("jobs", decoded.get("JOBS")) if isinstance(decoded, Mapping) else decoded
    if not isinstance(jobs, list):
        raise BadInputError(
            "a JSON object with a list `jobs` is expected, as scheduler.export_jobs() writes it"
        )
    for number, job in enumerate(jobs):
        place = f"jobs[{number}]"
        try:
            if not isinstance(job, Mapping):
                raise NoEquivalentError("not a valid entry; an object is expected")  # noqa: TRY301
            yield _entry(place, job, options)
        except NoEquivalentError as error:
            yield Entry(place, None, (str(error),))
        except (OverflowError, TypeError, ValueError, BadInputError) as error:
            yield Entry(place, None, (f"not a valid entry: {error}",))


def _entry(place: str, sent: Mapping[str, Any], options: Options) -> Entry:
    notes = ["the job names a service, not a function"]
    job = _plain(sent, notes)
    trigger = _trigger(job)
    arguments = () if isinstance(job["trigger"], Mapping) else _ARGUMENTS.get(trigger.kind, ())
    note_ignored(job, _KNOWN | frozenset(arguments), notes)
    if job.get("executor") not in (None, "default"):
        notes.append(f"the executor {quoted(job['executor'])} is not carried over")
    func = job.get("func") or job.get("name")
    if not isinstance(func, str):
        raise NoEquivalentError("the job names no function (`func`)")
    fields = {
        "name": name_of(str(job.get("id") or job.get("name") or place)),
        **target_fields(func, "func", job, options),
        **_when(trigger, options, notes),
        **_policies(job, trigger, notes),
    }
    if trigger.is_state and job.get("next_run_time") is None:
        fields["is_active"] = False
        fields["pause_note"] = "Paused in APScheduler"
        notes.append("the job is paused there, and so it is here")
    _follow_next_run(job, fields, options, notes)
    return Entry(place, fields, tuple(notes))


def _plain(sent: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return a job with its pickles read; arguments become JSON values."""
    job = {key: value if key == "trigger" else _value(value) for key, value in sent.items()}
    values = _Json(notes)
    for key in ("args", "kwargs"):
        job[key] = values.convert(job.get(key), key)
    return job


def _value(value: Any) -> Any:
    if isinstance(value, Mapping) and "__apscheduler_pickle__" in value:
        return pickles.load(str(value["__apscheduler_pickle__"]))
    return value


class _Json:
    """Converter of arguments to JSON values, within limits: pickled lists can hold each other."""

    def __init__(self, notes: list[str]) -> None:
        self.notes = notes
        self.left = _MAX_VALUES

    def convert(self, sent: Any, place: str, depth: int = _DEPTH) -> Any:
        """Return the value as JSON has it; dates and periods become a difference."""
        value = _value(sent)
        self.left -= 1
        if not depth or self.left < 0:
            raise NoEquivalentError(f"{place} is nested too deeply, or too large")
        if isinstance(value, Mapping) and "__apscheduler_class__" in value:
            kind = quoted(value["__apscheduler_class__"])
            raise NoEquivalentError(f"{place} is an object of {kind}; arguments must be JSON")
        if isinstance(value, Mapping):
            return {
                str(key): self.convert(each, f"{place}.{key}", depth - 1)
                for key, each in value.items()
            }
        if isinstance(value, list | tuple):
            return [
                self.convert(each, f"{place}[{at}]", depth - 1) for at, each in enumerate(value)
            ]
        if isinstance(value, datetime | date):
            self.notes.append(f"{place} is a text, {value.isoformat()}")
            return value.isoformat()
        if isinstance(value, timedelta):
            self.notes.append(f"{place} is a number of seconds, {value.total_seconds()}")
            return value.total_seconds()
        if value is None or isinstance(value, str | int | float):
            return value
        kind = type(value).__name__
        raise NoEquivalentError(f"{place} is a pickled {kind}; arguments must be JSON")


# ---- triggers


def _trigger(job: Mapping[str, Any]) -> _Trigger:
    found = job.get("trigger")
    if isinstance(found, Mapping) and "__apscheduler_class__" in found:
        kind = str(found["__apscheduler_class__"]).rpartition(":")[2].removesuffix("Trigger")
        state = found.get("__apscheduler_state__")
        if not isinstance(state, Mapping):
            raise NoEquivalentError("the trigger has no state")
        known = _STATE.get(kind.lower(), frozenset(state))
        if unknown := sorted((set(state) - known) | (set(found) - _EXPORTED)):
            raise NoEquivalentError(f"unknown fields of the trigger: {', '.join(unknown)}")
        return _Trigger(kind.lower(), {key: _value(each) for key, each in state.items()}, True)
    if isinstance(found, Mapping):
        kind = str(found.get("type") or found.get("class") or "date")
        values = {key: each for key, each in found.items() if key not in ("type", "class")}
        return _Trigger(kind.lower(), _checked(kind.lower(), values), False)
    if not isinstance(found, str):
        raise NoEquivalentError("the job has no trigger")
    kind = found.lower()
    values = {key: job[key] for key in _ARGUMENTS.get(kind, ()) if job.get(key) is not None}
    return _Trigger(kind, values, False)


def _checked(kind: str, values: Mapping[str, Any]) -> Mapping[str, Any]:
    if unknown := sorted(set(values) - _ARGUMENTS.get(kind, frozenset(values))):
        raise NoEquivalentError(f"not arguments of a trigger of type {kind}: {', '.join(unknown)}")
    return values


def _when(trigger: _Trigger, options: Options, notes: list[str]) -> dict[str, Any]:
    """Return the fields of a trigger."""
    values = trigger.values
    match trigger.kind:
        case "date":
            if values.get("run_date") is None:
                raise NoEquivalentError("the date trigger has no run_date")
            zone = _zone(values.get("timezone"), options, [] if trigger.is_state else notes)
            at = _moment(values["run_date"], zone)
            if parse_moment(at, zone) <= options.now:
                notes.append("its date has passed: the job runs when it is created")
            return {"job_type": "one_time", "start_date": at, **zone_fields(zone)}
        case "interval":
            return _interval(trigger, options, notes)
        case "cron":
            return _cron(trigger, options, notes)
        case "or" | "and":
            raise NoEquivalentError(
                f"a trigger that combines others ({trigger.kind}) has no equivalent; create a job "
                f"for each, or one with a calendar"
            )
        case "calendarinterval":
            raise NoEquivalentError("a CalendarIntervalTrigger has no equivalent; use cron")
        case other:
            raise NoEquivalentError(
                f"triggers of type {other!r} are not supported; date, interval and cron are"
            )


def _interval(trigger: _Trigger, options: Options, notes: list[str]) -> dict[str, Any]:
    values = trigger.values
    if trigger.is_state:
        period = values["interval"]
        if not isinstance(period, timedelta):
            raise NoEquivalentError("the interval is not a period of time")
    else:
        period = timedelta(**{unit: float(values[unit]) for unit in _PERIODS if unit in values})
        period = period or timedelta(seconds=1)  # as APScheduler does
    zone = _zone(values.get("timezone"), options, [])
    return period_fields(period, notes) | _bounds(values, zone)


def _cron(trigger: _Trigger, options: Options, notes: list[str]) -> dict[str, Any]:
    values = trigger.values
    if trigger.is_state:
        pieces = aps_cron.pickled_fields([_value(each) for each in values["fields"]])
    else:
        pieces = aps_cron.written_fields(values)
    zone = _zone(values.get("timezone"), options, notes)
    found = aps_cron.cron(pieces, notes) | _bounds(values, zone)
    rule = "missing times run later and doubled ones twice"
    if note_clock_changes(zone, "APScheduler", rule, options, notes):
        found |= {"dst_gap": "shift", "dst_fold": "both"}
    return found


def _bounds(values: Mapping[str, Any], zone: str | None) -> dict[str, Any]:
    """Return the fields of the start, the end and the zone; APScheduler's end is a slot, too."""
    found: dict[str, Any] = {**zone_fields(zone)}
    if values.get("start_date") is not None:
        found["start_date"] = _moment(values["start_date"], zone)
    if values.get("end_date") is not None:
        last = parse_moment(_moment(values["end_date"], zone), zone)
        found["end_date"] = inclusive_end(to_datetime(last, zone))
    return found


def _moment(value: Any, zone: str | None) -> str:
    if isinstance(value, date):
        return value.isoformat()
    if not isinstance(value, str):
        raise NoEquivalentError(f"not a valid date: {quoted(value)}")
    parse_moment(value, zone)
    return value


def _zone(value: Any, options: Options, notes: list[str]) -> str | None:
    """Return the name of a trigger's zone; that of the scheduler where a flat one names none."""
    if value is None:
        if options.timezone is None:
            notes.append("evaluated in UTC; APScheduler takes its scheduler's time zone")
        return options.timezone
    if isinstance(value, str):
        return value
    if (key := getattr(value, "key", None)) is not None:
        return str(key)
    offset: timedelta = value.utcoffset(None)
    hours, rest = divmod(offset, timedelta(hours=1))
    if rest:
        raise NoEquivalentError(f"the fixed offset {offset} is not a time zone with a name")
    return "UTC" if not hours else f"Etc/GMT{-hours:+d}"


# ---- policies


def _policies(job: Mapping[str, Any], trigger: _Trigger, notes: list[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    if trigger.values.get("jitter"):
        found["jitter_ms"] = int(float(trigger.values["jitter"]) * 1000)
        notes.append("the jitter of a slot stays the same, and does not move later slots")
    grace = job.get("misfire_grace_time", _DEFAULT_GRACE_S if trigger.is_state else None)
    if grace is not None:
        found["catch_up_window_seconds"] = grace
    if not job.get("coalesce", True):
        found["on_missed"] = "run_all"
    if (instances := int(job.get("max_instances", 1))) > 1:
        found |= {"on_overlap": "allow", "max_parallel": instances}
    return found


def _follow_next_run(
    job: Mapping[str, Any], fields: dict[str, Any], options: Options, notes: list[str]
) -> None:
    """Keep a next run that was set apart from the trigger, as far as there is an equivalent."""
    at = job.get("next_run_time")
    if at is None or fields["job_type"] == "one_time" or "jitter_ms" in fields:
        return
    zone = fields.get("timezone")
    upcoming = parse_moment(_moment(at, zone), zone)
    if upcoming <= options.now:
        return
    if fields["job_type"] == "interval_based":
        start = parse_moment(fields["start_date"], zone) if "start_date" in fields else upcoming
        if upcoming < start or (upcoming - start) % _period_of(fields):
            fields["start_date"] = to_datetime(upcoming, zone).isoformat()
            notes.append(f"counted from the next run there, {fields['start_date']}")
        return
    trigger = Cron(
        start=parse_moment(fields["start_date"], zone) if "start_date" in fields else 0,
        expression=fields["cron_definition"],
        day_and=fields.get("cron_day_and", False),
        timezone=zone,
        gap="shift",
        fold="both",
    )
    expected = next_after(trigger, options.now)
    if expected is not None and expected < upcoming:
        fields["start_date"] = to_datetime(upcoming, zone).isoformat()
        notes.append(f"no run before the next run there, {fields['start_date']}")
    elif expected != upcoming:
        notes.append(
            f"the next run there was set to {to_datetime(upcoming, zone).isoformat()}; "
            f"here it is the trigger's own"
        )


def _period_of(fields: Mapping[str, Any]) -> int:
    units = ("days", "hours", "minutes", "seconds", "milliseconds")
    period = timedelta(**{unit: fields.get(unit, 0) for unit in units})
    return period // timedelta(microseconds=1)
