"""Jobs: edits, deletes and looks up definitions with their timers; reads all calendars."""

import re
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec
from msgspec.structs import replace

from zato_lite.errors import BadInputError, ConflictError, JobExistsError, JobNotFoundError
from zato_lite.store import holds, references
from zato_lite.store.attempts import NO_STARTED_RUNS, StartedRuns
from zato_lite.store.dialect import (
    AMONG_NUMBERS,
    AMONG_TEXTS,
    LIKE_ANY_CASE,
    NOT_DELETED,
    texts,
)
from zato_lite.store.ledger import record_entries
from zato_lite.store.ports import Connection
from zato_lite.store.rows import JobRow, SilenceMark, WatchedRow
from zato_lite.store.sql import (
    NO_LIMIT,
    REPLACE_SETTING,
    execute,
    fetch_ids,
    fetch_value,
    lock_jobs,
    read_rows,
    write_rows,
)
from zato_lite.store.visibility import Permits, require_permitted, visible_jobs
from zato_lite.timetable import due
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Cron, Instant, Interval, Job, OneTime, Trigger
from zato_lite.timetable.job_plan import JobState

Change = Callable[[Job], Job]

# A ``JobRow``, from a job ``j`` and its timer ``t``.
_JOB_ROW = """j.id, j.definition AS job, j.version, j.created_at, t.cursor, t.started, t.number,
    t.next_at, t.failures, t.paused_since, t.paused_by,
    (SELECT count(*) FROM run r WHERE r.job_id = j.id AND r.outcome IS NULL
        AND r.state <> 'queued') AS in_flight,
    (SELECT count(*) FROM run r WHERE r.job_id = j.id AND r.outcome IS NULL
        AND r.state = 'queued') AS queued"""
_FROM_JOBS = "FROM job j JOIN timer t ON t.job_id = j.id WHERE j.deleted_at IS NULL"

# Scheduled runs of job ? that node ? has claimed and not started; ? lists the started ones.
_UNSTARTED = f"""SELECT id FROM run WHERE job_id = ? AND outcome IS NULL AND state = 'claimed'
    AND kind = 'scheduled' AND attempt = 1 AND node = ?
    AND id NOT {AMONG_NUMBERS} ORDER BY id"""

# Is a slot of job ?1 from ?2 on accounted for, other than by the runs ?3?
_HAS_LATER_SLOTS = f"""SELECT EXISTS (SELECT 1 FROM run WHERE job_id = ?1 AND slot >= ?2
        AND kind = 'scheduled' AND id NOT {AMONG_NUMBERS})
    OR EXISTS (SELECT 1 FROM ledger WHERE job_id = ?1 AND last >= ?2)"""

_NULL = re.compile(r"(?<!\\)(?:\\\\)*\\u0000")
"""A null character in JSON; an escaped backslash before ``u0000`` is none."""

_encode = msgspec.json.Encoder().encode

_HAS_WORD = f" AND j.name {LIKE_ANY_CASE} ? ESCAPE '\\'"
_NAMES_TAKEN = texts("names_taken")
_SET_PRINCIPAL = texts("principal_set")


class JobCounts(NamedTuple):
    """The number of all jobs, and of those that are active."""

    total: int
    active: int


class EditResult(NamedTuple):
    """A job after a change, and the ids of runs that the change revoked or holds.

    Attributes:
        has_resumed: the change ended a pause.
        renamed: the jobs that call it back, with their new definitions, if it has a new name.
        before: the definition before the change.
    """

    row: JobRow
    revoked: Sequence[int]
    has_resumed: bool = False
    renamed: Mapping[int, Job] = {}
    before: Job | None = None


# Changes


def edit(
    connection: Connection,
    job_id: int,
    change: Change,
    now: Instant,
    started: StartedRuns = NO_STARTED_RUNS,
    *,
    by: str = "",
    version: int | None = None,
    permits: Permits | None = None,
) -> EditResult:
    """Replace a job's definition and compute its next due instant.

    ``by`` is the principal that makes the change: of a pause, it is recorded.

    Raises:
        ConflictError: the job does not have the given version any more.
        ForbiddenError: its present service is not permitted.
    """
    row = _get_locked(connection, job_id)
    require_permitted(job_id, row.job.service, permits)
    if version not in {None, row.version}:
        raise stale_error(row, version)
    row, revoked = _revoke(connection, row, started)
    job = change(row.job)
    if job.name != row.job.name and existing_names(connection, [job.name]):
        raise job_exists_error(job.name)
    before = row.job
    pauser = _pauser(row, job, by)
    row = _rescheduled(connection, row, job, now, was_revoked=bool(revoked))
    row = replace(row, paused_by=pauser)
    write_definition(connection, job_id, row.job)
    write_timer(connection, row)
    if before.is_active and not job.is_active:
        revoked += holds.hold_runs(connection, job_id, started)
    renamed = {} if job.name == before.name else _rename(connection, before.name, job.name)
    has_resumed = job.is_active and not before.is_active
    row = replace(row, version=row.version + 1)
    return EditResult(row, revoked, has_resumed, renamed, before)


