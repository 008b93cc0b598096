"""A lock beside a database file: shared by all who have it open, alone for who replaces it."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zato_lite.errors import StoreError


@contextmanager
def alone_with(database: Path) -> Iterator[None]:
    """Nobody has the file open, and nobody can open it.

    Raises:
        StoreError: somebody has it open.
    """
    lock = FileLock(str(database))
    lock.take(fcntl.LOCK_EX, "is open in another process: stop the server first")
    try:
        yield
    finally:
        lock.leave()


@contextmanager
def present_at(database: Path) -> Iterator[None]:
    """The file is not replaced meanwhile.

    Raises:
        StoreError: it is just being replaced.
    """
    lock = FileLock(str(database))
    lock.enter()
    try:
        yield
    finally:
        lock.leave()


class FileLock:
    """That this process has a database file open; the kernel forgets it when the process ends.

    SQLite's own locks do not say it: between two transactions there may be none.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._opened = -1

    def enter(self) -> None:
        """Say so.

        Raises:
            StoreError: the file is just being replaced, or there is no place for the lock.
        """
        self.take(fcntl.LOCK_SH, "is just being restored: start again when that is done")

    def take(self, kind: int, refusal: str) -> None:
        """Hold a lock of this kind (``fcntl.LOCK_…``), or refuse in these words."""
        try:
            opened = os.open(f"{self._database}-open", os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            words = "cannot be opened: does its folder exist, and may this user write there?"
            raise StoreError(f"{self._database} {words} ({error})") from error
        try:
            fcntl.flock(opened, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(opened)
            raise StoreError(f"{self._database} {refusal}") from error
        self._opened = opened

    def leave(self) -> None:
        """Say so no more."""
        if self._opened >= 0:
            os.close(self._opened)
            self._opened = -1
