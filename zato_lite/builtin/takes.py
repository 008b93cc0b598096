"""What the built-in services take, as JSON Schemas: for ``/openapi.json`` and ``/docs`` only.

These services read their fields by themselves, since they take what Zato's programs send: numbers
in texts, ``""`` for nothing, other names of a field. What is said here is how it is best sent.
"""

from typing import Any

from zato_lite.builtin import definition
from zato_lite.builtin.fields import flag, moment, name, schema_of, text, whole
from zato_lite.builtin.history import OUTCOMES
from zato_lite.service.access import ROLES

_JOB = "zato.scheduler.job"
_CALENDAR = "zato.scheduler.calendar"
_USER, _KEY = "zato.security.user", "zato.security.key"

_ID = schema_of(whole(1, 2**63 - 1))
_NAME, _FLAG, _MOMENT = schema_of(name), schema_of(flag), schema_of(moment())
_PAGE = schema_of(whole(1, 10**9))
_NOTE = schema_of(text(1_000))
_DATES = {"type": "array", "items": {"type": "string", "format": "date"}}
_IDS = {"type": "array", "items": _ID}
_NAMES = {"type": "array", "items": _NAME}


def _object(*required: str, **properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": [*required]}


def _size(most: int) -> dict[str, Any]:
    return schema_of(whole(1, most))


_NEW = definition.Definition.json_schema()
_CHANGED = {**_NEW, "required": []}
_JOBS = {"type": "array", "items": _NEW}
_OF_JOB = _object("id", id=_ID)
_OF_RUN = _object("job_id", "current_run", job_id=_ID, current_run=_ID)
_NAMED = _object("name", name=_NAME)
_DAYS = {
    "name": _NAME,
    "description": _NOTE,
    "dates": _DATES,
    "weekdays": {"type": "array", "items": schema_of(whole(0, 6))},
    "yearly": {"type": "array", "items": {"type": "string"}, "example": ["12-25", "easter+1"]},
    "ranges": {"type": "array", "items": _object("first", "last", first=_DATES["items"],
                                                 last=_DATES["items"])},
    "included": _DATES,
}  # fmt: skip
_RIGHTS = {
    "roles": {"type": "array", "items": {"enum": [*ROLES]}, "minItems": 1},
    "patterns": _NAMES,
    "is_active": _FLAG,
}
_PASSWORD = {"type": "string", "minLength": 8, "maxLength": 1_000, "format": "password"}


def _with(schema: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {**schema, "properties": {**schema["properties"], **more}}


TAKES: dict[str, dict[str, Any]] = {
    f"{_JOB}.create": _with(_NEW, should_ignore_existing=_FLAG),
    f"{_JOB}.create-many": _object("jobs", jobs=_JOBS),
    f"{_JOB}.edit": {**_with(_CHANGED, id=_ID), "required": ["id"]},
    f"{_JOB}.delete": _OF_JOB,
    f"{_JOB}.execute": _OF_JOB,
    f"{_JOB}.set-active-status": _object("id", "is_active", id=_ID, is_active=_FLAG),
    f"{_JOB}.get-list": _object(
        query=schema_of(text(1_000)), service_name=_NAME, paginate=_FLAG, cur_page=_PAGE,
        page_size=_size(100),
    ),
    f"{_JOB}.get-by-id": _OF_JOB,
    f"{_JOB}.get-by-name": _NAMED,
    f"{_JOB}.pause": _object("id", id=_ID, note=_NOTE, until=_MOMENT),
    f"{_JOB}.resume": _OF_JOB,
    f"{_JOB}.skip-next": _object("id", id=_ID, count=schema_of(whole(0, 1_000_000))),
    f"{_JOB}.cancel-run": _OF_RUN,
    f"{_JOB}.retry-run": _OF_RUN,
    f"{_JOB}.backfill": _object("id", "first", "last", id=_ID, first=_MOMENT, last=_MOMENT),
    f"{_JOB}.get-history": _object(
        "id", id=_ID, page=_PAGE, page_size=_size(1_000), since_iso=_MOMENT, running_runs=_IDS,
        since_timestamp={"type": "number"},
        outcomes={"type": "array", "items": {"enum": [*OUTCOMES]}},
    ),
    f"{_JOB}.get-ledger": _object(id=_ID, page=_PAGE, page_size=_size(1_000), since_iso=_MOMENT),
    f"{_JOB}.get-run-detail": _OF_RUN,
    f"{_JOB}.get-log-entries": _with(_OF_RUN, since_idx=schema_of(whole(0, 10**9))),
    f"{_JOB}.get-last-run-list": _object("id_list", id_list=_IDS),
    f"{_JOB}.get-current-state": _object(
        chart_since_iso=_MOMENT, chart_until_iso=_MOMENT, recent_since_iso=_MOMENT,
        recent_limit=schema_of(whole(0, 1_000)),
    ),
    f"{_JOB}.get-upcoming": _with(_CHANGED, id=_ID, count=_size(1_000), after=_MOMENT),
    f"{_JOB}.validate": _NEW,
    f"{_JOB}.simulate": _object(
        "until", start=_MOMENT, until=_MOMENT, limit=_size(100_000), jobs=_JOBS
    ),
    f"{_JOB}.why": _object("at", id=_ID, name=_NAME, at=_MOMENT),
    f"{_JOB}.apply": _object(jobs=_JOBS, document={"type": "string"}, dry_run=_FLAG),
    f"{_JOB}.import": _object(
        "format", "document",
        format={"enum": ["crontab", "celery", "apscheduler", "quartz"]},
        document={"type": "string"}, service=_NAME, dry_run=_FLAG, with_user=_FLAG,
        timezone={"type": "string"},
    ),
    "zato.scheduler.pause": _object(note=_NOTE),
    f"{_CALENDAR}.get-by-name": _NAMED,
    f"{_CALENDAR}.create": {**_object("name", **_DAYS)},
    f"{_CALENDAR}.edit": {**_object("name", **_DAYS)},
    f"{_CALENDAR}.delete": _NAMED,
    f"{_USER}.create": _object("name", "password", name=_NAME, password=_PASSWORD, **_RIGHTS),
    f"{_USER}.edit": _object("name", name=_NAME, password=_PASSWORD, **_RIGHTS),
    f"{_USER}.delete": _NAMED,
    f"{_KEY}.create": _object(**_RIGHTS),
    f"{_KEY}.delete": _NAMED,
    "zato.audit.get-list": _object(page=_PAGE, page_size=_size(1_000)),
    "demo.sleep": _object(seconds={"type": "number"}, jitter={"type": "number"}),
}  # fmt: skip
"""By the names of the services."""
