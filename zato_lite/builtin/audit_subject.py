"""Subjects of audit records: their texts, and what these refer to."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec

from zato_lite.builtin.enmasse import changes_between
from zato_lite.store.jobs import EditResult, escaped

Kind = Literal["job", "jobs", "run", "runs", "service", "calendar", "user", "key", "session",
               "store", "scheduler"]  # fmt: skip

_JOB = "zato.scheduler.job."
_ACTIONS: Mapping[Kind, tuple[str, ...]] = {
    "job": (_JOB,),
    "jobs": (_JOB,),
    "run": (_JOB,),
    "runs": (_JOB,),
    "calendar": ("zato.scheduler.calendar.",),
    "scheduler": ("zato.scheduler.pause", "zato.scheduler.resume", "zato.scheduler.continue"),
    "user": ("zato.security.user.",),
    "key": ("zato.security.key.",),
    "session": ("zato.security.session.",),
    "store": ("zato.store.",),
    "service": ("invoke", "refused", "zato.service.", "zato.hot-deploy."),
}
KINDS = tuple(_ACTIONS)
_OF_JOB = re.compile(r"(\d{1,19})(?: (.*?))?(?:, run (\d{1,19}))?", re.DOTALL)
_MANY = re.compile(r"\d+ (job|run)s?\b")
_RANGES = re.compile(r"\d{1,19}-\d{1,19}")


class About(NamedTuple):
    """The subject of a record: empty and None where it is not known.

    The name of a run is its number.
    """

    kind: Kind | Literal[""]
    id: int | None
    name: str


def actions_of(kind: Kind) -> tuple[str, ...]:
    """Return the beginnings of the actions on a kind of subject."""
    return _ACTIONS[kind]


def about(action: str, subject: str) -> About:
    """Return what the subject of an action refers to."""
    if action.startswith(_JOB):
        if many := _MANY.match(subject):
            return About("jobs" if many[1] == "job" else "runs", None, "")
        found = _OF_JOB.fullmatch(subject)
        if found is None or action == f"{_JOB}create":
            return About("job", None, subject.strip("'"))
        if found[3]:
            return About("run", int(found[1]), found[3])
        return About("job", int(found[1]), found[2] or "")
    for kind, beginnings in _ACTIONS.items():
        if action.startswith(beginnings):
            return About(kind, None, subject)
    return About("", None, subject)


def subject_patterns(job_id: int, name: str = "") -> list[str]:
    """Return patterns of the subjects that may be about a job; ``concerns`` decides."""
    patterns = [f"{job_id}", f"{job_id} %", f"{job_id},%", "% job%: %"]
    return [*patterns, escaped(name)] if name else patterns


def concerns(action: str, subject: str, changes: str | None, job_id: int, name: str) -> bool:
    """Return True if a record is about a job, alone or among others."""
    found = about(action, subject)
    if found.kind == "jobs":
        ids = subject.partition(": ")[2]
        if changes is not None:
            ids = msgspec.json.decode(changes).get("ids", "")
        return _lists(ids, job_id)
    if found.kind not in {"job", "run"}:
        return False
    return found.id == job_id if found.id is not None else found.name == name


def _lists(ids: str, job_id: int) -> bool:
    """Return True if ids and ranges of ids, in any order, have this one."""
    if re.search(rf"(?<!\d){job_id}(?!\d)", ids):
        return True
    ranges = (each.split("-") for each in _RANGES.findall(ids))
    return any(int(first) < job_id < int(last) for first, last in ranges)


def subject_of_edit(edited: EditResult) -> str:
    """Return a changed job as the audit log shows it."""
    return f"{edited.row.id} {edited.row.job.name}"


def changes_of_edit(edited: EditResult) -> dict[str, Any]:
    """Return the changed fields of a job with their values before and after."""
    before = edited.before
    if before is None:
        return {}
    return {
        field: [_shortened(old), _shortened(new)]
        for field, (old, new) in changes_between(before, edited.row.job).items()
    }


def differences(before: Any, after: Any) -> dict[str, Any]:
    """Return the fields of two structs that differ, with both values; None for no struct."""
    old, new = ({} if it is None else msgspec.to_builtins(it) for it in (before, after))
    return {
        field: [_shortened(old.get(field)), _shortened(new.get(field))]
        for field in {**old, **new}
        if (old.get(field) or None) != (new.get(field) or None)
    }


_MAX_VALUE = 1_000
_MAX_ITEMS = 50


def _shortened(value: Any) -> Any:
    """Return a value; the beginning of a long text or list."""
    if isinstance(value, str) and len(value) > _MAX_VALUE:
        return f"{value[:_MAX_VALUE]}…"
    if isinstance(value, list | tuple) and len(value) > _MAX_ITEMS:
        return [*value[:_MAX_ITEMS], f"… {len(value)} in all"]
    return value
