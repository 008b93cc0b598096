"""Atomic files: each is complete or absent, even if the process or the machine stops."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zato_lite.errors import StoreError
from zato_lite.store.private import FILE, FOLDER


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """Yield an empty temporary file; on success, sync it and give it the target's name.

    Raises:
        StoreError: the target exists or cannot be written.
    """
    with part_of(target) as part:
        yield part
        publish(part, target)


@contextmanager
def part_of(target: Path) -> Iterator[Path]:
    """Yield an empty temporary file beside the target, to ``publish`` and be deleted.

    Raises:
        StoreError: the target exists or cannot be written.
    """
    if target.exists():
        raise StoreError(f"{target} already exists")
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(mode=FOLDER, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL, FILE))
        yield part
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def publish(part: Path, target: Path) -> None:
    """Sync a finished part and give it the target's name.

    Raises:
        OSError: the target exists by now, or cannot be written.
    """
    # Content first, name second: a power cut between them leaves no partial target.
    sync(part)
    os.link(part, target)  # unlike a rename, fails if the target exists by now
    sync(target.parent)


def replace_database(path: Path, part: Path, aside: Path) -> None:
    """Put ``part`` in the place of a database file, which stays available as ``aside``.

    ``path`` is one of the two files at any moment. The old file's log is deleted, because SQLite
    would apply it to the new file; ``link_log`` has preserved it.

    Raises:
        OSError: a file cannot be linked, renamed or synced.
    """
    if path.exists():
        status = path.stat()
        with suppress(PermissionError):  # only root may give a file to another owner
            os.chown(part, status.st_uid, status.st_gid)
        os.link(path, aside)
    for suffix in ("-wal", "-shm"):
        Path(f"{path}{suffix}").unlink(missing_ok=True)
    part.replace(path)
    sync(path.parent)


def link_log(path: Path, aside: Path) -> None:
    """Give a database file's log, if it exists, the name of the log of ``aside``."""
    with suppress(FileNotFoundError):
        os.link(f"{path}-wal", f"{aside}-wal")


def unlink_log(aside: Path) -> None:
    """Delete the log of ``aside``, whose content is in the database file."""
    Path(f"{aside}-wal").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Force a file's bytes, or a folder's names, to the disk."""
    file = os.open(path, os.O_RDONLY)
    try:
        os.fsync(file)
    finally:
        os.close(file)
