"""``zato-lite db migrate-to``: opens both ends of a move, and ends it on both or on none."""

from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from zato_lite.config import Store as Settings
from zato_lite.errors import ConfigError, StoreError, ZatoLiteError
from zato_lite.store.location import existing_file_of, file_of
from zato_lite.store.migrate import MoveMark
from zato_lite.store.move import Moved, Report, Source, Tables, Target, move
from zato_lite.store.move_sqlite import (
    is_moved_to_file,
    sqlite_source,
    sqlite_target,
    tables_of_store,
)
from zato_lite.store.opening import password_of, require_postgres
from zato_lite.store.postgres_url import is_postgres, parse, shown
from zato_lite.timetable.job import Instant


class _Place(NamedTuple):
    """The target of a move, which is not open yet."""

    shown: str
    open: Callable[[Tables, Instant], AbstractContextManager[Target]]
    is_target_of: Callable[[MoveMark], bool]


def move_store(folder: Path, settings: Settings, url: str, now: Instant, report: Report) -> Moved:
    """Move the store of the settings to a URL of the other engine, or finish such a move.

    Raises:
        ConfigError: a URL is not valid.
        StoreError: the source is in use, the target is not empty, or the rows cannot be copied.
            Nothing was changed.
        UnavailableError: a database cannot be reached.
    """
    _refuse_same_engine(settings.url, url)
    place, tables = _place(folder, settings, url), tables_of_store()
    with _source(folder, settings) as source:
        if (earlier := source.moved()) is not None:
            if earlier.url != place.shown:
                words = f"the store was moved to {earlier.url} before"
                raise StoreError(f"{words}; take that back first: zato-lite db migrate-to --undo")
            if place.is_target_of(earlier):
                return Moved({}, was_moved_before=True)
            source.undo()
        now = source.begin(now, tables)
        with place.open(tables, now) as target:
            moved, mark = move(source, target, tables, now, report)
            _commit(source, target, partial(place.is_target_of, mark))
            report("moved", 0)
            return moved


def undo_move(folder: Path, settings: Settings) -> str | None:
    """Make a store usable again that was moved; return its new place, None if it was not moved.

    Raises:
        ConfigError: the URL is not valid.
        StoreError, UnavailableError: the store cannot be used.
    """
    with _source(folder, settings) as source:
        mark = source.moved()
        if mark is None:
            return None
        source.undo()
        return mark.url


def _commit(source: Source, target: Target, is_complete: Callable[[], bool]) -> None:
    """Commit the target; if that fails, make the source usable again.

    Raises:
        StoreError: the target was not committed, or that is unknown.
    """
    try:
        target.commit()
    except ZatoLiteError as error:
        try:
            is_committed = is_complete()
        except ZatoLiteError as other:
            words = f"it is unknown whether {target.shown} has the store ({other})"
            raise StoreError(f"{words}; give the same command again") from error
        if not is_committed:
            source.undo()
            raise


def _source(folder: Path, settings: Settings) -> AbstractContextManager[Source]:
    if not is_postgres(settings.url):
        return sqlite_source(existing_file_of(folder, settings.url).resolve())
    location = parse(settings.url, password_of(folder, settings))
    found: AbstractContextManager[Source] = _postgres().postgres_source(location)
    return found


def _place(folder: Path, settings: Settings, url: str) -> _Place:
    if not is_postgres(url):
        path = file_of(folder, url).resolve()
        return _Place(
            f"sqlite:///{path}",
            lambda _, now: sqlite_target(path, now),
            partial(is_moved_to_file, path),
        )
    location, ends = parse(url, password_of(folder, settings)), _postgres()
    return _Place(
        location.shown,
        partial(ends.postgres_target, location),
        partial(ends.is_moved_to_database, location),
    )


def _postgres() -> Any:
    require_postgres()
    from zato_lite.store import postgres_move  # noqa: PLC0415 - an extra

    return postgres_move


def _refuse_same_engine(source: str, target: str) -> None:
    if is_postgres(source) == is_postgres(target):
        other = (
            "pg_dump and pg_restore copy" if is_postgres(source) else "zato-lite db backup copies"
        )
        raise ConfigError(
            f"migrate-to moves a store between SQLite and PostgreSQL, not from {shown(source)} to"
            f" {shown(target)}; {other} it"
        )
