"""Jobs and their timers: what is edited, deleted, and looked up."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import NamedTuple

import msgspec
from msgspec.structs import replace

from zato_lite.errors import ConflictError, JobExistsError, JobNotFoundError, NotFoundError
from zato_lite.store import ledger
from zato_lite.store.ports import Connection
from zato_lite.store.rows import JobRow, SilenceMark, WatchedRow
from zato_lite.store.statements import (
    execute,
    fetch_all,
    fetch_ids,
    fetch_value,
    json_list,
    write_rows,
)
from zato_lite.timetable import due
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Cron, Instant, Interval, Job, OneTime, Trigger
from zato_lite.timetable.job_plan import JobState

Change = Callable[[Job], Job]

_COLUMNS = """json_object('id', j.id, 'job', json(j.definition), 'version', j.version,
    'created_at', j.created_at, 'cursor', t.cursor, 'started', t.started, 'number', t.number,
    'next_at', t.next_at, 'failures', t.failures, 'paused_since', t.paused_since,
    'in_flight', (SELECT count(*) FROM run r
                  WHERE r.job_id = j.id AND r.outcome IS NULL AND r.state <> 'queued'),
    'queued', (SELECT count(*) FROM run r
               WHERE r.job_id = j.id AND r.outcome IS NULL AND r.state = 'queued')) AS line"""
_ALIVE = "FROM job j JOIN timer t ON t.job_id = j.id WHERE j.deleted_at IS NULL"


class StartedRuns(NamedTuple):
    """What a process knows and the database does not: which of its runs have begun.

    Attributes:
        node: the process. run_ids: its runs that have begun, of the jobs in question.
    """

    node: int
    run_ids: frozenset[int]


NO_STARTED_RUNS = StartedRuns(0, frozenset())


class EditResult(NamedTuple):
    """A job after a change, and the runs that are not to start, as they were claimed early."""

    row: JobRow
    revoked: Sequence[int]


def existing_names(connection: Connection, names: Sequence[str]) -> set[str]:
    """Which of these names jobs have."""
    if not names:
        return set()
    if len(names) == 1:
        found = fetch_value(
            connection, "SELECT name FROM job WHERE name = ? AND deleted_at IS NULL", names
        )
        return set() if found is None else {found}
    text = fetch_value(
        connection,
        "SELECT json_group_array(name) FROM carray(?) CROSS JOIN job"
        " ON name = value AND deleted_at IS NULL",
        (connection.array(names),),
    )
    return set(msgspec.json.decode(text, type=list[str]))


def edit(
    connection: Connection,
    job_id: int,
    change: Change,
    now: Instant,
    begun: StartedRuns = NO_STARTED_RUNS,
) -> EditResult:
    """Replace the definition, and look anew when the job is due."""
    row, revoked = _revoke(connection, get(connection, job_id), begun)
    job = change(row.job)
    if job.name != row.job.name and existing_names(connection, [job.name]):
        raise job_exists_error(job.name)
    moved = _moved(connection, row, job, now, was_revoked=bool(revoked))
    write_definition(connection, job_id, moved.job)
    execute(
        connection,
        "UPDATE timer SET next_at = ?, cursor = ?, started = ?, number = ?, failures = ?,"
        " paused_since = ? WHERE job_id = ?",
        (
            moved.next_at,
            moved.cursor,
            moved.started,
            moved.number,
            moved.failures,
            moved.paused_since,
            job_id,
        ),
    )
    return EditResult(msgspec.structs.replace(moved, version=row.version + 1), revoked)


def _moved(
    connection: Connection, row: JobRow, job: Job, now: Instant, *, was_revoked: bool
) -> JobRow:
    """The row with the new definition, and with the cursor and the due instant that it has."""
    known = get_calendars(connection)
    cursor, started = row.cursor, row.started
    is_new = not _is_alike(job.trigger, row.job.trigger)
    if not row.job.is_active:
        if job.is_active or is_new:
            paused = state_of(row, msgspec.structs.replace(row.job, repeats=job.repeats))
            over = due.end_pause(paused, now, known)
            ledger.write(connection, [(row.id, row.number, entry) for entry in over.entries])
            cursor = over.cursor
    elif row.next_at is None and not was_revoked:
        cursor = max(cursor, now)  # it was over: what lies between, nobody had asked for
    if is_new:
        started = 0
        cursor, next_at = due.first_due(job, now, known, row.id)
    else:
        state = msgspec.structs.replace(state_of(row, job), cursor=cursor)
        next_at = due.next_due(state, known)
    return msgspec.structs.replace(
        row,
        job=job,
        cursor=cursor,
        next_at=next_at,
        started=started,
        failures=row.failures if job.is_active == row.job.is_active else 0,
        paused_since=None if job.is_active else (row.paused_since or now),
    )


def _is_alike(one_trigger: Trigger, other: Trigger) -> bool:
    """Whether both have the same slots, but for the end."""
    return replace(one_trigger, end=None) == replace(other, end=None)


def _unbegun(connection: Connection, job_id: int, begun: StartedRuns) -> list[int]:
    """Runs of the job that the process has and has not begun."""
    if not begun.node:
        return []
    return fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND outcome IS NULL AND state = 'claimed'"
        " AND kind = 'scheduled' AND attempt = 1 AND node = ?"
        " AND id NOT IN (SELECT value FROM json_each(?)) ORDER BY id",
        (job_id, begun.node, json_list(begun.run_ids)),
    )


def _revoke(connection: Connection, row: JobRow, begun: StartedRuns) -> tuple[JobRow, list[int]]:
    """Take back runs that were claimed and not begun, as if they never had been.

    Only if nothing else has happened since to their slots or later ones: the cursor goes back.
    """
    early = _unbegun(connection, row.id, begun)
    if not early:
        return row, early
    ids = json_list(early)
    slot = fetch_value(
        connection,
        "SELECT min(slot) FROM run WHERE id IN (SELECT value FROM json_each(?))",
        (ids,),
    )
    is_past = fetch_value(
        connection,
        "SELECT EXISTS (SELECT 1 FROM run WHERE job_id = ?1 AND slot >= ?2 AND kind = 'scheduled'"
        " AND id NOT IN (SELECT value FROM json_each(?3)))"
        " OR EXISTS (SELECT 1 FROM ledger WHERE job_id = ?1 AND last >= ?2)",
        (row.id, slot, ids),
    )
    if is_past:
        return row, []
    execute(connection, "DELETE FROM run WHERE id IN (SELECT value FROM json_each(?))", (ids,))
    number = fetch_value(
        connection, "SELECT coalesce(max(number), 0) FROM run WHERE job_id = ?", (row.id,)
    )
    return msgspec.structs.replace(
        row,
        cursor=min(row.cursor, slot - 1),
        started=row.started - len(early),
        number=max(number, row.number - len(early)),
        in_flight=row.in_flight - len(early),
    ), early


def revoke_claims(connection: Connection, job_id: int, begun: StartedRuns) -> list[int]:
    """Take back what was claimed and not begun; the ids of these runs."""
    row, early = _revoke(connection, get(connection, job_id), begun)
    if not early:
        return early
    execute(
        connection,
        "UPDATE timer SET next_at = ?, cursor = ?, started = ?, number = ? WHERE job_id = ?",
        (
            due.next_due(state_of(row), get_calendars(connection)),
            row.cursor,
            row.started,
            row.number,
            job_id,
        ),
    )
    return early


def unpause(connection: Connection, job_id: int) -> None:
    """A pause has ended by itself."""
    execute(connection, "UPDATE timer SET paused_since = NULL WHERE job_id = ?", (job_id,))


def delete(
    connection: Connection, job_id: int, now: Instant, begun: StartedRuns = NO_STARTED_RUNS
) -> list[int]:
    """Forget a job; the runs that are not to start any more."""
    row, revoked = _revoke(connection, get(connection, job_id), begun)
    waiting = _unbegun(connection, job_id, begun) + fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND outcome IS NULL"
        " AND (state IN ('queued', 'waiting') OR node = 0)",
        (row.id,),
    )
    execute(
        connection,
        "UPDATE run SET outcome = 'cancelled', state = 'done', finished_at = ?,"
        " error = 'the job was deleted' WHERE id IN (SELECT value FROM json_each(?))",
        (now, json_list(waiting)),
    )
    execute(connection, "UPDATE job SET deleted_at = ? WHERE id = ?", (now, job_id))
    execute(connection, "DELETE FROM timer WHERE job_id = ?", (job_id,))
    return revoked + waiting


def write_definition(connection: Connection, job_id: int, job: Job) -> None:
    """Keep a definition in place of the one before."""
    execute(
        connection,
        "UPDATE job SET name = ?, service = ?, is_active = ?, definition = ?, is_declared = ?,"
        " is_watched = ?, version = version + 1 WHERE id = ?",
        (
            job.name,
            job.service,
            job.is_active,
            msgspec.json.encode(job).decode(),
            job.is_declared,
            job.alert_after_intervals is not None,
            job_id,
        ),
    )


def state_of(row: JobRow, job: Job | None = None) -> JobState:
    """What the timetable is told of a job, with another definition if one is given."""
    return JobState(
        row.id, job or row.job, row.cursor, row.started, row.in_flight, row.queued, row.number
    )


# Looking up


def get(connection: Connection, job_id: int) -> JobRow:
    rows = fetch_all(connection, f"SELECT {_COLUMNS} {_ALIVE} AND j.id = ?", (job_id,), JobRow)
    if not rows:
        raise job_not_found_error()
    return rows[0]


def get_by_name(connection: Connection, name: str) -> JobRow:
    found = fetch_value(
        connection, "SELECT id FROM job WHERE name = ? AND deleted_at IS NULL", (name,)
    )
    if found is None:
        raise job_not_found_error()
    return get(connection, found)


def get_by_names(connection: Connection, names: Collection[str]) -> list[JobRow]:
    """The jobs there are of these names."""
    return fetch_all(
        connection,
        f"SELECT {_COLUMNS} {_ALIVE} AND j.name IN (SELECT value FROM json_each(?))",
        (msgspec.json.encode(list(names)).decode(),),
        JobRow,
    )


def list_declared(connection: Connection) -> list[JobRow]:
    """The jobs that classes declare, or did."""
    return fetch_all(connection, f"SELECT {_COLUMNS} {_ALIVE} AND j.is_declared", (), JobRow)


def list_watched(connection: Connection) -> list[WatchedRow]:
    """The jobs that raise an alert when they are silent."""
    rows = fetch_all(connection, f"SELECT {_COLUMNS} {_ALIVE} AND j.is_watched", (), JobRow)
    latest = (
        "SELECT finished_at FROM run WHERE job_id = ? AND outcome = 'ok' ORDER BY id DESC LIMIT 1"
    )
    kept = "SELECT value FROM setting WHERE name = ?"
    return [
        WatchedRow(
            row,
            fetch_value(connection, latest, (row.id,)),
            None if (mark := fetch_value(connection, kept, (_mark_of(row.id),))) is None
            else msgspec.json.decode(mark, type=SilenceMark),
        )
        for row in rows
    ]  # fmt: skip


def save_silence_marks(connection: Connection, marks: Mapping[int, SilenceMark]) -> None:
    """Remember how far jobs' silences have been looked at."""
    rows = [
        (_mark_of(job_id), msgspec.json.encode(mark).decode()) for job_id, mark in marks.items()
    ]
    write_rows(connection, "INSERT OR REPLACE INTO setting (name, value) VALUES {rows}", rows)


