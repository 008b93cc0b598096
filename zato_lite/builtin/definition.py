"""From the fields of a request to a job and back: the surface's names, the timetable's nouns.

``read(fields(job), now)`` is that job again, and an edit is the job's own fields with the sent
ones over them: there is one reading of a definition, for create, edit, import and preview.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

import msgspec

from zato_lite.builtin.fields import (
    Read,
    Reader,
    described,
    flag,
    is_unsent,
    moment,
    naive_iso,
    name,
    number,
    one_of,
    schema_of,
    shown,
    text,
    whole,
    zone,
)
from zato_lite.clock import to_datetime
from zato_lite.errors import BadInputError
from zato_lite.timetable import trigger as triggers
from zato_lite.timetable.job import (
    CrashPolicy,
    Cron,
    ExcludedPolicy,
    FoldPolicy,
    GapPolicy,
    Instant,
    Interval,
    Job,
    MissedPolicy,
    OneTime,
    OverlapPolicy,
    Trigger,
)
from zato_lite.wire import encode

PERIODS = ("weeks", "days", "hours", "minutes", "seconds", "milliseconds")
EXTRA_MOST = 500_000
_DAY_MS = 86_400_000
_NO_PERIOD = "At least one of ['weeks', 'days', 'hours', 'minutes', 'seconds'] must be given"
_ACCEPTED = ("cluster_id", "id", "service_id", "service_name", "should_ignore_existing",
             "imap_conn_id", "link_conn_type", "link_conn_id", "link_kind")  # fmt: skip
"""What Zato's programs send and no definition needs."""


class _Rule(NamedTuple):
    """Which attribute of a job a field becomes, and how it is read."""

    attribute: str
    read: Read[Any]


_text = text(EXTRA_MOST)


@described(schema_of(_text))
def extra_text(value: Any) -> str:
    """What the service receives, as text; what is no text is written as JSON."""
    return _text(value if isinstance(value, str) else encode(value).decode())


@described(schema_of(whole(0, 2**53)))
def _repeats(value: Any) -> int | None:
    return whole(0, 2**53)(value) or None


_RULES: dict[str, _Rule] = {
    "name": _Rule("name", name),
    "service": _Rule("service", name),
    "is_active": _Rule("is_active", flag),
    "extra": _Rule("extra", extra_text),
    "repeats": _Rule("repeats", _repeats),
    "on_missed": _Rule("on_missed", one_of(MissedPolicy)),
    "catch_up_window_seconds": _Rule("catch_up_window", whole(0, 10**10)),
    "catch_up_rate": _Rule("catch_up_rate", number(0.001, 1_000_000)),
    "on_overlap": _Rule("on_overlap", one_of(OverlapPolicy)),
    "max_parallel": _Rule("max_parallel", whole(1, 1_000_000)),
    "max_execution_time_ms": _Rule("max_execution_time_ms", whole(1, 366 * _DAY_MS)),
    "max_retries": _Rule("max_retries", whole(0, 1_000)),
    "retry_delay_ms": _Rule("retry_delay_ms", whole(0, 366 * _DAY_MS)),
    "retry_backoff": _Rule("retry_backoff", number(1, 100)),
    "retry_max_delay_ms": _Rule("retry_max_delay_ms", whole(0, 366 * _DAY_MS)),
    "retry_jitter": _Rule("retry_jitter", number(0, 1)),
    "on_crash": _Rule("on_crash", one_of(CrashPolicy)),
    "max_crashes": _Rule("max_crashes", whole(1, 1_000)),
    "jitter_ms": _Rule("jitter_ms", whole(0, _DAY_MS)),
    "priority": _Rule("priority", whole(-1_000_000, 1_000_000)),
    "max_concurrent": _Rule("max_concurrent", whole(1, 1_000_000)),
    "calendar": _Rule("calendar", name),
    "on_excluded": _Rule("on_excluded", one_of(ExcludedPolicy)),
    "on_success_service": _Rule("on_success_service", name),
    "on_success_job": _Rule("on_success_job", name),
    "on_error_service": _Rule("on_error_service", name),
    "on_error_job": _Rule("on_error_job", name),
    "pause_note": _Rule("pause_note", text(1_000)),
    "pause_until": _Rule("pause_until", moment()),
    "pause_after_failures": _Rule("pause_after_failures", whole(1, 1_000_000)),
    "skip_next": _Rule("skip_next", whole(0, 1_000_000)),
    "alert_after_intervals": _Rule("alert_after_intervals", whole(1, 1_000_000)),
    "keep_runs": _Rule("keep_runs", whole(0, 10**9)),
    "keep_days": _Rule("keep_days", number(0, 36_600)),
}
NAMES = (*_RULES, "job_type", "start_date", "end_date", "timezone", *PERIODS,
         "cron_definition", "cron_day_and", "dst_gap", "dst_fold")  # fmt: skip