def _pauser(row: JobRow, job: Job, by: str) -> str:
    """Return the author of the job's pause after a change by ``by``; empty without a pause."""
    if job.is_active:
        return ""
    before = row.job
    pause = (job.is_active, job.pause_note, job.pause_until)
    is_same = pause == (before.is_active, before.pause_note, before.pause_until)
    return row.paused_by if is_same else by


def _rename(connection: Connection, old: str, new: str) -> dict[int, Job]:
    """Have the jobs that call back a job follow its new name; return their definitions."""
    renamed = {}
    referrers = references.referrers(connection, old)
    lock_jobs(connection, referrers)
    for job_id in referrers:
        job = get(connection, job_id).job
        renamed[job_id] = job = replace(
            job,
            on_success_job=new if job.on_success_job == old else job.on_success_job,
            on_error_job=new if job.on_error_job == old else job.on_error_job,
        )
        write_definition(connection, job_id, job)
    return renamed


def _rescheduled(
    connection: Connection, row: JobRow, job: Job, now: Instant, *, was_revoked: bool
) -> JobRow:
    """Return the row with the new definition, and the cursor and due instant that follow."""
    calendars = get_calendars(connection)
    cursor, started = row.cursor, row.started
    has_new_trigger = not _have_same_slots(job.trigger, row.job.trigger)
    if not row.job.is_active:
        if job.is_active or has_new_trigger:
            paused = state_of(row, replace(row.job, repeats=job.repeats))
            resumed = due.end_pause(paused, now, calendars, by=row.paused_by)
            record_entries(connection, [(row.id, row.number, e) for e in resumed.entries])
            cursor = resumed.cursor
    elif row.next_at is None and not was_revoked:
        cursor = max(cursor, now)  # the job had ended: no slot since then was requested
    if has_new_trigger:
        started = 0
        cursor, next_at = due.first_due(job, now, calendars, row.id)
    else:
        next_at = due.next_due(replace(state_of(row, job), cursor=cursor), calendars)
    return replace(
        row,
        job=job,
        cursor=cursor,
        next_at=next_at,
        started=started,
        failures=row.failures if job.is_active == row.job.is_active else 0,
        paused_since=None if job.is_active else (row.paused_since or now),
    )


def _have_same_slots(trigger: Trigger, other: Trigger) -> bool:
    """Return True if the triggers differ in their ends at most."""
    return replace(trigger, end=None) == replace(other, end=None)


def revoke_claims(connection: Connection, job_id: int, started: StartedRuns) -> list[int]:
    """Revoke a job's claims whose runs were not started; return these runs' ids."""
    row, revoked = _revoke(connection, _get_locked(connection, job_id), started)
    if revoked:
        next_at = due.next_due(state_of(row), get_calendars(connection))
        write_timer(connection, replace(row, next_at=next_at))
    return revoked


def _revoke(connection: Connection, row: JobRow, started: StartedRuns) -> tuple[JobRow, list[int]]:
    """Delete runs that were not started, and move the row's cursor back before their slots.

    Nothing is revoked if a slot from the first of theirs on is accounted for otherwise: the
    cursor could not go back without deciding that slot twice.
    """
    unstarted = _unstarted_runs(connection, row.id, started)
    if not unstarted:
        return row, []
    ids = connection.many(unstarted)
    slot = fetch_value(
        connection,
        f"SELECT min(slot) FROM run WHERE id {AMONG_NUMBERS}",
        (ids,),
    )
    if fetch_value(connection, _HAS_LATER_SLOTS, (row.id, slot, ids)):
        return row, []
    execute(connection, f"DELETE FROM run WHERE id {AMONG_NUMBERS}", (ids,))
    number = fetch_value(
        connection, "SELECT coalesce(max(number), 0) FROM run WHERE job_id = ?", (row.id,)
    )
    count = len(unstarted)
    row = replace(
        row,
        cursor=min(row.cursor, slot - 1),
        started=row.started - count,
        number=max(number, row.number - count),
        in_flight=row.in_flight - count,
    )
    return row, unstarted


