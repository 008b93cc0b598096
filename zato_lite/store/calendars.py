"""Calendars: saves, renames and deletes them, with the effect on the jobs that use them."""

from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from zato_lite.errors import ConflictError, NotFoundError
from zato_lite.store import jobs
from zato_lite.store.ports import Connection
from zato_lite.store.sql import execute, fetch_ids, fetch_value, lock_jobs, read_rows
from zato_lite.store.visibility import Permits, visible_jobs
from zato_lite.timetable import due
from zato_lite.timetable.calendar import Calendar

_WITH_CALENDAR = "calendar = ? AND deleted_at IS NULL"


class UsingJob(NamedTuple):
    """A job that uses a calendar."""

    id: int
    name: str


def save_calendar(connection: Connection, calendar: Calendar) -> Calendar | None:
    """Save a calendar and compute the next due instants of the jobs that use it.

    Returns the calendar that it replaces.
    """
    calendars = jobs.get_calendars(connection)
    before, calendars[calendar.name] = calendars.get(calendar.name), calendar
    execute(
        connection,
        "INSERT INTO calendar (name, definition) VALUES (?, ?)"
        " ON CONFLICT (name) DO UPDATE SET definition = excluded.definition",
        (calendar.name, msgspec.json.encode(calendar).decode()),
    )
    job_ids = _jobs_with_calendar(connection, calendar.name)
    lock_jobs(connection, job_ids)
    for row in jobs.get_by_ids(connection, job_ids):
        next_at = due.next_due(jobs.state_of(row), calendars)
        jobs.write_timer(connection, replace(row, next_at=next_at))
    return before


def rename_calendar(connection: Connection, name: str, new_name: str) -> None:
    """Give a calendar a new name, also in the jobs that use it."""
    calendars = jobs.get_calendars(connection)
    if name not in calendars:
        raise NotFoundError(f"Calendar `{name}` not found")
    if new_name in calendars:
        raise ConflictError(f"Calendar `{new_name}` already exists")
    job_ids = _jobs_with_calendar(connection, name)
    lock_jobs(connection, job_ids)
    execute(connection, "DELETE FROM calendar WHERE name = ?", (name,))
    for job_id in job_ids:
        jobs.write_definition(
            connection, job_id, replace(jobs.get(connection, job_id).job, calendar=new_name)
        )
    save_calendar(connection, replace(calendars[name], name=new_name))


def delete_calendar(connection: Connection, name: str) -> Calendar:
    """Delete a calendar that no job uses, and return it."""
    if job_ids := _jobs_with_calendar(connection, name):
        names = [jobs.get(connection, job_id).job.name for job_id in job_ids[:5]]
        raise ConflictError(f"calendar `{name}` is used by {', '.join(names)}")
    found = jobs.get_calendars(connection).get(name)
    if found is None:
        raise NotFoundError(f"Calendar `{name}` not found")
    execute(connection, "DELETE FROM calendar WHERE name = ?", (name,))
    return found


def jobs_using(
    connection: Connection, name: str, limit: int, permits: Permits | None
) -> tuple[list[UsingJob], int]:
    """Return the first visible jobs that use a calendar, by name, and the number of all."""
    visible = visible_jobs(connection, permits)
    where, values = f"{_WITH_CALENDAR}{visible.condition}", (name, *visible.values)
    statement = f"SELECT id, name FROM job WHERE {where} ORDER BY job.name LIMIT ?"
    rows = read_rows(connection, statement, (*values, limit), UsingJob)
    return rows, fetch_value(connection, f"SELECT count(*) FROM job WHERE {where}", values)


def _jobs_with_calendar(connection: Connection, name: str) -> list[int]:
    return fetch_ids(connection, f"SELECT id FROM job WHERE {_WITH_CALENDAR}", (name,))
