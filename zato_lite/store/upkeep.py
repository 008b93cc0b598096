"""What is done to a database file from outside: checked, copied, replaced."""

from collections.abc import Sequence
from pathlib import Path

from zato_lite.errors import StoreError
from zato_lite.store.atomic import forget_log, keep_log, replace
from zato_lite.store.connection import copy, let_go, open_file, problems
from zato_lite.store.file_lock import alone_with, present_at
from zato_lite.store.migrate import refuse_foreign
from zato_lite.store.ports import Connection


def check_file(path: Path, *, is_full: bool = False) -> Sequence[str]:
    """What is wrong with a database file, whether a server has it open or not.

    Raises:
        StoreError: it cannot be opened.
    """
    with present_at(path), open_file(path) as connection:
        return problems(connection, is_full=is_full)


def copy_file(path: Path, target: Path) -> None:
    """Write a consistent copy of a database file to a new file, whoever uses it meanwhile.

    Raises:
        StoreError: the new file is there already, or one of them cannot be used.
    """
    with present_at(path), open_file(path) as source:
        copy(source, target)


def restore_file(path: Path, backup: Path, aside: Path) -> None:
    """Put a copy of ``backup`` in the place of the database file, which is kept as ``aside``.

    Raises:
        StoreError: somebody has the file open; or the backup is damaged, or made by a newer
            program or another one. Nothing was changed.
    """
    part = path.with_name(f"{path.name}.restoring")
    with alone_with(path):
        try:
            part.unlink(missing_ok=True)
            with open_file(backup, to_read=True) as source:
                if found := problems(source, is_full=True):
                    raise StoreError(f"{backup} is damaged: {found[0]}")
                _refuse_foreign(source, backup)
                copy(source, part)
            _let_go(path, aside)
            replace(path, part, aside)
        except OSError as error:
            raise StoreError(f"{path} cannot be replaced ({error})") from error
        finally:
            part.unlink(missing_ok=True)


def _let_go(path: Path, aside: Path) -> None:
    """SQLite may throw away the log of a file that it cannot read, so it is kept before."""
    keep_log(path, aside)
    try:
        is_in = path.exists() and let_go(path)
    except StoreError:
        forget_log(aside)
        raise
    if is_in:
        forget_log(aside)


def _refuse_foreign(source: Connection, backup: Path) -> None:
    try:
        refuse_foreign(source)
    except StoreError as error:
        raise StoreError(f"{backup} cannot be restored: {error}") from error
