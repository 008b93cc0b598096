"""Conversion between the fields of a job's definition, as they are sent, and a ``Job``.

``read(fields(job), now)`` is that job again, and an edit is the job's own fields with the sent
ones over them: there is one reading of a definition, for create, edit, import and preview.
"""

from collections.abc import Iterable, Mapping, Sequence
from functools import partial
from typing import Annotated, Any, Literal, Self, cast
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, ValidationError, convert
from msgspec.structs import replace

from zato_lite.builtin.input import (
    MAX_ERRORS,
    MAX_NAME_LENGTH,
    Ignored,
    Input,
    JobRef,
    LocalMoment,
    Name,
    ParsedBy,
    Zone,
    as_mapping,
    fields_of,
    is_unsent,
    missing,
    parse_field,
    parse_flag,
    parse_instant,
    parse_name,
    parse_zone,
    text,
    whole_number,
    wrong,
)
from zato_lite.builtin.output import naive_iso
from zato_lite.clock import to_datetime
from zato_lite.errors import BadInputError, FieldError
from zato_lite.service.message import SYSTEM_PRINCIPAL
from zato_lite.service.single_run import MAX_BACKOFF, MAX_RETRIES
from zato_lite.service.typed import CustomInput
from zato_lite.timetable import trigger as triggers
from zato_lite.timetable.durations import ALLOWED, parse_duration
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
_PERIOD_SIZES = (604_800_000, 86_400_000, 3_600_000, 60_000, 1_000, 1)
_PERIOD_FIELDS = (*PERIODS, "every")
_MAX_EXTRA = 500_000
_DAY_MS = 86_400_000
_NO_PERIOD = "At least one of ['weeks', 'days', 'hours', 'minutes', 'seconds'] must be given"
NOT_SENT = "ZATO_NONE"
"""Text that Zato programs send for a field without a value."""

_JOB_TYPES = ("one_time", "interval_based", "cron_style")
_text = text(_MAX_EXTRA)
_note = text(1_000)
_MAX_DESCRIPTION = 4_000
_description = text(_MAX_DESCRIPTION)
_MAX_TAGS, _MAX_TAG = 20, 50
_NOT_IN_TAG = {",", '"', "\\"}
_TAGS_ALLOWED = (
    f"a list of at most {_MAX_TAGS} texts of 1 to {_MAX_TAG} characters"
    " without commas, quotation marks and backslashes"
)


def extra_text(value: Any) -> str:
    """Return what the service will receive, as text; other values are written as JSON."""
    sent = value if isinstance(value, str) else encode(value).decode()
    return cast("str", _text.parse(sent))


def _parse_job_type(value: Any) -> str:
    if not isinstance(value, str) or value not in _JOB_TYPES:
        text = f"Unrecognized job type [{value}]; use one_time, interval_based or cron_style"
        raise BadInputError.of([FieldError("job_type", value, text)])
    return value


def parse_principal(value: Any) -> str:
    """Return the principal that a text names: ``system``, ``user:NAME`` or ``key:NAME``."""
    kind, _, name = value.partition(":") if isinstance(value, str) else ("", "", "")
    if value == SYSTEM_PRINCIPAL:
        return SYSTEM_PRINCIPAL
    if kind not in {"user", "key"}:
        raise ValueError("system, user:NAME or key:NAME")
    return f"{kind}:{parse_name(name)}"


_JobType = Annotated[
    Literal["one_time", "interval_based", "cron_style"],
    ParsedBy(_parse_job_type, {"enum": [*_JOB_TYPES]}),
]
_Extra = Annotated[Any, ParsedBy(extra_text, _text.schema)]
# The pattern holds texts that need no further check.
_PauseNote = Annotated[str, Meta(pattern=r"\A(?!ZATO_NONE\Z)[ -~\n]+\Z", max_length=1_000), _note]
_Description = Annotated[
    str, Meta(pattern=r"\A(?!ZATO_NONE\Z)[ -~\n]+\Z", max_length=_MAX_DESCRIPTION), _description
]
_Principal = Annotated[
    str,
    Meta(pattern=r"\A(?:system|(?:user|key):[!-~]+)\Z", max_length=MAX_NAME_LENGTH),
    ParsedBy(parse_principal, {"type": "string", "example": "user:ann"}),
]
_Expression = Annotated[
    str, Meta(min_length=1), ParsedBy(str, {"type": "string", "example": "0 2 * * mon-fri"})
]
_Count = Annotated[int, Meta(ge=1, le=1_000_000)]