def _mark_of(job_id: int) -> str:
    return f"silence.{job_id}"


def find(
    connection: Connection, query: str, service: str, limit: int | None, offset: int
) -> tuple[list[JobRow], int]:
    """Jobs by name, a page of them, and how many there are."""
    words = query.split()
    where = "j.deleted_at IS NULL" + " AND j.name LIKE ? ESCAPE '\\'" * len(words)
    values: list[str | int] = [f"%{_escaped(word)}%" for word in words]
    if service:
        where += " AND j.service = ?"
        values.append(service)
    total = fetch_value(connection, f"SELECT count(*) FROM job j WHERE {where}", values)
    rows = fetch_all(
        connection,
        f"SELECT {_COLUMNS} FROM (SELECT * FROM job j WHERE {where} ORDER BY name"
        " LIMIT ? OFFSET ?) j JOIN timer t ON t.job_id = j.id ORDER BY j.name",
        [*values, -1 if limit is None else limit, offset],
        JobRow,
    )
    return rows, total


def _escaped(word: str) -> str:
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def job_type(job: Job) -> str:
    """The job's type, in the words of the surface."""
    match job.trigger:
        case OneTime():
            return "one_time"
        case Interval():
            return "interval_based"
        case Cron():
            return "cron_style"


# Calendars


