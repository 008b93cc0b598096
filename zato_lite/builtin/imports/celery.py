"""Reader of Celery's periodic tasks, in the forms in which they are written and stored.

- Python: ``beat_schedule`` and ``add_periodic_task``, read without being executed;
- JSON: ``beat_schedule`` with a schedule as a number of seconds or crontab's arguments;
- RedBeat's JSON, with ``__type__``;
- fixtures of django-celery-beat, from ``manage.py dumpdata``.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from functools import partial
from typing import Any

from zato_lite.builtin.imports import celery_python, django_beat
from zato_lite.builtin.imports.celery_schedule import CRONTAB, Crontab, Every, Periodic
from zato_lite.builtin.imports.celery_schedule import entry as entry_of
from zato_lite.builtin.imports.entry import (
    Entry,
    NoEquivalentError,
    Options,
    decode_document,
    note_ignored,
    quoted,
)
from zato_lite.errors import BadInputError

_SHAPES = (
    "a Python file with beat_schedule, a JSON object of entries by name, RedBeat's JSON, or a "
    "fixture of django-celery-beat (a list) is expected"
)


_ROW = frozenset({"model", "pk", "fields"})


def read(document: str, options: Options) -> Iterator[Entry]:
    """Yield the entries of a beat schedule.

    Raises:
        BadInputError: the document has none of the forms above.
    """
    text = document.removeprefix("\ufeff").strip()
    if text[:1] not in ("{", "["):
        yield from _from_python(text, options)
        return
    decoded = decode_document(text)
    if isinstance(decoded, list) and decoded and all(map(_is_fixture, decoded)):
        for place, make in django_beat.tasks(decoded):
            yield _guarded(place, make, options)
    elif isinstance(decoded, list) and decoded:
        for number, each in enumerate(decoded):
            yield from _from_json({f"[{number}]": each}, options)
    elif isinstance(decoded, Mapping) and "task" in decoded and "schedule" in decoded:
        yield from _from_json({str(decoded.get("name", "")): decoded}, options)
    elif isinstance(decoded, Mapping):
        yield from _from_json(decoded, options)
    else:
        raise BadInputError(_SHAPES)


def _guarded(place: str, make: Callable[[], Periodic], options: Options) -> Entry:
    try:
        return entry_of(place, make(), options)
    except NoEquivalentError as error:
        return Entry(place, None, (str(error),))
    except (OverflowError, TypeError, ValueError, BadInputError) as error:
        return Entry(place, None, (f"not a valid entry: {error}",))


def _from_python(text: str, options: Options) -> Iterator[Entry]:
    found = celery_python.tasks(text)
    if not found.tasks:
        raise BadInputError(
            f"neither beat_schedule nor add_periodic_task is in the file; {_SHAPES}"
        )
    if found.timezone is not None:
        options = options._replace(timezone=found.timezone)
    for place, make in found.tasks:
        yield _guarded(place, make, options)


# ---- JSON


def _is_fixture(value: Any) -> bool:
    return isinstance(value, Mapping) and {"model", "fields"} <= value.keys() <= _ROW


def _from_json(entries: Mapping[str, Any], options: Options) -> Iterator[Entry]:
    for name, entry in entries.items():
        yield _guarded(name, partial(_periodic, name, entry), options)


def _periodic(name: str, sent: Any) -> Periodic:
    entry, notes = sent, list[str]()
    if isinstance(entry, Mapping) and "definition" in entry:  # RedBeat's hash in Redis
        note_ignored(entry, {"definition", "meta"}, notes)
        if entry.get("meta"):
            notes.append("the history (meta) is not carried over")
        entry = entry["definition"]
    if isinstance(entry, str):
        entry = json.loads(entry)
    if not isinstance(entry, Mapping) or "task" not in entry:
        raise NoEquivalentError("not a valid entry; task and schedule are required")
    values = dict(entry)
    own_name = values.pop("name", None)
    schedule = _schedule(values.pop("schedule", None))
    return Periodic(str(own_name or name), schedule, values, {}, tuple(notes))


def _schedule(sent: Any) -> Every | Crontab:
    match sent:
        case bool():
            pass
        case int() | float():
            return Every(timedelta(seconds=sent))
        case {"__type__": "interval", "every": int() | float() as every}:
            _no_more(sent, {"__type__", "every", "relative"})
            return Every(timedelta(seconds=every), bool(sent.get("relative")))
        case {"__type__": "crontab"}:
            _no_more(sent, {"__type__", *CRONTAB})
            return Crontab({key: sent[key] for key in CRONTAB if key in sent})
        case {"__type__": kind}:
            raise NoEquivalentError(
                f"a schedule of type {quoted(kind)} has no equivalent; crontab and interval have"
            )
        case dict() if sent and not set(sent) - set(CRONTAB):
            return Crontab(sent)
        case _:
            pass
    raise NoEquivalentError(f"schedule is neither seconds nor crontab: {quoted(sent)}")


def _no_more(sent: Mapping[str, Any], known: set[str]) -> None:
    if unknown := sorted(set(sent) - known):
        raise NoEquivalentError(f"unknown fields of the schedule: {', '.join(unknown)}")
