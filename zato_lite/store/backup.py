"""Backup: copies of a running store, and check, copy and restore of a database file."""

import asyncio
import re
from collections.abc import Callable, Sequence
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, Protocol, TypeVar

from zato_lite.clock import Clock, to_datetime
from zato_lite.errors import BadInputError, ConflictError, StoreError, UnavailableError
from zato_lite.store.atomic import link_log, replace_database, sync, unlink_log
from zato_lite.store.connection import checkpoint_alone, copy, find_problems, open_file
from zato_lite.store.file_lock import exclusive_lock, shared_lock
from zato_lite.store.migrate import refuse_foreign
from zato_lite.store.ports import Connection
from zato_lite.timetable.job import Instant

Value = TypeVar("Value")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_GENERATED_NAME = re.compile(r"zato-lite-\d{8}T\d{6}Z\.db")
"""Names that ``backup_name`` makes: only these backups are deleted when newer ones exist."""


class BackupSource(Protocol):
    """Store that can be copied and checked while it is in use."""

    async def backup(self, target: str | Path) -> None:
        """Write a consistent copy to a new file."""
        ...

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """Return the problems of the database file."""
        ...


class Backup(NamedTuple):
    """A backup: its name, its path and its size in bytes."""

    name: str
    path: Path
    size: int


class Backups:
    """Backup folder: makes copies of a store, each complete or absent."""

    def __init__(self, store: BackupSource, folder: Path | None, clock: Clock) -> None:
        self._store, self._folder, self._clock = store, folder, clock

    async def make(self, name: str = "", keep: int | None = None) -> Backup:
        """Copy the store; then delete all but the newest ``keep`` backups with generated names.

        Args:
            name: of the file in the folder; empty for a name made from the time.
            keep: None for all.

        Raises:
            BadInputError: the name is not valid.
            ConflictError: a backup of this name exists.
            UnavailableError: the file cannot be written, or no project folder is configured.
        """
        if name and not _NAME.fullmatch(name):
            allowed = "letters, digits, dots, dashes and underscores, at most 100"
            raise BadInputError(f"name: {name!r} is not a valid backup name; use {allowed}")
        if self._folder is None:
            raise UnavailableError("backups need a project folder; none is configured")
        path = self._folder / (name or backup_name(self._clock.now()))
        if path.exists():
            raise ConflictError(f"Backup `{path.name}` already exists")
        try:
            await self._store.backup(path)
        except StoreError as error:
            raise UnavailableError(str(error)) from error
        if keep is not None:
            await asyncio.to_thread(_delete_old, self._folder, keep)
        return Backup(path.name, path, path.stat().st_size)

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """Return the problems of the store's file."""
        return await self._store.check(is_full=is_full)


def backup_name(now: Instant) -> str:
    """Return the file name of a backup made at this instant."""
    return f"zato-lite-{timestamp(now)}.db"


def timestamp(now: Instant) -> str:
    """Format an instant for a file name."""
    return to_datetime(now).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _delete_old(folder: Path, keep: int) -> None:
    generated = sorted(p for p in folder.iterdir() if _GENERATED_NAME.fullmatch(p.name))
    for path in generated[: max(0, len(generated) - keep)]:
        path.unlink(missing_ok=True)


# Files, whether a server has them open or not


def check_file(path: Path, *, is_full: bool = False) -> Sequence[str]:
    """Return the problems of a database file, even while a server has it open.

    Raises:
        StoreError: it cannot be opened.
    """
    with shared_lock(path), open_file(path) as connection:
        return find_problems(connection, is_full=is_full)


def query_file(path: Path, query: Callable[[Connection], Value]) -> Value:
    """Return the result of a query on a database file, even while a server has it open.

    Raises:
        StoreError: it cannot be opened or read.
    """
    with shared_lock(path), open_file(path) as connection:
        return query(connection)


def copy_file(path: Path, target: Path) -> None:
    """Write a consistent copy of a database file, even while a server has it open.

    Raises:
        StoreError: the target exists, or one of the files cannot be used.
    """
    with shared_lock(path), open_file(path) as source:
        copy(source, target)


def restore_file(path: Path, backup: Path, aside: Path) -> None:
    """Put a copy of ``backup`` in the place of a database file, which stays as ``aside``.

    Raises:
        StoreError: a process has the file open; or the backup is damaged, from a newer version
            or not a store. Nothing was changed.
    """
    part = path.with_name(f"{path.name}.restoring")
    with exclusive_lock(path):
        try:
            part.unlink(missing_ok=True)
            with open_file(backup, read_only=True) as source:
                if found := find_problems(source, is_full=True):
                    raise StoreError(f"{backup} is damaged: {found[0]}")
                _check_origin(source, backup)
                copy(source, part)
            _end_sessions(part)
            _merge_log(path, aside)
            replace_database(path, part, aside)
        except OSError as error:
            raise StoreError(f"{path} cannot be replaced ({error})") from error
        finally:
            part.unlink(missing_ok=True)


def _merge_log(path: Path, aside: Path) -> None:
    """Write a file's log into it; keep a link to the log if the file is too damaged for that.

    The link comes first: SQLite may delete the log of a file that it cannot read.
    """
    link_log(path, aside)
    try:
        is_merged = path.exists() and checkpoint_alone(path)
    except StoreError:
        unlink_log(aside)
        raise
    if is_merged:
        unlink_log(aside)


def _end_sessions(part: Path) -> None:
    """Delete sessions, which may have been ended since the backup was made."""
    with open_file(part) as made:
        exists = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?"
        for table in ("session", "password_code"):
            if list(made.execute(exists, (table,))):
                made.execute(f"DELETE FROM {table}")
    sync(part)


def _check_origin(source: Connection, backup: Path) -> None:
    try:
        refuse_foreign(source)
    except StoreError as error:
        raise StoreError(f"{backup} cannot be restored: {error}") from error