def get_calendars(connection: Connection) -> dict[str, Calendar]:
    """All calendars by name."""
    found = fetch_all(connection, "SELECT definition AS line FROM calendar", (), Calendar)
    return {calendar.name: calendar for calendar in found}


def save_calendar(connection: Connection, calendar: Calendar) -> None:
    """Keep a calendar, and look anew when the jobs that use it are due."""
    execute(
        connection,
        "INSERT OR REPLACE INTO calendar VALUES (?, ?)",
        (calendar.name, msgspec.json.encode(calendar).decode()),
    )
    known = get_calendars(connection)
    for job_id in _users_of(connection, calendar.name):
        row = get(connection, job_id)
        execute(
            connection,
            "UPDATE timer SET next_at = ? WHERE job_id = ?",
            (due.next_due(state_of(row), known), job_id),
        )


def delete_calendar(connection: Connection, name: str) -> None:
    if users := _users_of(connection, name):
        names = [get(connection, job_id).job.name for job_id in users[:5]]
        raise ConflictError(f"calendar `{name}` is used by {', '.join(names)}")
    if not execute(connection, "DELETE FROM calendar WHERE name = ?", (name,)):
        raise NotFoundError(f"Calendar `{name}` not found")


def _users_of(connection: Connection, name: str) -> list[int]:
    return fetch_ids(
        connection,
        "SELECT id FROM job WHERE deleted_at IS NULL AND definition ->> 'calendar' = ?",
        (name,),
    )


# Errors


def job_exists_error(name: str) -> JobExistsError:
    return JobExistsError(f"Job `{name}` already exists")


def job_not_found_error() -> JobNotFoundError:
    return JobNotFoundError("Job not found")
