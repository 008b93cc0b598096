"""Files that are there whole or not at all, whatever ends the process."""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from zato_lite.errors import StoreError


@contextmanager
def new_file(target: Path) -> Iterator[Path]:
    """An empty file to write to; what it holds in the end, and on the disk, is the target.

    Raises:
        StoreError: the target is there already, or cannot be written.
    """
    if target.exists():
        raise StoreError(f"{target} is there already")
    part = target.with_name(f".{target.name}.part")
    try:
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        part.unlink(missing_ok=True)
        os.close(os.open(part, os.O_CREAT | os.O_EXCL, 0o600))  # it may hold hashes of passwords
        yield part
        sync(part)
        os.link(part, target)  # unlike a renaming, it replaces no other file
        sync(target.parent)
    except OSError as error:
        raise StoreError(f"{target} cannot be written ({error})") from error
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


def replace(path: Path, part: Path, aside: Path) -> None:
    """Put ``part`` in the place of a database file, which stays as ``aside``.

    Its log, which is kept by now, goes: it belongs to no other file. At any moment the one or the
    other is at ``path``.

    Raises:
        OSError: it cannot be done.
    """
    if path.exists():
        there = path.stat()
        part.chmod(there.st_mode & 0o777)
        with suppress(PermissionError):  # who could use the one is to be able to use the other
            os.chown(part, there.st_uid, there.st_gid)
        os.link(path, aside)
    for end in ("-wal", "-shm"):
        Path(f"{path}{end}").unlink(missing_ok=True)
    part.replace(path)
    sync(path.parent)


def keep_log(path: Path, aside: Path) -> None:
    """Give a database file's log, if there is one, a second name."""
    with suppress(FileNotFoundError):
        os.link(f"{path}-wal", f"{aside}-wal")


def forget_log(aside: Path) -> None:
    """What it holds is in the file."""
    Path(f"{aside}-wal").unlink(missing_ok=True)


def sync(path: Path) -> None:
    """See that a file's bytes, or a folder's names, are on the disk."""
    opened = os.open(path, os.O_RDONLY)
    try:
        os.fsync(opened)
    finally:
        os.close(opened)
