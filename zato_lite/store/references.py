"""References between jobs by name: renames take them along, and deletions respect them."""

from collections.abc import Collection, Sequence
from operator import itemgetter

from zato_lite.errors import ConflictError
from zato_lite.store.dialect import AMONG_NUMBERS
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids
from zato_lite.store.visibility import Permits
from zato_lite.timetable.job import Job

_MAX_NAMED = 5

_CALLBACKS = """SELECT id, name, service,
        definition ->> 'on_success_job', definition ->> 'on_error_job'
    FROM job WHERE has_callbacks AND deleted_at IS NULL"""

# The jobs that call back a job of a name.
_REFERRERS = """SELECT id FROM job WHERE has_callbacks
    AND deleted_at IS NULL
    AND (definition ->> 'on_success_job' = ?1 OR definition ->> 'on_error_job' = ?1)"""


def has_callbacks(job: Job) -> bool:
    """Return True if the job names another job."""
    return job.on_success_job is not None or job.on_error_job is not None


def mark(connection: Connection, ids: Sequence[int]) -> None:
    """Mark those of the new jobs that name another job."""
    execute(
        connection,
        f"UPDATE job SET has_callbacks = TRUE WHERE id {AMONG_NUMBERS} AND"
        " coalesce(definition ->> 'on_success_job', definition ->> 'on_error_job') IS NOT NULL",
        (connection.many(ids),),
    )


def referrers(connection: Connection, name: str) -> Sequence[int]:
    """Return the ids of the jobs that call back the job of this name."""
    return fetch_ids(connection, _REFERRERS, (name,))


def require_unreferenced(
    connection: Connection,
    ids: Collection[int],
    names: Collection[str],
    permits: Permits | None = None,
) -> None:
    """Refuse the deletion of jobs, given by ids and names, that any other job calls back.

    Raises:
        ConflictError: names one of them, and the jobs and fields that refer to it; jobs whose
            services are not permitted have no names.
    """
    found: dict[str, list[str]] = {}
    referrers = sorted(connection.execute(_CALLBACKS), key=itemgetter(1))
    for job_id, referrer, service, *called in referrers:
        if job_id not in ids:
            is_shown = permits is None or permits(service)
            shown = f"`{referrer}`" if is_shown else "a job of another service"
            for field, name in zip(("on_success_job", "on_error_job"), called, strict=True):
                if name in names:
                    found.setdefault(name, []).append(f"{shown} ({field})")
    for name, referring in found.items():
        more = f" and {len(referring) - _MAX_NAMED} more" if len(referring) > _MAX_NAMED else ""
        raise ConflictError(
            f"job `{name}` is called back by {', '.join(referring[:_MAX_NAMED])}{more}"
        )