def _duration(minimum: int, maximum: int, unit_ms: int = 1) -> ParsedBy:
    """Return the parser of a whole number of units, which may also be sent in words: «15 min»."""
    plain = whole_number(minimum, maximum)

    def parse(value: Any) -> int:
        if isinstance(value, str) and not value.strip().lstrip("+-").replace(".", "").isdigit():
            units, rest = divmod(parse_duration(value), unit_ms)
            if not rest and minimum <= units <= maximum:
                return units
        return cast("int", plain.parse(value))

    return ParsedBy(parse, plain.schema)


def parse_tags(value: Any) -> tuple[str, ...]:
    """Return the labels of a list, or of a text with commas, sorted and each once."""
    sent = value.split(",") if isinstance(value, str) else value
    if not isinstance(sent, list | tuple):
        raise ValueError(_TAGS_ALLOWED)  # noqa: TRY004
    tags = {parse_name(tag) for tag in sent}
    if len(tags) > _MAX_TAGS or any(len(tag) > _MAX_TAG or _NOT_IN_TAG & {*tag} for tag in tags):
        raise ValueError(_TAGS_ALLOWED)
    return tuple(sorted(tags))


def _every(value: Any) -> str:
    if not isinstance(value, str):
        raise ValueError(ALLOWED)  # noqa: TRY004
    parse_duration(value)
    return value


_YearMs = Annotated[int, Meta(ge=0, le=366 * _DAY_MS), _duration(0, 366 * _DAY_MS)]
_DayMs = Annotated[int, Meta(ge=0, le=_DAY_MS), _duration(0, _DAY_MS)]
_LimitMs = Annotated[int, Meta(ge=1, le=366 * _DAY_MS), _duration(1, 366 * _DAY_MS)]
_Window = Annotated[int, Meta(ge=0, le=10**10), _duration(0, 10**10, 1_000)]
_Tags = Annotated[
    Any,
    ParsedBy(
        parse_tags,
        {
            "type": "array",
            "items": {"type": "string", "minLength": 1, "maxLength": _MAX_TAG},
            "maxItems": _MAX_TAGS,
        },
    ),
]
_Every = Annotated[str, ParsedBy(_every, {"type": "string", "example": "15 min"})]
_Period = Annotated[int, Meta(ge=0, le=10**9)]


class Definition(Input, forbid_unknown_fields=True):
    """The fields that define a job. Types and defaults are those of ``Job``.

    msgspec converts in one step what is sent as the JSON types below; ``collect`` reads the rest.
    """

    name: Name
    job_type: _JobType
    service: Name
    is_active: bool = True
    extra: _Extra = None
    repeats: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    on_missed: MissedPolicy = "run_once"
    catch_up_window_seconds: _Window | None = None
    catch_up_rate: Annotated[float, Meta(ge=0.001, le=1_000_000)] | None = None
    on_overlap: OverlapPolicy = "skip"
    max_parallel: _Count | None = None
    max_execution_time_ms: _LimitMs | None = None
    max_retries: Annotated[int, Meta(ge=0, le=MAX_RETRIES)] = 0
    retry_delay_ms: _YearMs = 1_000
    retry_backoff: Annotated[float, Meta(ge=1, le=MAX_BACKOFF)] = 2.0
    retry_max_delay_ms: _YearMs = 3_600_000
    retry_jitter: Annotated[float, Meta(ge=0, le=1)] = 0.0
    on_crash: CrashPolicy = "rerun"
    max_crashes: Annotated[int, Meta(ge=1, le=1_000)] = 3
    jitter_ms: _DayMs = 0
    priority: Annotated[int, Meta(ge=-1_000_000, le=1_000_000)] = 0
    max_concurrent: _Count | None = None
    calendar: Name | None = None
    on_excluded: ExcludedPolicy = "skip"
    on_success_service: Name | None = None
    on_success_job: Name | None = None
    on_error_service: Name | None = None
    on_error_job: Name | None = None
    pause_note: _PauseNote | None = None
    pause_until: LocalMoment = None
    pause_after_failures: _Count | None = None
    skip_next: Annotated[int, Meta(ge=0, le=1_000_000)] = 0
    alert_after_intervals: _Count | None = None
    keep_runs: Annotated[int, Meta(ge=0, le=10**9)] | None = None
    keep_days: Annotated[float, Meta(ge=0, le=36_600)] | None = None
    principal: _Principal = ""
    description: _Description | None = None
    tags: _Tags = ()

    start_date: LocalMoment = None
    end_date: LocalMoment = None
    timezone: Zone | None = None
    weeks: _Period = 0
    days: _Period = 0
    hours: _Period = 0
    minutes: _Period = 0
    seconds: Annotated[float, Meta(ge=0, le=10**9)] = 0
    milliseconds: _Period = 0
    every: _Every | None = None
    cron_definition: _Expression | None = None
    cron_day_and: bool = False
    dst_gap: GapPolicy = "run_after"
    dst_fold: FoldPolicy = "first"

    allow_missing_services: bool = False

    cluster_id: Ignored = None
    id: Ignored = None
    service_id: Ignored = None
    service_name: Ignored = None
    should_ignore_existing: Ignored = None
    imap_conn_id: Ignored = None
    link_conn_type: Ignored = None
    link_conn_id: Ignored = None
    link_kind: Ignored = None


