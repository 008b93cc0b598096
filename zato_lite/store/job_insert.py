"""New jobs: made ready by who asks, away from the writer, and kept in a few big statements."""

from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from zato_lite.errors import BadInputError, ZatoLiteError
from zato_lite.store import jobs
from zato_lite.store.ports import Connection
from zato_lite.store.statements import execute, next_numbers, write_rows
from zato_lite.timetable.due import first_due
from zato_lite.timetable.job import Instant, Job

BATCH_SIZE = 1_000
"""So many jobs are made ready, and written, in one go: about a millisecond of each thread."""

_HALF = "a text of the definition is no text: it has half a character"
_encode = msgspec.json.Encoder().encode
_shape = attrgetter(
    "service", "is_active", "is_declared", "alert_after_intervals",
    "jitter_ms", "calendar", "repeats",
)  # fmt: skip

_INTO_JOB = """INSERT INTO job (id, name, service, is_active, is_declared, is_watched, definition,
    version, created_at)"""
_JOBS = f"{_INTO_JOB} VALUES {{rows}}"

# Both leave Python alone while they run: no row is bound, and none is stepped over. The name is
# cut out of the definition's text: reading the JSON would take half as long as all the rest.
_BEFORE_NAME = '{"name":"'
_JOBS_ALIKE = f"""{_INTO_JOB}
SELECT ?1 + rowid, substr(value, {len(_BEFORE_NAME) + 1},
        instr(substr(value, {len(_BEFORE_NAME) + 1}), '"') - 1),
    ?3, ?4, ?5, ?6, value, 1, ?7 FROM carray(?2)"""
_TIMERS_ALIKE = """INSERT INTO timer (job_id, next_at, cursor, started, number)
SELECT id, ?3, ?4, 0, 0 FROM job WHERE id BETWEEN ?1 AND ?2"""


class JobBatch(NamedTuple):
    """Some jobs of many, made ready to be kept.

    Attributes:
        definitions: their texts.
        is_alike: they have all columns in common but name and definition, and their names stand
            in the definitions as they are.
        is_due_together: and one trigger says for all when they are due first.
    """

    jobs: Sequence[Job]
    definitions: Sequence[str]
    is_alike: bool = False
    is_due_together: bool = False


class JobGroup(msgspec.Struct, frozen=True, gc=False):
    """Jobs that are kept all or none; in parts if they are many, and else without any.

    There may be one for each of ten thousand calls: the garbage collector is not to walk them.
    """

    jobs: Sequence[Job]
    parts: Sequence[JobBatch] = ()


class InsertResult(NamedTuple):
    """What came of each group: ids in order, or why it was refused; and when one is due first."""

    results: list[list[int] | ZatoLiteError]
    next_due: Instant | None


def prepare(new: Sequence[Job]) -> JobBatch:
    """At most ``BATCH_SIZE`` jobs as they will be kept.

    Raises:
        BadInputError: a text has half a character; JSON can say that, and no file can hold it.
    """
    definitions = _written(new)
    if len(set(map(_shape, new))) > 1 or not _are_plain(new, definitions):
        return JobBatch(new, definitions)
    is_due_together = _is_timed_plainly(new[0]) and len({id(job.trigger) for job in new}) == 1
    return JobBatch(new, definitions, is_alike=True, is_due_together=is_due_together)


def _written(new: Sequence[Job]) -> list[str]:
    try:
        return [_encode(job).decode() for job in new]
    except UnicodeEncodeError:
        raise BadInputError(_HALF) from None


def _are_plain(new: Sequence[Job], definitions: Sequence[str]) -> bool:
    """Whether each name stands in its definition as it is: JSON escapes nothing of it."""
    names = "".join([job.name for job in new])
    is_first = definitions[0].startswith(_BEFORE_NAME)
    return is_first and names.isprintable() and '"' not in names and "\\" not in names