def _unstarted_runs(connection: Connection, job_id: int, started: StartedRuns) -> list[int]:
    if not started.node:
        return []
    values = (job_id, started.node, connection.many(started.run_ids))
    return fetch_ids(connection, _UNSTARTED, values)


def write_timer(connection: Connection, row: JobRow) -> None:
    """Save a job's due instant, cursor and counters."""
    execute(
        connection,
        "UPDATE timer SET next_at = ?, cursor = ?, started = ?, number = ?, failures = ?,"
        " paused_since = ?, paused_by = ? WHERE job_id = ?",
        (
            row.next_at,
            row.cursor,
            row.started,
            row.number,
            row.failures,
            row.paused_since,
            row.paused_by,
            row.id,
        ),
    )


def clear_pause(connection: Connection, job_id: int) -> int:
    """Record that a job's pause has ended at its ``pause_until``; return the job's version."""
    execute(
        connection,
        "UPDATE timer SET paused_since = NULL, paused_by = '' WHERE job_id = ?",
        (job_id,),
    )
    version: int = fetch_value(connection, "SELECT version FROM job WHERE id = ?", (job_id,))
    return version


def delete(
    connection: Connection,
    job_id: int,
    now: Instant,
    started: StartedRuns = NO_STARTED_RUNS,
    *,
    is_checked: bool = False,
    permits: Permits | None = None,
) -> list[int]:
    """Delete a job, cancel its runs that were not started, and return their ids.

    Raises:
        ConflictError: other jobs call it back, unless ``is_checked`` says that this is fine.
        ForbiddenError: its present service is not permitted.
    """
    row = _get_locked(connection, job_id)
    require_permitted(job_id, row.job.service, permits)
    if not is_checked:
        references.require_unreferenced(connection, {job_id}, {row.job.name}, permits)
    row, revoked = _revoke(connection, row, started)
    cancelled = _unstarted_runs(connection, job_id, started) + fetch_ids(
        connection,
        "SELECT id FROM run WHERE job_id = ? AND outcome IS NULL"
        " AND (state IN ('queued', 'waiting') OR node = 0)",
        (row.id,),
    )
    execute(
        connection,
        "UPDATE run SET outcome = 'cancelled', state = 'done', finished_at = ?,"
        f" error = 'the job was deleted' WHERE id {AMONG_NUMBERS}",
        (now, connection.many(cancelled)),
    )
    execute(connection, "UPDATE job SET deleted_at = ? WHERE id = ?", (now, job_id))
    execute(connection, "DELETE FROM timer WHERE job_id = ?", (job_id,))
    return revoked + cancelled


def adopt(
    connection: Connection, started: StartedRuns, *, job_ids: Sequence[int], principal: str
) -> tuple[int, list[int]]:
    """Set the principal of jobs; return their number and the runs whose claims were revoked."""
    lock_jobs(connection, job_ids)
    ids = connection.many(job_ids)
    claimed = fetch_ids(
        connection,
        "SELECT DISTINCT job_id AS id FROM run WHERE outcome IS NULL AND state = 'claimed'"
        " AND kind = 'scheduled' AND job_id IN (SELECT job_id FROM timer"
        f" WHERE job_id {AMONG_NUMBERS})",
        (ids,),
    )
    revoked = [run for job_id in claimed for run in revoke_claims(connection, job_id, started)]
    adopted = execute(connection, _SET_PRINCIPAL[connection.dialect], (principal, ids))
    return adopted, revoked


def write_definition(connection: Connection, job_id: int, job: Job) -> None:
    """Save a definition in place of the one before."""
    execute(
        connection,
        "UPDATE job SET name = ?, service = ?, is_active = ?, definition = ?, is_declared = ?,"
        " is_watched = ?, has_callbacks = ?, calendar = ?, version = version + 1 WHERE id = ?",
        (
            job.name,
            job.service,
            job.is_active,
            encode_job(job),
            job.is_declared,
            job.alert_after_intervals is not None,
            references.has_callbacks(job),
            job.calendar,
            job_id,
        ),
    )


def encode_job(job: Job) -> str:
    """Encode a definition as the JSON that is stored.

    Raises:
        BadInputError: a text has an unpaired surrogate or a null character, which JSON allows,
            but UTF-8 or PostgreSQL does not.
    """
    try:
        definition = _encode(job).decode()
    except UnicodeEncodeError:
        message = "a text of the definition is not valid Unicode; it has an unpaired surrogate"
        raise BadInputError(message) from None
    if "\\u0000" in definition and _NULL.search(definition):
        raise BadInputError("a text of the definition has a null character; remove it")
    return definition