NAMES = tuple(field.name for field in fields_of(Definition))
"""Every field that a definition may have."""

_DEFAULTS = {field.name: field.default for field in msgspec.structs.fields(Job)}
_ATTRIBUTES = {
    name: "catch_up_window" if name == "catch_up_window_seconds" else name
    for name in NAMES
    if name in _DEFAULTS or name == "catch_up_window_seconds"
}
"""Fields that are attributes of a job, by their names in a definition."""

_MAX_RECENT = 1_024
_recent: dict[Any, Job] = {}
_INCOMPLETE = {"name": "", "service": "", "job_type": "one_time"}


class NewJob(CustomInput, gc=False):
    """The fields of a new job, as they were sent: ``read`` needs the current time as well."""

    fields: Any

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        return cls(payload)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        schema = Definition.json_schema()
        schema["properties"]["should_ignore_existing"] = {"type": "boolean"}
        return schema


class VersionedJob(JobRef):
    """A job, and the version of it that the caller has seen."""

    version: Annotated[int, Meta(ge=1)] | None = None


class JobChanges(CustomInput):
    """A job's id, and the fields to change, as they were sent: null clears a field.

    With ``version``, the job is changed only if it still has that version.
    """

    id: int
    fields: Mapping[str, Any]
    version: int | None = None

    @classmethod
    def from_payload(cls, payload: Any) -> Self:
        ref = VersionedJob.from_payload(payload)
        sent = as_mapping(payload)
        fields = {name: sent[name] for name in sent if name not in {"job_id", "version"}}
        return cls(ref.id, fields, ref.version)

    @classmethod
    def json_schema(cls) -> dict[str, Any]:
        schema = VersionedJob.json_schema()
        schema["properties"] |= Definition.json_schema()["properties"]
        return schema


def allows_missing(sent: Any) -> bool:
    """Return True if the services of a definition may be deployed later."""
    flag = sent.get("allow_missing_services")
    try:
        return not is_unsent(flag) and parse_flag(flag)
    except ValueError:
        return False


def should_ignore_existing(sent: Any) -> bool:
    """Return True if a definition is to be ignored when a job of its name exists already."""
    try:
        return parse_flag(sent.get("should_ignore_existing"))
    except ValueError:
        return False


_SHOWN_DATE = {"type": "string", "description": "ISO 8601; without an offset, in UTC."}


def job_output(required: Sequence[str], **more: Any) -> Meta:
    """Return the description of an output that has the fields of a job and more."""
    properties = Definition.json_schema()["properties"] | more
    for field, described in properties.items():
        if described.get("format") == "date-time":  # which requires an offset (RFC 3339)
            properties[field] = _SHOWN_DATE
    always = ("name", "service", "is_active", "job_type", "start_date", *required)
    return Meta(extra_json_schema={"properties": properties, "required": [*always]})


