"""Private files: the store, its logs, locks and backups are readable by their owner only."""

import logging
import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from zato_lite.errors import StoreError

FOLDER, FILE = 0o700, 0o600
"""Modes of a store's folder and of the files in it."""

_OTHERS = 0o077
_HEADER = b"SQLite format 3\0"

_log = logging.getLogger("zato_lite.store")


def prepare_database(database: Path) -> None:
    """Make a database's folder, if needed, and its file, both private; correct existing files.

    SQLite gives the log and the other files beside the database the same mode.

    Raises:
        StoreError: the folder or the file cannot be created.
    """
    try:
        database.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    except OSError as error:
        words = "has no folder, and it cannot be created"
        raise StoreError(f"{database} {words} ({error})") from error
    try:
        os.close(os.open(database, os.O_CREAT | os.O_RDONLY, FILE))
    except OSError as error:
        words = "cannot be opened: may this user read and write it, and its folder?"
        raise StoreError(f"{database} {words} ({error})") from error
    with suppress(OSError):  # the files are used, or refused, one by one
        for path in {database, database.resolve()}:
            for file in _files_of(path):
                restrict(file, FILE)


def prepare_backups(folder: Path) -> None:
    """Correct the modes of a folder of backups, and of the backups in it."""
    with suppress(OSError):
        if folder.is_dir():
            restrict_folder(folder)
            for file in filter(_is_database, folder.iterdir()):
                restrict(file, FILE)


def make_folder(folder: Path) -> None:
    """Make a private folder with its parents; correct the mode of one that exists.

    Raises:
        OSError: it cannot be made.
    """
    if not folder.is_dir():
        folder.mkdir(mode=FOLDER, parents=True, exist_ok=True)
    restrict_folder(folder)


def restrict_folder(folder: Path) -> None:
    """Correct the mode of a folder, unless it is also meant for others.

    Not corrected are folders for all users (``/tmp``), the project's, the current and the home
    folder, and all that contain one of the two.
    """
    status = folder.stat()
    if not status.st_mode & _OTHERS:
        return
    shared = {place for here in (Path.cwd(), _home()) for place in (here, *here.parents)}
    if status.st_mode & stat.S_ISVTX or folder.resolve() in shared or _is_project(folder):
        extra = {"path": str(folder), "mode": f"{stat.S_IMODE(status.st_mode):04o}"}
        _log.warning("store folder open to other users", extra=extra)
        return
    restrict(folder, FOLDER)


def restrict(path: Path, mode: int) -> None:
    """Take the rights of other users from a file or folder, and log that it had to be done."""
    try:
        status = path.lstat()
        if stat.S_ISLNK(status.st_mode) or not status.st_mode & _OTHERS:
            return
        restricted = stat.S_IMODE(status.st_mode) & mode
        path.chmod(restricted)
    except FileNotFoundError:
        return  # another process has deleted it
    except OSError as error:
        extra = {"path": str(path), "error": str(error)}
        _log.warning("permissions not restricted", extra=extra)
        return
    before = f"{stat.S_IMODE(status.st_mode):04o}"
    extra = {"path": str(path), "mode_before": before, "mode": f"{restricted:04o}"}
    _log.warning("permissions restricted to the owner", extra=extra)


def write_secret(path: Path, text: str) -> None:
    """Write a private file, complete or not at all; replace an earlier one.

    Raises:
        OSError: it cannot be written.
    """
    make_folder(path.parent)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    part.unlink(missing_ok=True)
    file = os.open(part, os.O_CREAT | os.O_EXCL | os.O_WRONLY, FILE)
    try:
        with os.fdopen(file, "w", encoding="utf-8") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _files_of(database: Path) -> Iterator[Path]:
    """Yield the database, and the files whose names begin with its name: logs, locks, copies."""
    name = database.name
    for path in database.parent.iterdir():
        is_beside = path.name.startswith((f"{name}-", f"{name}.", f".{name}."))
        if (path.name == name or is_beside) and path.is_file():
            yield path


def _is_database(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return file.read(len(_HEADER)) == _HEADER
    except OSError:
        return False


def _is_project(folder: Path) -> bool:
    return (folder / "services").is_dir() or (folder / "config").is_dir()


def _home() -> Path:
    try:
        return Path.home()
    except RuntimeError:  # this user has none
        return Path("/")
