"""Many definitions: reads them in batches, and those that are alike as one."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.builtin.definition import NOT_SENT, extra_text, read, read_cached
from zato_lite.builtin.input import MAX_ERRORS, is_unsent, parse_instant, parse_name
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable import trigger as triggers
from zato_lite.timetable.job import Cron, Instant, Job, Trigger

BATCH_SIZE = 256
"""Definitions that ``read_many`` reads in one step: well below a millisecond if they are alike."""


class JobBatch(NamedTuple):
    """Some of many jobs, and at least one of each kind among them.

    Jobs of a kind are alike except for name, extra and trigger.
    """

    jobs: list[Job]
    kinds: list[Job]


def read_many(sent: Sequence[Any], now: Instant, principal: str = "") -> Iterator[JobBatch]:
    """Yield the jobs of definitions in order; the caller lets others run between two batches.

    Raises:
        BadInputError: at the end, lists what is wrong with each, as ``jobs[3].name``.
    """
    errors: list[FieldError] = []
    cache: dict[Any, Job] = {}
    for begin in range(0, len(sent), BATCH_SIZE):
        part = sent[begin : begin + BATCH_SIZE]
        alike = _read_alike(part, now, principal)
        if alike is not None:
            yield JobBatch(alike, alike[:1])
            continue
        jobs = []
        for position, definition in enumerate(part, begin):
            try:
                jobs.append(read_cached(definition, now, principal, cache))
            except BadInputError as error:
                errors += _located(error, f"jobs[{position}]")
        yield JobBatch(jobs, jobs)
        if len(errors) >= MAX_ERRORS:
            break
    if errors:
        raise BadInputError.of(errors[:MAX_ERRORS])


def _located(error: BadInputError, place: str) -> Iterator[FieldError]:
    """Yield the wrong fields of one of many definitions."""
    for each in error.errors or (FieldError("", None, str(error)),):
        yield FieldError(f"{place}.{each.field}", each.value, f"{place}: {each.message}")


def _read_alike(part: Sequence[Any], now: Instant, principal: str) -> list[Job] | None:
    """Return the jobs of definitions that differ in name, extra and start only, else None.

    None also where something is wrong: reading one after the other finds the mistake.
    """
    if set(map(type, part)) != {dict}:
        return None
    rests = [definition.copy() for definition in part]
    names, extras, starts = (
        [rest.pop(field, None) for rest in rests] for field in ("name", "extra", "start_date")
    )
    if not _are_equal(rests) or NOT_SENT in names:
        return None
    try:
        first = read(part[0], now, principal)
        made = _triggers(first.trigger, starts, now)
        if made is None:
            return None
        names = [*map(parse_name, names)]
        extras = [None if is_unsent(extra) else extra_text(extra) for extra in extras]
    except (BadInputError, ValueError, TypeError):
        return None
    if first.on_success_job in names or first.on_error_job in names:
        return None
    if isinstance(first.trigger, Cron):  # the job's name spreads ``H``
        made = (replace(first.trigger, seed=own) for own in names)
    rows = zip(names, extras, made, strict=False)
    return [replace(first, name=n, extra=e, trigger=trigger) for n, e, trigger in rows]


def _triggers(first: Trigger, starts: Sequence[Any], now: Instant) -> Iterable[Trigger] | None:
    """Return the triggers of jobs with these starts; None where a start needs its own check."""
    if starts.count(starts[0]) == len(starts):
        return repeat(first)
    if isinstance(first, Cron) or first.end is not None:
        return None
    instants = [
        now if is_unsent(start) else parse_instant(start, first.timezone) for start in starts
    ]
    for edge in (min(instants), max(instants)):  # a check that holds for both holds in between
        triggers.check(replace(first, start=edge), now)
    return [replace(first, start=start) for start in instants]


def _are_equal(rests: Sequence[dict[Any, Any]]) -> bool:
    """Return True if all are equal, and 1 is not True."""
    first = rests[0]
    return rests.count(first) == len(rests) and all(
        isinstance(value, str) or len({type(rest[field]) for rest in rests}) == 1
        for field, value in first.items()
    )