def state_of(row: JobRow, job: Job | None = None) -> JobState:
    """Return the state that planning needs, with another definition if one is given."""
    return JobState(
        row.id, job or row.job, row.cursor, row.started, row.in_flight, row.queued, row.number
    )


# Queries


def get(connection: Connection, job_id: int) -> JobRow:
    return _only(_fetch_jobs(connection, "j.id = ?", job_id))


def _get_locked(connection: Connection, job_id: int) -> JobRow:
    lock_jobs(connection, [job_id])
    return get(connection, job_id)


def get_permitted(connection: Connection, job_id: int, permits: Permits | None) -> Job:
    """Return a job's definition; its service stays permitted until the end of the transaction.

    Raises:
        ForbiddenError: its service is not permitted.
    """
    if permits is None:
        return get(connection, job_id).job
    job = _get_locked(connection, job_id).job
    require_permitted(job_id, job.service, permits)
    return job


def get_if_exists(connection: Connection, job_id: int) -> Job | None:
    """Return a job's definition, or None if it was deleted."""
    rows = _fetch_jobs(connection, "j.id = ?", job_id)
    return rows[0].job if rows else None


def get_by_name(connection: Connection, name: str) -> JobRow:
    return _only(_fetch_jobs(connection, "j.name = ?", name))


def get_by_names(connection: Connection, names: Collection[str]) -> list[JobRow]:
    """Return the jobs that have these names."""
    return _fetch_jobs(connection, f"j.name {AMONG_TEXTS}", connection.many(names))


def get_by_ids(connection: Connection, ids: Collection[int]) -> list[JobRow]:
    """Return the jobs with these ids, in any order; deleted ones are left out."""
    return _fetch_jobs(connection, f"j.id {AMONG_NUMBERS}", connection.many(ids))


def list_declared(connection: Connection) -> list[JobRow]:
    """Return the jobs whose schedule a service's class declares, or declared before."""
    return _fetch_jobs(connection, "j.is_declared")


def list_unowned(connection: Connection) -> list[int]:
    """Return the ids of the jobs whose principal is unknown or does not exist."""
    return fetch_ids(
        connection,
        "SELECT id FROM job WHERE deleted_at IS NULL"
        " AND coalesce(definition ->> 'principal', '') <> 'system'"
        " AND coalesce(definition ->> 'principal', '')"
        " NOT IN (SELECT kind || ':' || name FROM credential) ORDER BY id",
    )


def list_watched(connection: Connection) -> list[WatchedRow]:
    """Return the jobs with ``alert_after_intervals``."""
    return [
        WatchedRow(row, _last_success(connection, row.id), _silence_mark(connection, row.id))
        for row in _fetch_jobs(connection, "j.is_watched")
    ]


def _fetch_jobs(connection: Connection, condition: str, *values: Any) -> list[JobRow]:
    select = f"SELECT {_JOB_ROW} {_FROM_JOBS} AND {condition}"
    return read_rows(connection, select, values, JobRow)


def _only(rows: Sequence[JobRow]) -> JobRow:
    if not rows:
        raise job_not_found_error()
    return rows[0]


def existing_names(connection: Connection, names: Sequence[str]) -> set[str]:
    """Return those of the names that jobs have."""
    if not names:
        return set()
    if len(names) == 1:  # the usual case, without an array
        name = fetch_value(
            connection, "SELECT name FROM job WHERE name = ? AND deleted_at IS NULL", names
        )
        return set() if name is None else {name}
    select = _NAMES_TAKEN[connection.dialect]
    return set(read_rows(connection, select, (connection.array(names),), str))


def _last_success(connection: Connection, job_id: int) -> Instant | None:
    instant: Instant | None = fetch_value(
        connection,
        "SELECT finished_at FROM run WHERE job_id = ? AND outcome = 'ok' ORDER BY id DESC LIMIT 1",
        (job_id,),
    )
    return instant


def _silence_mark(connection: Connection, job_id: int) -> SilenceMark | None:
    text = fetch_value(
        connection, "SELECT value FROM setting WHERE name = ?", (_mark_name(job_id),)
    )
    return None if text is None else msgspec.json.decode(text, type=SilenceMark)


def save_silence_marks(connection: Connection, marks: Mapping[int, SilenceMark]) -> None:
    """Save the monitoring state of watched jobs."""
    rows = [
        (_mark_name(job_id), msgspec.json.encode(mark).decode()) for job_id, mark in marks.items()
    ]
    statement = f"INSERT INTO setting ({{columns}}) {{rows}} {REPLACE_SETTING}"
    write_rows(connection, statement, "name text, value text", rows)


