"""Copies of a running store, in one folder and nowhere else."""

import asyncio
import re
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import NamedTuple, Protocol

from zato_lite.clock import Clock, to_datetime
from zato_lite.errors import BadInputError, ConflictError, StoreError, UnavailableError
from zato_lite.timetable.job import Instant

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,99}")
_OWN = re.compile(r"zato-lite-\d{8}T\d{6}Z\.db")
"""Names that are made up here: copies that may be deleted when there are newer ones."""


class BackupResult(Protocol):
    """A store that can be copied and checked while all goes on."""

    async def backup(self, target: str | Path) -> None:
        """Write a consistent copy to a new file."""
        ...

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """What is wrong with the file; nothing, if all is well."""
        ...


class Backup(NamedTuple):
    """A copy: its name, where it is, how many bytes it has."""

    name: str
    path: Path
    size: int


class Backups:
    """Makes copies of a store, each complete or not there at all."""

    def __init__(self, store: BackupResult, folder: Path | None, clock: Clock) -> None:
        self._store, self._folder, self._clock = store, folder, clock

    async def make(self, name: str = "", keep: int | None = None) -> Backup:
        """Copy the store; of the copies that were named here, the newest ``keep`` stay.

        Args:
            name: of the file in the folder; without one it is named by the time.
            keep: None for all.

        Raises:
            BadInputError: the name is none for a file in the folder.
            ConflictError: there is such a backup already.
            UnavailableError: it cannot be written, or there is no project for it to be in.
        """
        if name and not _NAME.fullmatch(name):
            words = "letters, digits, dots, dashes and underscores, at most 100"
            raise BadInputError(f"name: {name!r} is no name of a backup: {words}")
        if self._folder is None:
            raise UnavailableError("without a project there is no folder for backups")
        path = self._folder / (name or name_at(self._clock.now()))
        if path.exists():
            raise ConflictError(f"Backup `{path.name}` already exists")
        try:
            await self._store.backup(path)
        except StoreError as error:
            raise UnavailableError(str(error)) from error
        if keep is not None:
            await asyncio.to_thread(_thin_out, self._folder, keep)
        return Backup(path.name, path, path.stat().st_size)

    async def check(self, *, is_full: bool = False) -> Sequence[str]:
        """What is wrong with the store's file."""
        return await self._store.check(is_full=is_full)


def name_at(now: Instant) -> str:
    """The name of a copy that is made at this instant."""
    return f"zato-lite-{stamp(now)}.db"


def stamp(now: Instant) -> str:
    """An instant as part of a file's name."""
    return to_datetime(now).astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")


def _thin_out(folder: Path, keep: int) -> None:
    own = sorted(path for path in folder.iterdir() if _OWN.fullmatch(path.name))
    for path in own[: max(0, len(own) - keep)]:
        path.unlink(missing_ok=True)
