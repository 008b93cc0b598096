"""Job insertion: prepares new jobs outside the writer thread, inserts them in few statements."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from zato_lite.errors import BadInputError, ZatoLiteError
from zato_lite.store import jobs, references
from zato_lite.store.ports import Connection
from zato_lite.store.sql import advance, execute, write_rows
from zato_lite.timetable.due import first_due
from zato_lite.timetable.job import Instant, Job

BATCH_SIZE = 1_000
"""Jobs that are prepared and inserted in one step: about a millisecond of each thread."""

_columns_of = attrgetter(
    "service", "is_active", "is_declared", "alert_after_intervals",
    "jitter_ms", "calendar", "repeats", "on_success_job", "on_error_job",
)  # fmt: skip

_INTO_JOB = """INSERT INTO job (id, name, service, is_active, is_declared, is_watched, calendar,
    definition, version, created_at)"""
_INSERT_JOBS = "INSERT INTO job ({columns}) {rows}"
_JOB_COLUMNS = """id bigint, name text, service text, is_active boolean, is_declared boolean,
    is_watched boolean, calendar text, definition json, version bigint, created_at bigint"""
_INSERT_TIMERS = "INSERT INTO timer ({columns}) {rows}"
_TIMER_COLUMNS = """job_id bigint, next_at bigint, cursor bigint, started bigint, number bigint,
    failures bigint, paused_since bigint, paused_by text"""

# Uniform jobs and their timers, on SQLite, where the ids of one call are adjacent. Each statement
# binds one array and returns no row, so it does not take the GIL while it runs. The name is cut
# out of the definition's text: parsing the JSON would take half as long as everything else.
_NAME_PREFIX = '{"name":"'
_INSERT_UNIFORM_JOBS = f"""{_INTO_JOB}
SELECT ?1 + rowid, substr(value, {len(_NAME_PREFIX) + 1},
        instr(substr(value, {len(_NAME_PREFIX) + 1}), '"') - 1),
    ?3, ?4, ?5, ?6, ?7, value, 1, ?8 FROM carray(?2)"""
_INSERT_UNIFORM_TIMERS = """INSERT INTO timer (job_id, next_at, cursor, started, number)
SELECT id, ?3, ?4, 0, 0 FROM job WHERE id BETWEEN ?1 AND ?2"""


class JobBatch(NamedTuple):
    """Jobs that are prepared for insertion.

    Attributes:
        definitions: their JSON texts.
        is_uniform: all columns but name and definition are equal, and the names need no
            unescaping in the definitions.
        has_one_due_time: also, one trigger decides when all of them are due first.
    """

    jobs: Sequence[Job]
    definitions: Sequence[str]
    is_uniform: bool = False
    has_one_due_time: bool = False


class JobGroup(msgspec.Struct, frozen=True, gc=False):
    """Jobs that are inserted all or none; prepared in ``batches`` if they are many.

    Ten thousand concurrent requests make as many groups, which the garbage collector should not
    have to traverse.
    """

    jobs: Sequence[Job]
    batches: Sequence[JobBatch] = ()


class InsertResult(NamedTuple):
    """The ids of each group in order, or its error; and the first due instant of all."""

    results: list[list[int] | ZatoLiteError]
    next_due: Instant | None


def prepare(new: Sequence[Job]) -> JobBatch:
    """Encode at most ``BATCH_SIZE`` jobs.

    Raises:
        BadInputError: as ``jobs.encode_job``.
    """
    definitions = [jobs.encode_job(job) for job in new]
    if len(set(map(_columns_of, new))) > 1 or not _have_plain_names(new, definitions):
        return JobBatch(new, definitions)
    has_one_trigger = len({id(job.trigger) for job in new}) == 1
    return JobBatch(new, definitions, True, _is_due_by_trigger(new[0]) and has_one_trigger)


def _have_plain_names(new: Sequence[Job], definitions: Sequence[str]) -> bool:
    """Return True if JSON escapes no character of the jobs' names."""
    names = "".join([job.name for job in new])
    is_first = definitions[0].startswith(_NAME_PREFIX)
    return is_first and names.isprintable() and '"' not in names and "\\" not in names


def insert_jobs(connection: Connection, groups: Sequence[JobGroup], now: Instant) -> InsertResult:
    """Insert each group whose names are all free, in few statements."""
    taken = jobs.existing_names(connection, [job.name for group in groups for job in group.jobs])
    insertion = _Insertion(is_by_rows=connection.dialect == "postgres")
    places: list[range | ZatoLiteError] = []
    for group in groups:
        names = [job.name for job in group.jobs]
        if clash := _first_taken(names, taken) or _first_duplicate(names):
            places.append(jobs.job_exists_error(clash))
            continue
        try:
            places.append(insertion.add(group))
        except BadInputError as error:
            places.append(error)
            continue
        if len(groups) > 1:
            taken.update(names)
    ids, next_due = insertion.write(connection, now)
    results = [
        place if isinstance(place, ZatoLiteError) else ids[place.start : place.stop]
        for place in places
    ]
    return InsertResult(results, next_due)