def _mark_name(job_id: int) -> str:
    return f"silence.{job_id}"


def service_of(connection: Connection, job_id: int) -> str | None:
    """Return the service of a job, even of a deleted one; None if it never existed."""
    service: str | None = fetch_value(
        connection, "SELECT service FROM job WHERE id = ?", (job_id,)
    )
    return service


def visible(connection: Connection, job_ids: Collection[int], permits: Permits) -> set[int]:
    """Return those of the jobs, also deleted ones, whose services are permitted."""
    found = visible_jobs(connection, permits)
    statement = f"SELECT id FROM job WHERE id {AMONG_NUMBERS}{found.condition}"
    return set(fetch_ids(connection, statement, (connection.many(job_ids), *found.values)))


def find(
    connection: Connection,
    query: str,
    service: str,
    limit: int | None,
    offset: int,
    *,
    permits: Permits | None = None,
) -> tuple[list[JobRow], int]:
    """Return a page of the jobs whose names contain all words, and the number of all of them."""
    is_scan = bool(service) or permits is not None
    where, values = _visible_matching(connection, query, service, permits, is_scan=is_scan)
    total = fetch_value(connection, f"SELECT count(*) FROM job j WHERE {where}", values)
    rows = read_rows(
        connection,
        f"SELECT {_JOB_ROW} FROM (SELECT * FROM job j WHERE {where} ORDER BY name"
        " LIMIT ? OFFSET ?) j JOIN timer t ON t.job_id = j.id ORDER BY j.name",
        [*values, NO_LIMIT if limit is None else limit, offset],
        JobRow,
    )
    return rows, total


def find_part(  # noqa: PLR0917 - the filters, then the part
    connection: Connection,
    query: str,
    service: str,
    after: str,
    limit: int,
    permits: Permits | None = None,
) -> list[JobRow]:
    """Return the first of the jobs that match and whose names come after ``after``."""
    where, values = _visible_matching(connection, query, service, permits, is_scan=False)
    return read_rows(
        connection,
        f"SELECT {_JOB_ROW} FROM (SELECT * FROM job j WHERE {where} AND j.name > ?"
        " ORDER BY name LIMIT ?) j JOIN timer t ON t.job_id = j.id ORDER BY j.name",
        [*values, after, limit],
        JobRow,
    )


def _visible_matching(
    connection: Connection, query: str, service: str, permits: Permits | None, *, is_scan: bool
) -> tuple[str, list[str | int]]:
    where, values = matching(query, service, is_scan=is_scan)
    visible = visible_jobs(connection, permits)
    return where + visible.condition, [*values, *visible.values]


def matching(query: str, service: str, *, is_scan: bool = False) -> tuple[str, list[str | int]]:
    """Return the condition, and its values, of jobs that the arguments of ``find`` match.

    ``is_scan`` says that all jobs are read, in any order.
    """
    words = query.split()
    where = (NOT_DELETED if is_scan else "j.deleted_at IS NULL") + _HAS_WORD * len(words)
    values: list[str | int] = [f"%{escaped(word)}%" for word in words]
    if service:
        where += " AND j.service = ?"
        values.append(service)
    return where, values


def count(connection: Connection) -> JobCounts:
    """Return the numbers of jobs; each has a timer, which is narrow, unless it was deleted."""
    total = fetch_value(connection, "SELECT count(*) FROM timer")
    paused = fetch_value(
        connection, "SELECT count(*) FROM job WHERE deleted_at IS NULL AND NOT is_active"
    )
    return JobCounts(total, total - paused)


def escaped(word: str) -> str:
    """Return the pattern of LIKE that matches a text."""
    return word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")


def job_type(job: Job) -> str:
    """Return the job's type as Zato names it."""
    match job.trigger:
        case OneTime():
            return "one_time"
        case Interval():
            return "interval_based"
        case Cron():
            return "cron_style"


# Calendars


def get_calendars(connection: Connection) -> dict[str, Calendar]:
    """Return all calendars by name."""
    rows = read_rows(connection, "SELECT definition FROM calendar", (), tuple[Calendar])
    return {calendar.name: calendar for (calendar,) in rows}


# Errors


def job_exists_error(name: str) -> JobExistsError:
    return JobExistsError(f"Job `{name}` already exists")


def stale_error(row: JobRow, version: int | None) -> ConflictError:
    """Return the error of a change that was made to an earlier version of the job."""
    return ConflictError(
        f"job `{row.job.name}` has changed since version {version}: it has version {row.version};"
        " read it and change that"
    )


def job_not_found_error() -> JobNotFoundError:
    return JobNotFoundError("Job not found")
