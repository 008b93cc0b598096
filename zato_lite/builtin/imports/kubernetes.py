"""Reader of Kubernetes CronJobs in YAML or JSON; each runs a service with its containers as input.

Schedules are read as robfig/cron reads them, which Kubernetes uses.
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from zato_lite.builtin.documents import read_document
from zato_lite.builtin.imports import numbers
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    cron_fields,
    name_of,
    note_ignored,
    quoted,
    zone_fields,
)
from zato_lite.builtin.imports.numbers import Kind
from zato_lite.errors import BadInputError
from zato_lite.timetable import cron

_KINDS = (numbers.MINUTE, numbers.HOUR, numbers.DAY, numbers.MONTH, numbers.WEEKDAY)
_MACROS = ("yearly", "annually", "monthly", "weekly", "daily", "midnight", "hourly")
_PREFIX = re.compile(r"(?:CRON_)?TZ=(\S+)\s+(.*)", re.DOTALL)
_ITEM = re.compile(r"(?:([*?])|(\w+)(?:-(\w+))?)(?:/(\d{1,9}))?")
_SEPARATOR = re.compile(r"^---(?:[ \t].*)?$", re.MULTILINE)
_OVERLAP = {"Allow": "allow", "Forbid": "skip", "Replace": "cancel_running"}
_CARRIED = frozenset(
    ("schedule", "timeZone", "concurrencyPolicy", "suspend", "startingDeadlineSeconds")
) | {"jobTemplate"}
_JOB_CARRIED = frozenset({"template", "backoffLimit", "activeDeadlineSeconds"})
_METADATA = frozenset({"name", "namespace"})
_BY_CLUSTER = frozenset(
    ("uid", "resourceVersion", "generation", "creationTimestamp", "managedFields", "selfLink")
)
_DEFAULT_BACKOFF = 6
_MAX_RETRIES = 1_000
_BACKOFF = {"retry_delay_ms": 10_000, "retry_backoff": 2, "retry_max_delay_ms": 360_000}


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the CronJobs of all documents of a file.

    Raises:
        BadInputError: the file is not valid YAML, or has no object of Kubernetes.
    """
    found = [*_objects(document)]
    if not any("kind" in each for each in found):
        raise BadInputError("objects of Kubernetes are expected, with kind: CronJob")
    for number, each in enumerate(found, 1):
        metadata = _mapping(each.get("metadata"))
        name = "/".join(str(metadata[k]) for k in ("namespace", "name") if metadata.get(k))
        place = name or f"document {number}"
        try:
            yield _entry(place, each, options)
        except NoEquivalentError as error:
            yield Entry(place, None, (str(error),))


def _objects(document: str) -> Iterator[Mapping[str, Any]]:
    for text in _SEPARATOR.split(document.removeprefix("\ufeff")):
        try:
            values = read_document(text).values
        except BadInputError as error:
            raise BadInputError(
                f"{error}; one or more objects of Kubernetes are expected, templates rendered"
            ) from error
        items = values.get("items")
        if str(values.get("kind", "")).endswith("List") and isinstance(items, list):
            yield from map(_mapping, items)
        elif values:
            yield values


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _entry(place: str, sent: Mapping[str, Any], options: Options) -> Entry:
    if sent.get("kind") != "CronJob":
        raise NoEquivalentError(f"{quoted(sent.get('kind'))} is not a CronJob")
    spec, notes = _mapping(sent.get("spec")), list[str]()
    notes.append(f"runs the service {options.service} with the containers as its input, no pod")
    note_ignored(spec, _CARRIED, notes, "spec")
    note_ignored(_mapping(sent.get("metadata")), _METADATA | _BY_CLUSTER, notes, "metadata")
    if not isinstance(spec.get("schedule"), str):
        raise NoEquivalentError("spec.schedule is missing or not a text")
    fields = {
        "name": name_of(place),
        "service": options.service,
        **_schedule(spec, options, notes),
        **_policies(spec, notes),
        **_job(_mapping(_mapping(spec.get("jobTemplate")).get("spec")), notes),
    }
    return Entry(place, fields, tuple(notes))


# ---- the schedule


def _schedule(spec: Mapping[str, Any], options: Options, notes: list[str]) -> dict[str, Any]:
    text, zone = spec["schedule"].strip(), spec.get("timeZone") or options.timezone
    if (prefix := _PREFIX.fullmatch(text)) is not None:
        if spec.get("timeZone"):
            raise NoEquivalentError("the schedule has a time zone, and so has spec.timeZone")
        zone, text = prefix[1], prefix[2]
    if zone is None:
        notes.append("evaluated in UTC; Kubernetes takes the controller's time zone")
    if text.startswith("@every"):
        return cron_fields(text) | zone_fields(None)
    clock = {"dst_gap": "skip", "dst_fold": "both"} if zone not in (None, "UTC", "Etc/UTC") else {}
    return cron_fields(convert(text)) | zone_fields(zone) | clock