def insert_jobs(connection: Connection, wanted: Sequence[JobGroup], now: Instant) -> InsertResult:
    """Keep each of the groups of jobs, if none of its names is taken; all in few steps."""
    taken = jobs.existing_names(connection, [job.name for group in wanted for job in group.jobs])
    batch = _Batch()
    places: list[range | ZatoLiteError] = []
    for group in wanted:
        names = [job.name for job in group.jobs]
        if clash := _first(names, taken) or _twice(names):
            places.append(jobs.job_exists_error(clash))
            continue
        try:
            places.append(batch.add(group))
        except BadInputError as error:
            places.append(error)
            continue
        if len(wanted) > 1:
            taken.update(names)
    ids, soonest = batch.write(connection, now)
    return InsertResult(
        [it if isinstance(it, ZatoLiteError) else list(ids[it.start : it.stop]) for it in places],
        soonest,
    )


def _first(names: Iterable[str], taken: set[str]) -> str | None:
    return next((name for name in names if name in taken), None) if taken else None


def _twice(names: Sequence[str]) -> str | None:
    if len(set(names)) == len(names):
        return None
    seen: set[str] = set()
    for name in names:
        if name in seen:
            return name
        seen.add(name)
    return None


class _Batch:
    """All that is to be written: parts whose jobs are alike by themselves, the others together."""

    def __init__(self) -> None:
        self._count = 0
        self._alike: list[tuple[int, JobBatch]] = []
        self._jobs: list[Job] = []
        self._texts: list[str] = []
        self._places: list[int] = []

    def add(self, group: JobGroup) -> range:
        """Take the group in; its places among all.

        Raises:
            BadInputError: as ``ready`` does; the group is left out.
        """
        begin = self._count
        for part in group.parts or (JobBatch(group.jobs, _written(group.jobs)),):
            if part.is_alike:
                self._alike.append((self._count, part))
            else:
                self._jobs += part.jobs
                self._texts += part.definitions
                self._places += range(self._count, self._count + len(part.jobs))
            self._count += len(part.jobs)
        return range(begin, self._count)

    def write(self, connection: Connection, now: Instant) -> tuple[range, Instant | None]:
        """Write it all; the ids, and the first moment at which one is to be looked at."""
        ids = next_numbers(connection, "job", self._count) if self._count else range(0)
        places, timed = [*self._places], [*self._jobs]
        due: set[Instant | None] = set()
        for place, part in self._alike:
            some = ids[place : place + len(part.jobs)]
            values = (connection.array(part.definitions), *_values(part.jobs[0]), now)
            execute(connection, _JOBS_ALIKE, (some[0] - 1, *values))
            if part.is_due_together:
                cursor, next_at = first_due(part.jobs[0], now)
                due.add(next_at)
                execute(connection, _TIMERS_ALIKE, (some[0], some[-1], next_at, cursor))
            else:
                timed += part.jobs
                places += range(place, place + len(some))
        each = zip(self._places, self._jobs, self._texts, strict=True)
        rows = [(ids[at], job.name, *_values(job), text, 1, now) for at, job, text in each]
        write_rows(connection, _JOBS, rows)
        timers = _timers(connection, places, timed, ids, now)
        write_rows(connection, "INSERT INTO timer VALUES {rows}", timers)
        due.update(timer[1] for timer in timers)
        return ids, min((at for at in due if at is not None), default=None)


def _values(job: Job) -> tuple[Any, ...]:
    """What the definition says and has columns of its own."""
    return job.service, job.is_active, job.is_declared, job.alert_after_intervals is not None


def _timers(
    connection: Connection, places: Sequence[int], new: Sequence[Job], ids: range, now: Instant
) -> list[tuple[Any, ...]]:
    """The jobs' timers; a trigger is asked once for all jobs in a row that have it."""
    known = jobs.get_calendars(connection) if any(job.calendar is not None for job in new) else {}
    timers = []
    alike: Job | None = None
    cursor, next_at = 0, None
    for place, job in zip(places, new, strict=True):
        # Jobs that were made together often have one trigger, and begin together then.
        if alike is None or job.trigger is not alike.trigger or not _is_timed_plainly(job):
            cursor, next_at = first_due(job, now, known, ids[place])
            alike = job if _is_timed_plainly(job) else None
        timers.append((ids[place], next_at, cursor, 0, 0, 0, None if job.is_active else now))
    return timers


def _is_timed_plainly(job: Job) -> bool:
    """Whether its trigger alone says when it is due first."""
    return job.is_active and not job.jitter_ms and job.calendar is None and job.repeats is None
