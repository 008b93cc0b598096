"""Fixtures of django-celery-beat, as ``manage.py dumpdata django_celery_beat`` writes them."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from zato_lite.builtin.imports.celery_schedule import CRONTAB, Crontab, Every, Once, Periodic
from zato_lite.builtin.imports.entry import NoEquivalentError, quoted
from zato_lite.wire import decode

_APP = "django_celery_beat."
_KINDS = ("interval", "crontab", "solar", "clocked")
_PERIODS = ("days", "hours", "minutes", "seconds", "microseconds")
_HISTORY = ("last_run_at", "total_run_count", "date_changed")
_TAKEN = frozenset(
    (*_KINDS, *_HISTORY, "name", "args", "kwargs", "expires", "start_time", "one_off", "enabled")
)

_Schedules = Mapping[tuple[str, str], Mapping[str, Any]]


def tasks(rows: Sequence[Mapping[str, Any]]) -> Iterator[tuple[str, Callable[[], Periodic]]]:
    """Yield the place of each periodic task, and a function that reads it."""
    schedules = {
        (str(row["model"]).lower(), str(row.get("pk"))): row["fields"]
        for row in rows
        if isinstance(row["fields"], Mapping)
    }
    used = {f"{_APP}{kind}schedule" for kind in _KINDS} | {f"{_APP}periodictasks"}
    for number, row in enumerate(rows):
        model, fields = str(row["model"]).lower(), row["fields"]
        place = f"[{number}]"
        if model == f"{_APP}periodictask":
            yield f"{place} {fields.get('name', '')}".strip(), partial(_task, fields, schedules)
        elif model not in used:
            yield place, partial(_unknown, model)


def _unknown(model: str) -> Periodic:
    raise NoEquivalentError(f"a row of the model {quoted(model)} is not a periodic task")


def _task(fields: Any, schedules: _Schedules) -> Periodic:
    if not isinstance(fields, Mapping):
        raise NoEquivalentError("not a valid entry; an object `fields` is expected")
    given = [kind for kind in _KINDS if fields.get(kind) is not None]
    if len(given) != 1:
        raise NoEquivalentError(f"exactly one of {', '.join(_KINDS)} is expected")
    [kind] = given
    row = schedules.get((f"{_APP}{kind}schedule", str(fields[kind])))
    if row is None:
        raise NoEquivalentError(
            f"the {kind} schedule {quoted(fields[kind])} is not in the file; dump all models of "
            f"django_celery_beat together"
        )
    notes: list[str] = []
    if fields.get("last_run_at") or fields.get("total_run_count"):
        notes.append("the history (last_run_at, total_run_count) is not carried over")
    schedule = _SCHEDULES[kind](row)
    job = {
        field: str(fields[key])
        for key, field in (("start_time", "start_date"), ("expires", "end_date"))
        if fields.get(key)
    }
    if isinstance(schedule, Once):
        notes += [f"{key} has no effect on a single moment" for key in sorted(job)]
        job = {}
    more = _one_off(fields, notes) if not isinstance(schedule, Once) else {}
    name = str(fields.get("name") or "")
    return Periodic(name, schedule, _values(fields), job | more, tuple(notes))


def _one_off(fields: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    if not fields.get("one_off"):
        return {}
    if not fields.get("total_run_count"):
        return {"repeats": 1}
    notes.append("it has run, and is one_off: the job is paused")
    return {"repeats": 1, "is_active": False}


def _values(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of a task that are not about its schedule."""
    values = {key: value for key, value in fields.items() if key not in _TAKEN}
    if values.get("headers") == "{}":
        del values["headers"]
    for key in ("args", "kwargs"):
        sent = fields.get(key)
        values[key] = decode(sent) if isinstance(sent, str) and sent else sent
    values["enabled"] = bool(fields.get("enabled", True))
    return values


def _interval(row: Mapping[str, Any]) -> Every:
    every, period = row.get("every"), row.get("period")
    _require_known(row, {"every", "period"})
    if period not in _PERIODS or not isinstance(every, int) or every < 1:
        raise NoEquivalentError(f"not a valid interval: every {quoted(every)} {quoted(period)}")
    return Every(timedelta(**{str(period): every}))


def _crontab(row: Mapping[str, Any]) -> Crontab:
    _require_known(row, {*CRONTAB, "timezone"})
    return Crontab({key: row[key] for key in CRONTAB if key in row}, row.get("timezone"))


def _require_known(row: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(row) - known):
        raise NoEquivalentError(f"unknown fields of the schedule: {', '.join(unknown)}")


def _clocked(row: Mapping[str, Any]) -> Once:
    _require_known(row, {"clocked_time", "enabled"})
    return Once(str(row.get("clocked_time")))


def _solar(row: Mapping[str, Any]) -> Once:
    raise NoEquivalentError("a solar schedule has no equivalent")


_SCHEDULES: Mapping[str, Callable[[Mapping[str, Any]], Every | Crontab | Once]] = {
    "interval": _interval,
    "crontab": _crontab,
    "solar": _solar,
    "clocked": _clocked,
}
