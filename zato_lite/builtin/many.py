"""Many definitions at once: what those that are alike have in common is checked once."""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from msgspec.structs import replace

from zato_lite.builtin.definition import extra_text, read_alike
from zato_lite.builtin.fields import is_unsent, name
from zato_lite.errors import BadInputError, FieldError
from zato_lite.timetable.job import Cron, Instant, Job

AT_ONCE = 256
"""So many are read in one go: well below a millisecond where they are alike."""

_ERRORS_MOST = 100
_NOT_SENT = "ZATO_NONE"


class Part(NamedTuple):
    """Some of the jobs, and of these at least one of each kind: alike but for name and extra."""

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
    """The jobs of definitions that differ in name and extra only; None where more differs.

    None also where something is wrong: who reads each says what.
    """
    if set(map(type, part)) != {dict}:
        return None
    rests = [definition.copy() for definition in part]
    sent_names = [rest.pop("name", None) for rest in rests]
    sent_extras = [rest.pop("extra", None) for rest in rests]
    if not _are_same(rests) or _NOT_SENT in sent_names:
        return None
    try:
        names = [*map(name, sent_names)]
        extras = [None if is_unsent(extra) else extra_text(extra) for extra in sent_extras]
        first = read_alike(part[0], now, read_before)
    except (BadInputError, ValueError, TypeError):
        return None
    if first.on_success_job in names or first.on_error_job in names:
        return None
    pairs = zip(names, extras, strict=True)
    if isinstance(first.trigger, Cron):
        cron = first.trigger
        return [replace(first, name=n, extra=e, trigger=replace(cron, seed=n)) for n, e in pairs]
    return [replace(first, name=n, extra=e) for n, e in pairs]


def _are_same(rests: Sequence[dict[Any, Any]]) -> bool:
    """Whether all are equal, in a world where 1 is not True."""
    first = rests[0]
    return rests.count(first) == len(rests) and all(
        isinstance(value, str) or len({type(rest[field]) for rest in rests}) == 1
        for field, value in first.items()
    )