def convert(text: str) -> str:
    """Return an expression of robfig/cron as one of ours.

    Raises:
        NoEquivalentError: robfig/cron refuses it.
    """
    if text.startswith("@"):
        if text.removeprefix("@") not in _MACROS:
            raise NoEquivalentError(f"unknown macro {quoted(text)}")
        return cron.MACROS[text]
    fields = text.split()
    if len(fields) != len(_KINDS):
        raise NoEquivalentError(
            f"{quoted(text)} has {len(fields)} fields; Kubernetes expects 5, and no seconds"
        )
    return " ".join(_field(kind, field) for kind, field in zip(_KINDS, fields, strict=True))


def _field(kind: Kind, text: str) -> str:
    """Return a field; a day field counts as ``*`` only if a part is ``*`` or ``?`` without steps.

    Both day fields must match there if one counts as ``*``; here a leading ``*`` decides that.
    """
    found: set[int] = set()
    is_star = False
    for item in text.split(","):
        numbers_of_item, is_any = _item(kind, item)
        found |= numbers_of_item
        is_star |= is_any
    if is_star:
        return "*"
    is_day = kind in (numbers.DAY, numbers.WEEKDAY)
    return numbers.written(kind, found, text, has_star=False if is_day else None)


def _item(kind: Kind, item: str) -> tuple[set[int], bool]:
    match = _ITEM.fullmatch(item)
    if match is None:
        raise NoEquivalentError(f"{quoted(item)} is not a valid {kind.name}")
    star, first, last, step = match.groups()
    by = int(step) if step is not None else 1
    if by < 1:
        raise NoEquivalentError(f"{quoted(item)}: a step of 0")
    if star:
        return {*kind.all[::by]}, by == 1
    low = _number(kind, first)
    high = _number(kind, last) if last is not None else low if step is None else kind.high
    if high < low:
        raise NoEquivalentError(f"{quoted(item)}: ranges do not wrap around in Kubernetes")
    return {*range(low, high + 1, by)}, False


def _number(kind: Kind, text: str) -> int:
    names = numbers.NAMES.get(kind, ())
    if text.lower() in names:
        return names.index(text.lower()) + kind.low
    if not (text.isascii() and text.isdigit()) or int(text[:9]) not in kind.all:
        words = f" or {names[0]}-{names[-1]}" if names else ""
        raise NoEquivalentError(
            f"{quoted(text)} is not a valid {kind.name}: {kind.low}-{kind.high}{words}"
        )
    return int(text)


# ---- policies


def _policies(spec: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    policy = spec.get("concurrencyPolicy") or "Allow"
    if policy not in _OVERLAP:
        raise NoEquivalentError(
            f"concurrencyPolicy {quoted(policy)} is not one of {', '.join(_OVERLAP)}"
        )
    found: dict[str, Any] = {"on_overlap": _OVERLAP[policy]}
    if spec.get("suspend"):
        found["is_active"] = False
        notes.append("suspended there, and so it is paused here")
    if (deadline := spec.get("startingDeadlineSeconds")) is not None:
        found["catch_up_window_seconds"] = deadline
    return found


def _job(spec: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return the fields of ``jobTemplate.spec``."""
    note_ignored(spec, _JOB_CARRIED, notes, "jobTemplate.spec")
    pod = _mapping(_mapping(spec.get("template")).get("spec"))
    note_ignored(pod, {"containers"}, notes, "the pod")
    retries = spec.get("backoffLimit", _DEFAULT_BACKOFF)
    if not isinstance(retries, int) or retries < 0:
        raise NoEquivalentError(f"backoffLimit {quoted(retries)} is not a number from 0 on")
    found: dict[str, Any] = {"max_retries": min(retries, _MAX_RETRIES)}
    if retries:
        found |= _BACKOFF
    if (seconds := spec.get("activeDeadlineSeconds")) is not None:
        if not isinstance(seconds, int) or seconds < 1:
            raise NoEquivalentError(f"activeDeadlineSeconds {quoted(seconds)} is not a number")
        found["max_execution_time_ms"] = seconds * 1_000
        notes.append("activeDeadlineSeconds is the limit of an attempt, not of all together")
    containers = pod.get("containers")
    if isinstance(containers, list) and containers:
        found["extra"] = {"containers": containers}
    return found