"""Every field that a definition may have."""
_KNOWN = frozenset((*NAMES, *_ACCEPTED))
_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Job)}


_KEPT_MOST = 1024
_kept: dict[Any, Job] = {}


def schema(*, required: bool) -> dict[str, Any]:
    """What a definition looks like, as a JSON Schema; of an edit, nothing is required."""
    properties = {field: schema_of(rule.read) for field, rule in _RULES.items()}
    properties |= {
        "job_type": {"enum": ["one_time", "interval_based", "cron_style"]},
        "start_date": schema_of(moment()),
        "end_date": schema_of(moment()),
        "timezone": schema_of(zone),
        **{field: schema_of(whole(0, 10**9)) for field in PERIODS},
        "cron_definition": {"type": "string", "example": "0 2 * * mon-fri"},
        "cron_day_and": schema_of(flag),
        "dst_gap": schema_of(one_of(GapPolicy)),
        "dst_fold": schema_of(one_of(FoldPolicy)),
    }
    needed = ["name", "job_type", "service"] if required else []
    return {"type": "object", "properties": properties, "required": needed}


def read(sent: Any, now: Instant) -> Job:
    """The job that the fields of a request define.

    A program that creates jobs creates many that are alike but for their name and extra; what the
    others had is read once. That holds where neither ``now`` nor an end has a say.

    Args:
        sent: the fields of the surface, in a mapping.
        now: when a job without ``start_date`` starts.

    Raises:
        BadInputError: lists every field that is missing, unknown or wrong, and what is allowed.
    """
    if isinstance(sent, dict) and not is_unsent(sent.get("start_date")) and "end_date" not in sent:
        if len(_kept) >= _KEPT_MOST:
            _kept.clear()
        return read_alike(sent, now, _kept)
    return _read(sent, now)


def _read(sent: Any, now: Instant) -> Job:
    reader = Reader(sent)
    reader.only(_KNOWN)
    for field in ("name", "job_type", "service"):
        reader.required(field, str, "")
    values: dict[str, Any] = {
        rule.attribute: reader(field, rule.read, None)
        for field in reader.given
        if (rule := _RULES.get(field)) is not None
    }
    for field in ("on_success_job", "on_error_job"):
        if values.get(field) is not None and values[field] == values.get("name"):
            reader.refuse(field, f"{field}: a job that calls itself back would never end")
    trigger = _trigger(reader, str(values.get("name", "")), now)
    reader.check()
    return Job(trigger=trigger, **values)


def read_alike(sent: Any, now: Instant, read_before: dict[Any, Job]) -> Job:
    """``read``, by way of a job whose definition was the same but for name and extra.

    Args:
        sent: the fields.
        now: when a job without ``start_date`` starts.
        read_before: such jobs, for nobody else to look into; it grows.
    """
    if not isinstance(sent, dict):
        raise BadInputError(f"a JSON object is expected, not {shown(sent)}")
    rest = sent.copy()
    job_name, extra = rest.pop("name", None), rest.pop("extra", None)
    is_plain = isinstance(job_name, str) and job_name.isprintable() and job_name.isascii()
    is_plain = is_plain and not is_unsent(job_name)
    try:
        key = (*rest.items(), *map(type, rest.values()))  # 1 is not True
        alike = read_before.get(key) if is_plain else None
    except TypeError:  # a value that cannot be a key, such as a list where a text belongs
        return _read(sent, now)
    if alike is None:
        job = _read(sent, now)
        if read_before is not _kept or not isinstance(job.trigger, Cron):
            read_before[key] = msgspec.structs.replace(job, extra=None)
        return job
    try:
        own_name, own_extra = name(job_name), None if is_unsent(extra) else extra_text(extra)
    except (ValueError, TypeError):
        return _read(sent, now)  # says what is wrong
    if own_name in (alike.on_success_job, alike.on_error_job):
        return _read(sent, now)
    if isinstance(alike.trigger, Cron):
        trigger = msgspec.structs.replace(alike.trigger, seed=own_name)
        return msgspec.structs.replace(alike, name=own_name, extra=own_extra, trigger=trigger)
    return msgspec.structs.replace(alike, name=own_name, extra=own_extra)