def read(sent: Any, now: Instant, principal: str = "") -> Job:
    """Return the job that the fields of a request define.

    Args:
        sent: the fields, in a mapping.
        now: the start of a job without ``start_date``.
        principal: the principal of a job whose fields name none.

    Raises:
        BadInputError: lists every field that is missing, unknown or wrong, and what is allowed.
    """
    if isinstance(sent, dict) and sent.get("start_date") and "end_date" not in sent:
        # The current time has no influence: such jobs are alike at any time.
        if len(_recent) >= _MAX_RECENT:
            _recent.clear()
        return read_cached(sent, now, principal, _recent)
    return _read(sent, now, principal)


def read_cached(sent: Any, now: Instant, principal: str, cache: dict[Any, Job]) -> Job:
    """Return the job, by way of one in the cache that differs in name and extra only.

    Programs that create jobs create many that are alike: checking a definition takes five times
    as long as finding it here.
    """
    if not isinstance(sent, dict):
        return _read(sent, now, principal)
    rest = sent.copy()
    name, extra = rest.pop("name", None), rest.pop("extra", None)
    if not (_is_plain(name, MAX_NAME_LENGTH) and (extra is None or _is_plain(extra, _MAX_EXTRA))):
        return _read(sent, now, principal)
    values = rest.values()
    key = (*rest, *values, *map(type, values))  # 1 is not True
    try:
        alike = cache.get(key)
    except TypeError:  # a list or an object where a text belongs
        return _read(sent, now, principal)
    if alike is None:
        job = _read(sent, now, principal)
        if not isinstance(job.trigger, Cron):  # which the job's name is a part of
            cache[key] = job
        return job
    if name in (alike.on_success_job, alike.on_error_job):
        return _read(sent, now, principal)
    named = rest.get("principal")
    return replace(
        alike, name=name, extra=extra, principal=alike.principal if named else principal
    )


def _is_plain(value: Any, maximum: int) -> bool:
    """Return True for a text that is taken as it is."""
    return (
        type(value) is str
        and 0 < len(value) <= maximum
        and value.isascii()
        and value.isprintable()
        and value != NOT_SENT
        and not (value[0] == " " or value[-1] == " ")
    )


def _read(sent: Any, now: Instant, principal: str) -> Job:
    if isinstance(sent, dict):
        try:
            return _job(convert(sent, Definition), sent, now, principal, [])
        except ValidationError:
            pass  # fields that are sent as text, in part or wrong: collect knows them all
    errors: list[FieldError] = []
    values = Definition.collect(sent, errors)
    return _job(Definition(**{**_INCOMPLETE, **values}), values, now, principal, errors)


def edited(before: Job, sent: Mapping[str, Any], now: Instant) -> Job:
    """Return the job with the sent fields changed; null clears one, ``""`` leaves it as it is.

    Raises:
        BadInputError: as in ``read``.
    """
    changes = {field: value for field, value in sent.items() if value not in ("", NOT_SENT)}
    base = fields(before, aware=True)
    if any(changes.get(field) is not None for field in _PERIOD_FIELDS) or (
        changes.get("job_type") not in (None, base["job_type"])
    ):
        # An interval is replaced whole: 5 minutes changed to 1 hour is not 65 minutes.
        base = {field: value for field, value in base.items() if field not in PERIODS}
    return inherit(before, read({**base, **changes}, now))


def inherit(before: Job, after: Job) -> Job:
    """Return ``after`` with ``is_declared`` and the spread of ``H``, which no field holds.

    A renamed job keeps the minute that it had.
    """
    trigger = after.trigger
    if isinstance(trigger, Cron) and isinstance(before.trigger, Cron):
        trigger = replace(trigger, seed=before.trigger.seed)
    return replace(after, trigger=trigger, is_declared=before.is_declared)


