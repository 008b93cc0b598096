"""Many definitions at once: what those that are alike have in common is checked once."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.builtin.definition import extra_text, read_alike
from zato_lite.builtin.fields import is_unsent, moment, name
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import Cron, Instant, Job, Trigger
from zato_lite.timetable.trigger import check

AT_ONCE = 256
"""So many are read in one go: well below a millisecond where they are alike."""

_ERRORS_MOST = 100
_NOT_SENT = "ZATO_NONE"


class Part(NamedTuple):
    """Some of the jobs, and of these at least one of each kind.

    Jobs of a kind are alike in all but name, extra and trigger.
    """

    jobs: list[Job]
    kinds: list[Job]


def read_many(sent: Sequence[Any], now: Instant) -> Iterator[Part]:
    """The jobs of definitions in their order, part after part: between two, others have a turn.

    Raises:
        BadInputError: at the end, lists what is wrong with each, as ``jobs[3].name``; at most
            100 of them.
    """
    read_before: dict[Any, Job] = {}
    errors: list[FieldError] = []
    for begin in range(0, len(sent), AT_ONCE):
        part = sent[begin : begin + AT_ONCE]
        alike = _read_together(part, now, read_before)
        if alike is not None:
            yield Part(alike, alike[:1])
        else:
            jobs = _read_each(part, begin, now, read_before, errors)
            yield Part(jobs, jobs)
        if len(errors) >= _ERRORS_MOST:
            break
    if errors:
        raise BadInputError.of(errors[:_ERRORS_MOST])


def _read_each(
    part: Sequence[Any],
    begin: int,
    now: Instant,
    read_before: dict[Any, Job],
    errors: list[FieldError],
) -> list[Job]:
    jobs = []
    for place, definition in enumerate(part, begin):
        try:
            jobs.append(read_alike(definition, now, read_before))
        except BadInputError as error:
            errors += (
                FieldError(f"jobs[{place}].{it.field}", it.value, f"jobs[{place}]: {it.message}")
                for it in error.errors or (FieldError("", None, str(error)),)
            )
    return jobs


def _read_together(
    part: Sequence[Any], now: Instant, read_before: dict[Any, Job]
) -> list[Job] | None:
    """The jobs of definitions that differ in name, extra and start only; None if more differs.

    None also where something is wrong: who reads each says what.
    """
    if set(map(type, part)) != {dict}:
        return None
    rests = [definition.copy() for definition in part]
    names, extras, starts = (
        [rest.pop(field, None) for rest in rests] for field in ("name", "extra", "start_date")
    )
    if not _are_same(rests) or _NOT_SENT in names:
        return None
    try:
        first = read_alike(part[0], now, read_before)
        triggers = _triggers(first.trigger, starts, now)
        if triggers is None:
            return None
        names = [*map(name, names)]
        extras = [None if is_unsent(extra) else extra_text(extra) for extra in extras]
    except (BadInputError, ValueError, TypeError):
        return None
    if first.on_success_job in names or first.on_error_job in names:
        return None
    if isinstance(first.trigger, Cron):  # its name says when within the hour ``H`` is
        triggers = (replace(first.trigger, seed=own) for own in names)
    rows = zip(names, extras, triggers, strict=False)
    return [replace(first, name=n, extra=e, trigger=trigger) for n, e, trigger in rows]


def _triggers(first: Trigger, starts: Sequence[Any], now: Instant) -> Iterable[Trigger] | None:
    """The triggers of jobs that differ in their start; None where it matters what it is."""
    if starts.count(starts[0]) == len(starts):
        return repeat(first)
    if isinstance(first, Cron) or first.end is not None:
        return None
    read = moment(first.timezone)
    read_starts = [now if is_unsent(start) else read(start) for start in starts]
    for edge in (min(read_starts), max(read_starts)):  # what holds for both holds in between
        check(replace(first, start=edge), now)
    return [replace(first, start=start) for start in read_starts]


def _are_same(rests: Sequence[dict[Any, Any]]) -> bool:
    """Whether all are equal, in a world where 1 is not True."""
    first = rests[0]
    return rests.count(first) == len(rests) and all(
        isinstance(value, str) or len({type(rest[field]) for rest in rests}) == 1
        for field, value in first.items()
    )
