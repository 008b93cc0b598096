"""File lock beside a database file: shared by its users, exclusive for its replacement."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from zato_lite.errors import StoreError


@contextmanager
def exclusive_lock(database: Path) -> Iterator[None]:
    """Keep all other processes from having or opening the database file.

    Raises:
        StoreError: another process has it open.
    """
    lock = FileLock(str(database))
    lock.acquire(fcntl.LOCK_EX, "is open in another process; stop the server first")
    try:
        yield
    finally:
        lock.release()


@contextmanager
def shared_lock(database: Path) -> Iterator[None]:
    """Keep the database file from being replaced.

    Raises:
        StoreError: it is being replaced.
    """
    lock = FileLock(str(database))
    lock.acquire_shared()
    try:
        yield
    finally:
        lock.release()


class FileLock:
    """Proof that this process has a database file open; the kernel releases it at process end.

    SQLite's own locks do not prove it: between two transactions a connection may hold none.
    """

    def __init__(self, database: str) -> None:
        self._database = database
        self._file = -1

    def acquire_shared(self) -> None:
        """Acquire the lock that all users of the file share.

        Raises:
            StoreError: the file is being replaced, or the lock file cannot be opened.
        """
        self.acquire(fcntl.LOCK_SH, "is being restored; start again when that is done")

    def acquire(self, kind: int, refusal: str) -> None:
        """Acquire a lock of this kind (``fcntl.LOCK_…``), or raise an error with ``refusal``."""
        try:
            # One lock for a file and for links to it.
            path = f"{os.path.realpath(self._database)}-open"
            file = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            words = "cannot be opened: does its folder exist, and may this user write there?"
            raise StoreError(f"{self._database} {words} ({error})") from error
        try:
            fcntl.flock(file, kind | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(file)
            raise StoreError(f"{self._database} {refusal}") from error
        self._file = file

    def release(self) -> None:
        """Release the lock."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