def fields(job: Job, *, aware: bool = False) -> dict[str, Any]:
    """Return the fields that define the job, without those that have their default.

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
    for field, attribute in _ATTRIBUTES.items():
        value = getattr(job, attribute)
        if field not in found and value != _DEFAULTS[attribute]:
            found[field] = show(value) if field == "pause_until" else value
    if job.tags:
        found["tags"] = list(job.tags)
    return {field: value for field, value in found.items() if value is not None}


def _job(
    definition: Definition,
    sent: Iterable[str],
    now: Instant,
    principal: str,
    errors: list[FieldError],
) -> Job:
    """Return the job of a definition of which the fields ``sent`` count; raise all errors."""
    values = {
        _ATTRIBUTES[field]: getattr(definition, field) for field in sent if field in _ATTRIBUTES
    }
    if (extra := values.get("extra")) is not None:
        extra = None if is_unsent(extra) else parse_field("extra", extra, extra_text, errors)
        values["extra"] = extra
    if "tags" in values:
        sent_tags = () if is_unsent(values["tags"]) else values["tags"]
        values["tags"] = parse_field("tags", sent_tags, parse_tags, errors) or ()
    if "repeats" in values:
        values["repeats"] = values["repeats"] or None
    if "pause_until" in values:
        values["pause_until"] = _instant("pause_until", definition.pause_until, None, errors)
    for field in ("on_success_job", "on_error_job"):
        if values.get(field) is not None and values[field] == definition.name:
            text = f"{field}: a job that calls itself back would never end"
            errors.append(FieldError(field, definition.name, text))
    trigger = _trigger(definition, now, errors)
    if errors:
        raise BadInputError.of(errors[:MAX_ERRORS])
    values["principal"] = definition.principal or principal
    return Job(trigger=trigger, **values)


def _trigger(definition: Definition, now: Instant, errors: list[FieldError]) -> Trigger:
    """Return the trigger that the fields make; add what is wrong with them to the errors."""
    timezone = definition.timezone
    if timezone is not None and parse_field("timezone", timezone, parse_zone, errors) is None:
        timezone = None
    start = _instant("start_date", definition.start_date, timezone, errors)
    end = _instant("end_date", definition.end_date, timezone, errors)
    span: dict[str, Any] = {"start": now if start is None else start, "end": end}
    made: Trigger
    match definition.job_type:
        case "one_time":
            made = OneTime(**span, timezone=timezone)
        case "interval_based":
            made = Interval(**span, timezone=timezone, **_periods(definition, errors))
            if not made.period and not any(error.field in _PERIOD_FIELDS for error in errors):
                errors.append(FieldError("seconds", None, _NO_PERIOD))
        case "cron_style":
            if definition.cron_definition is None:
                errors.append(missing("cron_definition"))
            made = Cron(
                **span,
                timezone=timezone,
                expression=(definition.cron_definition or "").strip(),
                day_and=definition.cron_day_and,
                gap=definition.dst_gap,
                fold=definition.dst_fold,
                seed=definition.name,
            )
    known = {error.field for error in errors}
    if known.isdisjoint(_PERIOD_FIELDS):
        try:
            triggers.check(made, now)
        except BadInputError as error:
            errors += (each for each in error.errors if each.field not in known)
    return made


def _periods(definition: Definition, errors: list[FieldError]) -> dict[str, int]:
    """Return the parts of the interval; a fraction of a second is milliseconds."""
    periods: dict[str, Any] = {field: getattr(definition, field) for field in PERIODS}
    if not is_unsent(definition.every):
        if any(periods.values()):
            text = "every: send either `every`, or weeks, days, hours, minutes and seconds"
            errors.append(FieldError("every", definition.every, text))
        total = parse_field("every", definition.every, parse_duration, errors)
        if total == 0:
            errors.append(wrong("every", definition.every, "a period of at least a millisecond"))
        return _parts_of(total or 0)
    seconds = int(definition.seconds)
    fraction = round((definition.seconds - seconds) * 1000)
    return periods | {
        "seconds": seconds,
        "milliseconds": definition.milliseconds + fraction,
    }


def _parts_of(milliseconds: int) -> dict[str, int]:
    """Return a period in the largest units that fit."""
    parts = {}
    for field, size in zip(PERIODS, _PERIOD_SIZES, strict=True):
        parts[field], milliseconds = divmod(milliseconds, size)
    return parts


def _instant(
    field: str, value: Any, timezone: str | None, errors: list[FieldError]
) -> Instant | None:
    if is_unsent(value):
        return None
    found = parse_field(field, value, partial(parse_instant, timezone=timezone), errors)
    return cast("Instant | None", found)
