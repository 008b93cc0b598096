"""References between jobs by name: renames take them along, and deletions respect them."""

from collections.abc import Collection, Sequence

from zato_lite.errors import ConflictError
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids, json_list
from zato_lite.timetable.job import Job

_MAX_NAMED = 5

# The jobs that call back a job of a name, other than those that are listed.
_REFERRERS = """SELECT id, name, definition ->> 'on_success_job' IS ?1 FROM job INDEXED BY
    job_has_callbacks WHERE has_callbacks AND deleted_at IS NULL
    AND (definition ->> 'on_success_job' = ?1 OR definition ->> 'on_error_job' = ?1)
    AND id NOT IN (SELECT value FROM json_each(?2)) ORDER BY name"""


def has_callbacks(job: Job) -> bool:
    """Return True if the job names another job."""
    return job.on_success_job is not None or job.on_error_job is not None


def mark(connection: Connection, ids: range) -> None:
    """Mark those of the new jobs that name another job."""
    execute(
        connection,
        "UPDATE job SET has_callbacks = 1 WHERE id BETWEEN ? AND ? AND"
        " coalesce(definition ->> 'on_success_job', definition ->> 'on_error_job') IS NOT NULL",
        (ids[0], ids[-1]),
    )


def referrers(connection: Connection, name: str) -> Sequence[int]:
    """Return the ids of the jobs that call back the job of this name."""
    return fetch_ids(connection, f"SELECT id FROM ({_REFERRERS})", (name, "[]"))


def require_unreferenced(
    connection: Connection, job_id: int, name: str, except_for: Collection[int] = ()
) -> None:
    """Refuse the deletion of a job that others call back.

    Raises:
        ConflictError: names these jobs and their fields.
    """
    others = json_list({job_id, *except_for})
    found = list(connection.execute(_REFERRERS, (name, others)))
    if found:
        fields = ("on_error_job", "on_success_job")
        named = [f"`{job}` ({fields[is_success]})" for _, job, is_success in found[:_MAX_NAMED]]
        more = f" and {len(found) - _MAX_NAMED} more" if len(found) > _MAX_NAMED else ""
        raise ConflictError(f"job `{name}` is called back by {', '.join(named)}{more}")
