"""New jobs: made ready by who asks, away from the writer, and kept in a few big statements."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple

import msgspec

from zato_lite.errors import BadInputError, ZatoLiteError
from zato_lite.store import jobs
from zato_lite.store.ports import Connection
from zato_lite.store.sql import advance, execute, write_rows
from zato_lite.timetable import plan
from zato_lite.timetable.calendar import Calendar
from zato_lite.timetable.job import Instant, Job

PART = 1_000
"""So many jobs are made ready, and written, in one go: about a millisecond of each thread."""

_BULK = 64
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


class Part(NamedTuple):
    """Some jobs that are ready to be kept.

    Attributes:
        definitions: their texts.
        is_alike: they are many, have all columns in common but name and definition, and their
            names stand in the definitions as they are.
        is_due_together: and one trigger says for all when they are due first.
    """

    jobs: Sequence[Job]
    definitions: Sequence[str]
    is_alike: bool = False
    is_due_together: bool = False


class Created(NamedTuple):
    """What came of each group: ids in order, or why it was refused; and when one is due first."""

    answers: list[range | ZatoLiteError]
    soonest: Instant | None


def ready(new: Sequence[Job]) -> Part:
    """At most ``PART`` jobs as they will be kept.

    Raises:
        BadInputError: a text has half a character; JSON can say that, and no file can hold it.
    """
    try:
        definitions = [_encode(job).decode() for job in new]
    except UnicodeEncodeError:
        raise BadInputError(_HALF) from None
    if len(new) < _BULK or len(set(map(_shape, new))) > 1 or not _are_plain(new, definitions):
        return Part(new, definitions)
    is_due_together = _is_timed_plainly(new[0]) and len({id(job.trigger) for job in new}) == 1
    return Part(new, definitions, is_alike=True, is_due_together=is_due_together)


def _are_plain(new: Sequence[Job], definitions: Sequence[str]) -> bool:
    """Whether each name stands in its definition as it is: JSON escapes nothing of it."""
    names = "".join([job.name for job in new])
    is_first = definitions[0].startswith(_BEFORE_NAME)
    return is_first and names.isprintable() and '"' not in names and "\\" not in names


def create(connection: Connection, wanted: Sequence[Sequence[Part]], now: Instant) -> Created:
    """Keep each of the groups of jobs, if none of its names is taken; all in few steps."""
    names = [[job.name for part in group for job in part.jobs] for group in wanted]
    taken = jobs.taken(connection, [name for some in names for name in some])
    fitting: list[Part] = []
    places: list[range | ZatoLiteError] = []
    end = 0
    for group, some in zip(wanted, names, strict=True):
        if clash := _first(some, taken) or _twice(some):
            places.append(jobs.exists(clash))
            continue
        if len(wanted) > 1:
            taken.update(some)
        fitting.extend(group)
        places.append(range(end, end + len(some)))
        end += len(some)
    ids = advance(connection, "job", end) if end else range(0)
    due = _insert(connection, fitting, ids, now)
    return Created(
        [it if isinstance(it, ZatoLiteError) else ids[it.start : it.stop] for it in places],
        min((at for at in due if at is not None), default=None),
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


def _insert(
    connection: Connection, parts: Sequence[Part], ids: range, now: Instant
) -> set[Instant | None]:
    """Write the rows of all; the moments at which they are to be looked at next."""
    known: Mapping[str, Calendar] = {}
    if any(job.calendar is not None for part in parts for job in part.jobs):
        known = jobs.calendars(connection)
    rows: list[tuple[Any, ...]] = []
    timers: list[tuple[Any, ...]] = []
    due: set[Instant | None] = set()
    end = 0
    for part in parts:
        begin, end = end, end + len(part.jobs)
        some = ids[begin:end]
        if part.is_alike:
            texts = connection.array(part.definitions)
            values = (some[0] - 1, texts, *_values(part.jobs[0]), now)
            execute(connection, _JOBS_ALIKE, values)
        else:
            rows += _rows(part, some, now)
        if not part.is_due_together:
            timers += _timers(part.jobs, some, known, now)
        else:
            cursor, next_at = plan.first(part.jobs[0], now)
            due.add(next_at)
            execute(connection, _TIMERS_ALIKE, (some[0], some[-1], next_at, cursor))
    write_rows(connection, _JOBS, rows)
    write_rows(connection, "INSERT INTO timer VALUES {rows}", timers)
    return due.union(timer[1] for timer in timers)


def _rows(part: Part, ids: range, now: Instant) -> Iterator[tuple[Any, ...]]:
    for job_id, job, definition in zip(ids, part.jobs, part.definitions, strict=True):
        yield (job_id, job.name, *_values(job), definition, 1, now)


def _values(job: Job) -> tuple[Any, ...]:
    """What the definition says and has columns of its own."""
    return job.service, job.is_active, job.is_declared, job.alert_after_intervals is not None


def _timers(
    new: Sequence[Job], ids: range, known: Mapping[str, Calendar], now: Instant
) -> Iterator[tuple[Any, ...]]:
    """The jobs' timers; a trigger is asked once for all jobs in a row that have it."""
    alike: Job | None = None
    cursor, next_at = 0, None
    for job_id, job in zip(ids, new, strict=True):
        # Jobs that were made together often have one trigger, and begin together then.
        if alike is None or job.trigger is not alike.trigger or not _is_timed_plainly(job):
            cursor, next_at = plan.first(job, now, known, job_id)
            alike = job if _is_timed_plainly(job) else None
        yield (job_id, next_at, cursor, 0, 0, 0, None if job.is_active else now)


def _is_timed_plainly(job: Job) -> bool:
    """Whether its trigger alone says when it is due first."""
    return job.is_active and not job.jitter_ms and job.calendar is None and job.repeats is None