def _first_taken(names: Iterable[str], taken: set[str]) -> str | None:
    return next((name for name in names if name in taken), None) if taken else None


def _first_duplicate(names: Sequence[str]) -> str | None:
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


def _not_uniform(new: Sequence[Job]) -> JobBatch:
    return JobBatch(new, [jobs.encode_job(job) for job in new])


class _Insertion:
    """Collects groups: uniform batches for one statement each, all other jobs as rows.

    Args:
        is_by_rows: uniform batches are rows, too: PostgreSQL inserts any number in one statement.
    """

    def __init__(self, *, is_by_rows: bool) -> None:
        self._is_by_rows = is_by_rows
        self._count = 0
        self._uniform: list[tuple[int, JobBatch]] = []
        self._jobs: list[Job] = []
        self._definitions: list[str] = []
        self._places: list[int] = []

    def add(self, group: JobGroup) -> range:
        """Add a group and return its places among all jobs.

        Raises:
            BadInputError: as ``prepare``; the group is not added.
        """
        begin = self._count
        for batch in group.batches or (_not_uniform(group.jobs),):
            if batch.is_uniform and not self._is_by_rows:
                self._uniform.append((self._count, batch))
            else:
                self._jobs += batch.jobs
                self._definitions += batch.definitions
                self._places += range(self._count, self._count + len(batch.jobs))
            self._count += len(batch.jobs)
        return range(begin, self._count)

    def write(self, connection: Connection, now: Instant) -> tuple[list[int], Instant | None]:
        """Insert all; return the ids and the first due instant."""
        ids = advance(connection, "job", self._count) if self._count else []
        places, timed = [*self._places], [*self._jobs]
        due: set[Instant | None] = set()
        for place, batch in self._uniform:
            batch_ids = ids[place : place + len(batch.jobs)]
            values = (connection.array(batch.definitions), *_columns(batch.jobs[0]), now)
            execute(connection, _INSERT_UNIFORM_JOBS, (batch_ids[0] - 1, *values))
            if batch.has_one_due_time:
                cursor, next_at = first_due(batch.jobs[0], now)
                due.add(next_at)
                timer = (batch_ids[0], batch_ids[-1], next_at, cursor)
                execute(connection, _INSERT_UNIFORM_TIMERS, timer)
            else:
                timed += batch.jobs
                places += range(place, place + len(batch_ids))
        rows = [
            (ids[place], job.name, *_columns(job), definition, 1, now)
            for place, job, definition in zip(
                self._places, self._jobs, self._definitions, strict=True
            )
        ]
        write_rows(connection, _INSERT_JOBS, _JOB_COLUMNS, rows)
        if any(map(references.has_callbacks, self._jobs)) or any(
            references.has_callbacks(batch.jobs[0]) for _, batch in self._uniform
        ):
            references.mark(connection, ids)
        timers = _timers(connection, places, timed, ids, now)
        write_rows(connection, _INSERT_TIMERS, _TIMER_COLUMNS, timers)
        due.update(timer[1] for timer in timers)
        return ids, min((at for at in due if at is not None), default=None)


def _columns(job: Job) -> tuple[Any, ...]:
    """Return the parts of a definition that have a column."""
    is_watched = job.alert_after_intervals is not None
    return job.service, job.is_active, job.is_declared, is_watched, job.calendar


def _timers(
    connection: Connection,
    places: Sequence[int],
    new: Sequence[Job],
    ids: Sequence[int],
    now: Instant,
) -> list[tuple[Any, ...]]:
    """Return the jobs' timers; consecutive jobs with one trigger share its evaluation."""
    has_calendars = any(job.calendar is not None for job in new)
    calendars = jobs.get_calendars(connection) if has_calendars else {}
    timers = []
    shared: Job | None = None
    cursor, next_at = 0, None
    for place, job in zip(places, new, strict=True):
        if shared is None or job.trigger is not shared.trigger or not _is_due_by_trigger(job):
            cursor, next_at = first_due(job, now, calendars, ids[place])
            shared = job if _is_due_by_trigger(job) else None
        paused = (None, "") if job.is_active else (now, job.principal)
        timers.append((ids[place], next_at, cursor, 0, 0, 0, *paused))
    return timers


def _is_due_by_trigger(job: Job) -> bool:
    """Return True if the trigger alone decides when the job is due first."""
    return job.is_active and not job.jitter_ms and job.calendar is None and job.repeats is None
