"""Jobs of schedules that are declared on classes, kept in line with the code that is deployed."""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import msgspec

from zato_lite.builtin.enmasse import difference
from zato_lite.service.declared import Declared
from zato_lite.service.registry import Entry
from zato_lite.store.rows import JobRow
from zato_lite.timetable.job import Instant, Job

REMOVED = "its declaration was removed from the service"
"""Why a job is paused whose service declares it no longer."""


class Reconciled(NamedTuple):
    """What to do so that the jobs are as declared: create these, make of those what is wanted."""

    creates: tuple[Job, ...]
    edits: Mapping[int, Job]


def definitions(entries: Iterable[Entry]) -> list[dict[str, Any]]:
    """What the services declare, as definitions; a job is called as its service if not named."""
    found = []
    for entry in entries:
        declared = vars(entry.cls).get("schedule")
        if isinstance(declared, Declared):
            found.append({"name": entry.name, **declared.fields, "service": entry.name})
    return found


def reconciled(
    rows: Iterable[JobRow], declared: Iterable[Mapping[str, Any]], now: Instant
) -> Reconciled:
    """What to do with the jobs there are so that they are as declared.

    A job keeps its grid, its cursor and a pause that somebody made. One whose declaration is gone
    is paused with a note, and goes on when the declaration comes back.

    Raises:
        BadInputError: a declaration is wrong; each is named.
    """
    there = {row.job.name: row for row in rows}
    wanted = list(declared)
    found = difference({name: row.job for name, row in there.items()}, wanted, now)
    changed = {it.before.name: it.after for it in found.updates}
    edits: dict[int, Job] = {}
    for name, row in there.items():
        before = row.job
        if name in changed or name in found.unchanged:
            after = msgspec.structs.replace(changed.get(name, before), is_declared=True)
            if not after.is_active and after.pause_note == REMOVED:
                after = msgspec.structs.replace(after, is_active=True, pause_note=None)
        elif before.is_declared and before.is_active:
            after = msgspec.structs.replace(before, is_active=False, pause_note=REMOVED)
        else:
            continue
        if after != before:
            edits[row.id] = after
    creates = tuple(msgspec.structs.replace(job, is_declared=True) for job in found.creates)
    return Reconciled(creates, edits)