def edited(before: Job, sent: Any, now: Instant) -> Job:
    """The job with the sent fields changed; null clears one, ``""`` leaves it as it is.

    Raises:
        BadInputError: as in ``read``.
    """
    if not isinstance(sent, Mapping):
        raise BadInputError("a JSON object is expected")
    changes = {field: value for field, value in sent.items() if value not in ("", "ZATO_NONE")}
    base = fields(before, aware=True)
    if any(changes.get(field) is not None for field in PERIODS) or (
        changes.get("job_type") not in (None, base["job_type"])
    ):
        # An interval is replaced whole: 5 minutes changed to 1 hour is not 65 minutes.
        base = {field: value for field, value in base.items() if field not in PERIODS}
    return inherit(before, read({**base, **changes}, now))


def inherit(before: Job, after: Job) -> Job:
    """``after`` with what no field says: whether a class declares it, and how ``H`` is spread.

    A renamed job keeps the minute that it had.
    """
    trigger = after.trigger
    if isinstance(trigger, Cron) and isinstance(before.trigger, Cron):
        trigger = msgspec.structs.replace(trigger, seed=before.trigger.seed)
    return msgspec.structs.replace(after, trigger=trigger, is_declared=before.is_declared)


def fields(job: Job, *, aware: bool = False) -> dict[str, Any]:
    """The fields that define the job, without those that have their default.

    Dates are naive UTC as Zato writes them, or carry their offset: where the job has a zone, in
    which a naive one would be read again, and everywhere if ``aware``.
    """
    trigger = job.trigger
    zone_name = trigger.timezone

    def show(instant: Instant) -> str:
        if zone_name is None and not aware:
            return naive_iso(instant)
        return to_datetime(instant).astimezone(ZoneInfo(zone_name or "UTC")).isoformat()

    found: dict[str, Any] = {
        "name": job.name,
        "service": job.service,
        "is_active": job.is_active,
        "job_type": trigger.__struct_config__.tag,
        "start_date": show(trigger.start),
        "end_date": show(trigger.end) if trigger.end is not None else None,
        "timezone": zone_name,
    }
    if isinstance(trigger, Interval):
        found |= {field: getattr(trigger, field) or None for field in PERIODS}
    if isinstance(trigger, Cron):
        found |= {
            "cron_definition": trigger.expression,
            "cron_day_and": trigger.day_and or None,
            "dst_gap": None if trigger.gap == "run_after" else trigger.gap,
            "dst_fold": None if trigger.fold == "first" else trigger.fold,
        }
    for field, rule in _RULES.items():
        value = getattr(job, rule.attribute)
        if field not in found and value != _DEFAULTS[rule.attribute]:
            found[field] = show(value) if field == "pause_until" else value
    return {field: value for field, value in found.items() if value is not None}


def _trigger(reader: Reader, job_name: str, now: Instant) -> Trigger:
    """The trigger that the fields make; what is wrong with them is noted in the reader."""
    before = len(reader.errors)
    timezone = reader("timezone", zone, None)
    start = reader("start_date", moment(timezone), now)
    end = reader("end_date", moment(timezone), None)
    made: Trigger = OneTime(start=start, end=end, timezone=timezone)
    match reader.given.get("job_type"):
        case None | "one_time":
            pass
        case "interval_based":
            made = Interval(start=start, end=end, timezone=timezone, **_periods(reader))
        case "cron_style":
            made = Cron(
                start=start,
                end=end,
                timezone=timezone,
                expression=reader.required("cron_definition", lambda it: str(it).strip(), ""),
                day_and=reader("cron_day_and", flag, default=False),
                gap=reader("dst_gap", one_of(GapPolicy), "run_after"),
                fold=reader("dst_fold", one_of(FoldPolicy), "first"),
                seed=job_name,
            )
        case other:
            reader.refuse("job_type", f"Unrecognized job type [{other}]")
    wrong = {error.field for error in reader.errors[before:]}
    if wrong.isdisjoint(PERIODS):
        try:
            triggers.check(made, now)
        except BadInputError as error:
            reader.errors += (it for it in error.errors if it.field not in wrong)
    return made


def _periods(reader: Reader) -> dict[str, int]:
    before = len(reader.errors)
    parts = {field: reader(field, whole(0, 10**9), 0) for field in PERIODS if field != "seconds"}
    seconds = reader("seconds", number(0, 10**9), 0.0)
    parts["seconds"] = int(seconds)
    parts["milliseconds"] += round((seconds - int(seconds)) * 1000)
    if not any(parts.values()) and len(reader.errors) == before:
        reader.refuse("seconds", _NO_PERIOD)
    return parts
